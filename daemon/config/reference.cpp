// The texts about the configuration that are written from the table of keys.

#include <sstream>

#include "config/config.h"
#include "config/keys.h"

namespace outboxd::config {
namespace {

constexpr std::size_t kWidth = 100;

// "# " and the words of `text`, in lines of at most kWidth.
void write_comment(std::ostream& out, std::string_view text) {
  std::string line = "#";
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (line.size() + 1 + word.size() > kWidth) {
      out << line << '\n';
      line = "#";
    }
    line += " " + word;
  }
  out << line << '\n';
}

}  // namespace

std::string example_file() {
  std::ostringstream out;
  const Config defaults;
  write_comment(
      out,
      "Configuration of outboxd. Every key is shown with its default. What is set here can be overridden by "
      "conf.d/*.toml beside this file, then by the environment (OUTBOXD_DELIVERY__TIMEOUT=30s), then by "
      "flags (--set delivery.timeout=30s). Check with: outboxd --check-config");
  std::string_view section;
  for (const auto& key : keys()) {
    if (key.section != section) out << "\n[" << key.section << "]\n";
    section = key.section;
    write_comment(out, key.doc);
    out << "#" << key.name << " = " << value_text(key, defaults) << '\n';
  }
  return out.str();
}

std::string reference_table() {
  std::ostringstream out;
  const Config defaults;
  out << "| key | default | what it is | expected |\n| --- | --- | --- | --- |\n";
  for (const auto& key : keys()) {
    out << "| `" << key.id() << "` | `" << value_text(key, defaults) << "` | " << key.doc << " | "
        << expectation(key) << " |\n";
  }
  return out.str();
}

}  // namespace outboxd::config
