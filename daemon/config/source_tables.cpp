#include "config/source_tables.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/words.h"
#include "config/store_url.h"

namespace outboxd::config {
namespace {

constexpr std::string_view kScheme = "sqlite://";
constexpr std::size_t kMaxName = 64, kMaxUrl = 4096;
constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789_-";

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         text.find_first_not_of(kNameCharacters) == std::string_view::npos;
}

bool is_url(std::string_view text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  if (text.size() > kMaxUrl || std::any_of(text.begin(), text.end(), is_control)) return false;
  return is_sqlite_url(text) || is_postgresql_url(text);
}

std::string expected(std::string_view key) {
  const auto* found = std::find_if(std::begin(kSourceKeys), std::end(kSourceKeys),
                                   [&](const SourceKey& one) { return one.name == key; });
  return "; expected " + std::string(found->expected);
}

class SourceTable {
 public:
  SourceTable(const toml::table& table, const ReportAt& report) : table_(table), report_(report) {}

  std::optional<Config::Source> read(const std::vector<Config::Source>& before) {
    refuse_unknown_keys();
    Config::Source source;
    take("name", is_name, source.name);
    take("url", is_url, source.url);
    if (good_) refuse_second(source, before);
    return good_ ? std::optional(std::move(source)) : std::nullopt;
  }

 private:
  void refuse(const toml::source_region& where, const std::string& what) {
    good_ = false;
    report_(where, "source." + what);
  }

  void refuse_unknown_keys() {
    constexpr std::array<std::string_view, 2> kKnown = {"name", "url"};
    for (const auto& [name, node] : table_) {
      if (std::find(kKnown.begin(), kKnown.end(), name.str()) == kKnown.end())
        refuse(name.source(), in_quotes(name.str()) + ": no such key" + did_you_mean(name.str(), kKnown));
    }
  }

  void take(std::string_view key, bool (*is_good)(std::string_view), std::string& value) {
    const toml::node* const node = table_.get(key);
    if (node == nullptr) return refuse(table_.source(), std::string(key) + ": is missing" + expected(key));
    const auto* text = node->as_string();
    if (text == nullptr) return refuse(node->source(), std::string(key) + ": is no text" + expected(key));
    if (holds_password(text->get()))
      return refuse(node->source(), std::string(key) + ": " + std::string(kHoldsPassword));
    if (!is_good(text->get()))
      return refuse(node->source(), std::string(key) + ": is " + in_quotes(text->get()) + expected(key));
    value = text->get();
  }

  void refuse_second(const Config::Source& source, const std::vector<Config::Source>& before) {
    for (const auto& other : before) {
      if (other.name == source.name)
        refuse(table_.get("name")->source(),
               "name: " + in_quotes(source.name) + " is the name of another source");
      if (other.database() == source.database())
        refuse(table_.get("url")->source(), "url: is the " +
                                                std::string(source.is_sqlite() ? "file" : "database") +
                                                " of the source " + in_quotes(other.name) + " too");
    }
  }

  const toml::table& table_;
  const ReportAt& report_;
  bool good_ = true;
};

}  // namespace

bool Config::Source::is_sqlite() const {
  return url.starts_with(kScheme);
}

std::string Config::Source::database() const {
  return is_sqlite() ? path() : url;
}

std::string Config::Source::path() const {
  return std::filesystem::path(url.substr(kScheme.size())).lexically_normal().string();
}

void read_sources(const toml::node& node, const std::vector<Config::Source>& before, const ReportAt& report,
                  const std::function<void(const toml::source_region& where, Config::Source)>& added) {
  if (!node.is_array_of_tables())
    return report(node.source(), "source: is not a list of tables; expected [[source]] on a line of its own");
  std::vector<Config::Source> all = before;
  for (const auto& element : *node.as_array()) {
    auto source = SourceTable(*element.as_table(), report).read(all);
    if (!source) continue;
    if (all.size() == kMaxSources)
      return report(element.source(), "source: there are more than 16; expected at most 16");
    all.push_back(*source);
    added(element.source(), std::move(*source));
  }
}

}  // namespace outboxd::config
