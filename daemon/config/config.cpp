#include "config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "config/assign.h"
#include "config/keys.h"
#include "config/source_tables.h"
#include "config/store_url.h"
#include "config/values.h"

namespace outboxd::config {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 1 << 20;
constexpr std::size_t kMaxFiles = 256;  // in conf.d
constexpr std::string_view kEnvironmentPrefix = "OUTBOXD_";
constexpr std::string_view kEnvironmentSeparator = "__";
constexpr std::size_t kMaxShownName = 64;

std::string with_position(const Origin& origin) {
  std::string text = origin.source;
  if (origin.line > 0) text += ":" + std::to_string(origin.line) + ":" + std::to_string(origin.column);
  return text;
}

Origin origin_of(const std::string& source, const toml::source_region& region) {
  return {source, static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

// Names come from outside, so they are cut, and control bytes are shown as question marks.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, kMaxShownName));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; },
      '?');
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

class Loader {
 public:
  void load_file(const std::string& path, bool required);
  void load_folder(const std::filesystem::path& folder);
  // `source` names the variable or flag.
  void load_text(const std::string& source, std::string_view section, std::string_view name,
                 std::string_view text);
  void check_together();
  void error(const Origin& origin, std::string what) { errors_.push_back({origin, std::move(what)}); }
  tl::expected<Loaded, std::vector<std::string>> result() &&;

 private:
  std::optional<std::string> read_file(const std::string& path, bool required);
  void load_table(const std::string& path, const toml::table& table);
  void load_sources(const std::string& path, const toml::node& node);
  void load_section(const std::string& path, std::string_view section, const toml::table& table);
  void set(const Key& key, const toml::node& value, const Origin& origin);
  void require(bool good, const char* key, const std::string& what, const char* other);

  struct Error {
    Origin origin;
    std::string what;
  };

  Loaded loaded_;
  std::set<std::string> failed_;  // keys whose last value was refused
  std::vector<Error> errors_;
};

std::optional<std::string> Loader::read_file(const std::string& path, bool required) {
  struct stat status {};
  const auto cannot = [&](const std::string& why) {
    error({path}, "cannot be read: " + why);
    return std::nullopt;
  };
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT && !required) return std::nullopt;
    return cannot(std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return cannot("not a regular file");
  if (static_cast<std::uintmax_t>(status.st_size) > kMaxFileBytes) return cannot("larger than 1 MiB");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().size() > kMaxFileBytes) return cannot(std::strerror(errno != 0 ? errno : EIO));
  return text.str();
}

void Loader::load_file(const std::string& path, bool required) {
  const auto text = read_file(path, required);
  if (!text) return;
  const auto before = static_cast<std::ptrdiff_t>(errors_.size());
  try {
    load_table(path, toml::parse(*text, path));
  } catch (const toml::parse_error& e) {
    error(origin_of(path, e.source()), "not valid TOML: " + shown(e.description()));
  }
  // toml++ walks a table by name, but people read a file from the top.
  std::stable_sort(errors_.begin() + before, errors_.end(), [](const Error& a, const Error& b) {
    return std::pair(a.origin.line, a.origin.column) < std::pair(b.origin.line, b.origin.column);
  });
}

void Loader::load_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator it(folder, failure), end; !failure && it != end;
       it.increment(failure)) {
    const auto name = it->path().filename().string();
    if (name.ends_with(".toml") && !name.starts_with('.')) files.push_back(it->path().string());
  }
  if (failure && failure != std::errc::no_such_file_or_directory) {
    return error({folder.string()}, "cannot be read: " + failure.message());
  }
  if (files.size() > kMaxFiles) {
    return error({folder.string()}, "holds " + std::to_string(files.size()) + " files; expected at most 256");
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) load_file(file, true);
}

void Loader::load_table(const std::string& path, const toml::table& table) {
  for (const auto& [name, node] : table) {
    const auto origin = origin_of(path, name.source());
    if (name.str() == kSourceSection) {
      load_sources(path, node);
    } else if (!is_section(name.str())) {
      const auto hint = node.is_table() ? suggest_section(name.str()) : suggest_key("", name.str());
      error(origin, shown(name.str()) + ": no such section" + hint);
    } else if (const auto* section = node.as_table()) {
      load_section(path, name.str(), *section);
    } else {
      error(origin, shown(name.str()) + ": is not a section; expected [" + std::string(name.str()) +
                        "] on a line of its own");
    }
  }
}

