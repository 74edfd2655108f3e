// The texts about the configuration that are written from the table of keys.

#include <sstream>

#include "common/roff.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/source_tables.h"

namespace outboxd::config {
namespace {

constexpr std::size_t kWidth = 100;

// Writes the words of `text` after `first`, in lines of at most kWidth; continuation lines begin with `next`.
void write_wrapped(std::ostream& out, std::string_view first, std::string_view next, std::string_view text) {
  std::string line(first);
  std::istringstream words{std::string(text)};
  bool at_start = true;
  for (std::string word; words >> word;) {
    if (!at_start && line.size() + 1 + word.size() > kWidth) {
      out << line << '\n';
      line = next;
      at_start = true;
    }
    if (!at_start) line += ' ';
    line += word;
    at_start = false;
  }
  out << line << '\n';
}

void write_comment(std::ostream& out, std::string_view text) {
  write_wrapped(out, "# ", "# ", text);
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
  out << '\n';
  write_comment(out, kSourceDoc);
  out << "# [[source]]\n";
  for (const auto& key : kSourceKeys) {
    write_comment(out, key.doc);
    out << "# " << key.name << " = " << key.example << '\n';
  }
  return out.str();
}

std::string reference() {
  std::ostringstream out;
  const Config defaults;
  std::string_view section;
  for (const auto& key : keys()) {
    if (key.section != section) out << (section.empty() ? "" : "\n") << "## " << key.section << "\n\n";
    section = key.section;
    std::ostringstream entry;
    entry << "`" << key.name << "` = `" << value_text(key, defaults) << "`: " << key.doc << " Takes "
          << expectation(key) << ".";
    write_wrapped(out, "- ", "  ", entry.str());
  }
  out << "\n## source\n\n";
  write_wrapped(out, "", "", kSourceDoc);
  out << '\n';
  for (const auto& key : kSourceKeys) {
    std::ostringstream entry;
    entry << "`" << key.name << "`: " << key.doc << " Takes " << key.expected << ".";
    write_wrapped(out, "- ", "  ", entry.str());
  }
  return out.str();
}

std::string man_page() {
  const Config defaults;
  std::string out =
      ".TH OUTBOXD.TOML 5 \"\" \"outboxd\" \"File formats\"\n.SH NAME\noutboxd.toml \\- the configuration of "
      "outboxd\n";
  out +=
      ".SH DESCRIPTION\nThe file, by default\n.IR /etc/outboxd/outboxd.toml ,\nis TOML; what it sets is "
      "overridden by\n"
      ".I conf.d/*.toml\nbeside it, then by the environment\n.RB ( OUTBOXD_DELIVERY__TIMEOUT=30s ),\nthen by "
      "flags\n"
      ".RB ( \\-\\-set \\~delivery.timeout=30s ).\nAn unknown key is an error.\n.B outboxd "
      "\\-\\-check\\-config\n"
      "lists every error.\n";
  std::string_view section;
  for (const auto& key : keys()) {
    if (key.section != section) out += ".SH [" + roff_text(key.section) + "]\n";
    section = key.section;
    out += roff_item(key.id() + " = " + value_text(key, defaults),
                     std::string(key.doc) + " Takes " + expectation(key) + ".");
  }
  out += ".SH [[source]]\n" + roff_text(kSourceDoc) + "\n";
  for (const auto& key : kSourceKeys) {
    out += roff_item("source." + std::string(key.name) + " = " + std::string(key.example),
                     std::string(key.doc) + " Takes " + std::string(key.expected) + ".");
  }
  return out + ".SH SEE ALSO\n.BR outboxd (8),\n.BR outboxctl (1),\n.BR outboxd\\-operations (7)\n";
}

}  // namespace outboxd::config
