// All configuration keys, as data: parsing, bounds, documentation, the example file and the tests all read this table.
// For this folder and its tests.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/config.h"

namespace outboxd::config {

// How a value is written and what is checked beyond its bounds.
enum class Kind {
  kText,        // printable ASCII
  kPath,        // absolute
  kSecretFile,  // common/secret_file.h
  kStoreUrl,    // store_url.h
  kAddress,     // IPv4:port or [IPv6]:port
  kProxy,       // http://host:port
  kBoolean,
  kInteger,
  kSize,  // "256MiB", or a number of bytes
  kDuration,
  kDurationOrNone,  // "" is 0: none
  kDurations,
  kNetworks,  // CIDR
  kPorts,
  kTypePatterns,  // of event types, common/event.h
  kHosts,         // names, "*.name" for those below it
  kCheckpoint,
  kAutoDuration,  // "auto", "0" or a duration
  kLogLevel,
  kLogFormat,
};

template <class T>
using Field = T& (*)(Config&);
using AnyField = std::variant<Field<std::string>, Field<bool>, Field<std::int64_t>, Field<Millis>,
                              Field<std::vector<std::string>>, Field<std::vector<std::uint16_t>>,
                              Field<std::vector<Millis>>, Field<log::Level>, Field<log::Format>>;

struct Key {
  std::string_view section, name;
  Kind kind;
  AnyField field;
  // Bounds of a number, of bytes, of milliseconds (kAutoDuration: beside "0"), of each element of a list of those; of
  // the length of a text (0: may be empty).
  std::int64_t min, max;
  std::string_view doc;

  std::string id() const { return std::string(section) + "." + std::string(name); }
};

inline constexpr std::size_t kMaxListLength = 256;

std::span<const Key> keys();
const Key* find_key(std::string_view section, std::string_view name);
bool is_section(std::string_view name);

// ", did you mean …?" for a word that is not a section or a key, or "" if nothing is similar.
std::string suggest_section(std::string_view wrong);
std::string suggest_key(std::string_view section, std::string_view wrong);

std::string toml_string(std::string_view text);  // as TOML writes it
// The value of this key in `config`, as TOML writes it.
std::string value_text(const Key& key, const Config& config);
// "a duration from 100ms to 10m, such as \"20s\"".
std::string expectation(const Key& key);

}  // namespace outboxd::config