void Loader::load_sources(const std::string& path, const toml::node& node) {
  read_sources(
      node, loaded_.config.sources,
      [&](const toml::source_region& where, const std::string& what) { error(origin_of(path, where), what); },
      [&](const toml::source_region& where, Config::Source source) {
        loaded_.origins["source." + source.name] = origin_of(path, where);
        loaded_.config.sources.push_back(std::move(source));
      });
}

void Loader::load_section(const std::string& path, std::string_view section, const toml::table& table) {
  for (const auto& [name, node] : table) {
    if (const Key* key = find_key(section, name.str())) {
      set(*key, node, origin_of(path, node.source()));
    } else {
      error(origin_of(path, name.source()), std::string(section) + "." + shown(name.str()) + ": no such key" +
                                                suggest_key(section, name.str()));
    }
  }
}

void Loader::load_text(const std::string& source, std::string_view section, std::string_view name,
                       std::string_view text) {
  const auto id = shown(section) + "." + shown(name);
  if (!is_section(section)) return error({source}, id + ": no such section" + suggest_section(section));
  const Key* key = find_key(section, name);
  if (key == nullptr) return error({source}, id + ": no such key" + suggest_key(section, name));
  set(*key, *node_from_text(key->kind, text), {source});
}

void Loader::set(const Key& key, const toml::node& value, const Origin& origin) {
  bool good = true;
  assign(key, value, loaded_.config, [&](const toml::node& where, const std::string& what) {
    good = false;
    const bool in_file = where.source().begin.line > 0;
    error(in_file ? origin_of(origin.source, where.source()) : origin, key.id() + ": " + what);
  });
  if (good) {
    loaded_.origins[key.id()] = origin;
    failed_.erase(key.id());
  } else {
    failed_.insert(key.id());
  }
}

void Loader::require(bool good, const char* key, const std::string& what, const char* other) {
  if (good || failed_.contains(key) || failed_.contains(other)) return;
  // Points at the value that somebody has set: of the two, that is the one to look at.
  const bool is_default = !loaded_.origins.contains(key);
  error(loaded_.origins[is_default ? other : key], std::string(key) + ": " + what);
}

void Loader::check_together() {
  const auto& c = loaded_.config;
  require(c.delivery.connect_timeout <= c.delivery.timeout, "delivery.connect_timeout",
          "is " + format_duration(c.delivery.connect_timeout) +
              "; expected at most delivery.timeout, which is " + format_duration(c.delivery.timeout),
          "delivery.timeout");
  require(c.delivery.max_in_flight_per_endpoint <= c.delivery.max_in_flight,
          "delivery.max_in_flight_per_endpoint",
          "is " + std::to_string(c.delivery.max_in_flight_per_endpoint) +
              "; expected at most delivery.max_in_flight, which is " +
              std::to_string(c.delivery.max_in_flight),
          "delivery.max_in_flight");
  require(c.limits.event_bytes <= c.limits.request_bytes, "limits.event_bytes",
          "is " + format_size(c.limits.event_bytes) + "; expected at most limits.request_bytes, which is " +
              format_size(c.limits.request_bytes),
          "limits.request_bytes");
  require(
      c.listen.tcp.empty() || is_loopback(c.listen.tcp) || !c.listen.tokens_file.empty(), "listen.tcp",
      "is not a loopback address; expected one, or listen.tokens_file with the tokens of those who may call",
      "listen.tokens_file");
  require(c.listen.tls_cert.empty() == c.listen.tls_key.empty(), "listen.tls_cert",
          "expected together with listen.tls_key, or neither", "listen.tls_key");
  for (const auto& source : c.sources) {
    const std::string store =
        c.store.is_sqlite() ? std::filesystem::path(c.store.path()).lexically_normal().string() : c.store.url;
    if (source.database() == store)
      error(loaded_.origins["source." + source.name],
            "source.url: is store.url; expected the " +
                std::string(source.is_sqlite() ? "file" : "database") + " of an application");
  }
}

tl::expected<Loaded, std::vector<std::string>> Loader::result() && {
  if (errors_.empty()) return std::move(loaded_);
  std::vector<std::string> texts;
  for (const auto& [origin, what] : errors_) texts.push_back(with_position(origin) + ": " + what);
  return tl::unexpected(std::move(texts));
}

}  // namespace

bool Config::Store::is_sqlite() const {
  return is_sqlite_url(url);
}

std::string Config::Store::path() const {
  return is_sqlite() ? url.substr(std::string_view("sqlite://").size()) : "";
}

std::optional<Millis> Config::Store::longest_commit_delay() const {
  if (commit_delay == "auto") return std::nullopt;
  return parse_duration(commit_delay).value_or(Millis(0));  // "0" is no duration
}

std::string Origin::text() const {
  return line > 0 ? source + ":" + std::to_string(line) : source;
}

std::vector<std::pair<std::string, std::string>> environment_of_process() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    const auto name = variable.substr(0, variable.find('='));
    if (!name.starts_with(kEnvironmentPrefix) || name.size() == variable.size()) continue;
    if (name.find(kEnvironmentSeparator, kEnvironmentPrefix.size()) == std::string_view::npos) continue;
    variables.emplace_back(name, variable.substr(name.size() + 1));
  }
  std::sort(variables.begin(), variables.end());
  return variables;
}

tl::expected<Loaded, std::vector<std::string>> load(const Sources& sources) {
  Loader loader;
  loader.load_file(sources.file, sources.file_required);
  loader.load_folder(std::filesystem::path(sources.file).parent_path() / "conf.d");
  for (const auto& [variable, text] : sources.environment) {
    const auto name = lower(std::string_view(variable).substr(kEnvironmentPrefix.size()));
    const auto split = name.find(kEnvironmentSeparator);
    loader.load_text("environment " + shown(variable), name.substr(0, split),
                     name.substr(split + kEnvironmentSeparator.size()), text);
  }
  for (const auto& [id, text] : sources.overrides) {
    const auto dot = id.find('.');
    if (dot == std::string::npos) {
      loader.error({"--set " + shown(id)}, "is not the name of a key; expected section.key");
      continue;
    }
    loader.load_text("--set " + shown(id), id.substr(0, dot), id.substr(dot + 1), text);
  }
  loader.check_together();
  return std::move(loader).result();
}

std::vector<Setting> settings(const Loaded& loaded) {
  std::vector<Setting> rows;
  for (const auto& key : keys()) {
    const auto origin = loaded.origins.find(key.id());
    rows.push_back({std::string(key.section), std::string(key.name), value_text(key, loaded.config),
                    origin == loaded.origins.end() ? Origin{}.text() : origin->second.text()});
  }
  for (std::size_t i = 0; i < loaded.config.sources.size(); ++i) {
    const auto& source = loaded.config.sources[i];
    const std::string origin = loaded.origins.at("source." + source.name).text();
    rows.push_back({std::string(kSourceSection), "name", toml_string(source.name), origin, i + 1});
    rows.push_back({std::string(kSourceSection), "url", toml_string(source.url), origin, i + 1});
  }
  return rows;
}

std::string Setting::header() const {
  return element == 0 ? "[" + section + "]" : "[[" + section + "]]";
}

std::string Setting::id() const {
  return section + (element == 0 ? "" : "[" + std::to_string(element) + "]") + "." + key;
}

std::string as_toml(const std::vector<Setting>& settings, bool with_origins) {
  std::string text;
  const Setting* last = nullptr;
  for (const Setting& setting : settings) {
    if (last == nullptr || last->section != setting.section || last->element != setting.element)
      text += (last == nullptr ? "" : "\n") + setting.header() + "\n";
    last = &setting;
    text += setting.key + " = " + setting.value + (with_origins ? "  # " + setting.origin : "") + "\n";
  }
  return text;
}

}  // namespace outboxd::config
