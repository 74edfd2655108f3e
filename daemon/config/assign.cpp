#include "config/assign.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "common/endpoint.h"
#include "common/event.h"
#include "common/secret_file.h"
#include "common/text.h"
#include "config/store_url.h"
#include "config/values.h"

namespace outboxd::config {
namespace {

constexpr std::size_t kMaxQuoted = 60;  // characters of a wrong value quoted in an error

std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxQuoted)) {
    const bool plain = static_cast<unsigned char>(c) >= ' ' && c != '\x7f' && c != '"';
    out.push_back(plain ? c : '?');
  }
  return out + (text.size() > kMaxQuoted ? "…\"" : "\"");
}

std::string what_it_is(const Key& key, const toml::node& node) {
  if (key.kind == Kind::kProxy && node.is_string()) return "is not acceptable";  // it may hold a password
  if (key.kind == Kind::kStoreUrl && holds_password(node.value_or(std::string_view())))
    return std::string(kHoldsPassword);
  if (const auto* text = node.as_string()) return "is " + shown(text->get());
  if (const auto* number = node.as_integer()) return "is " + std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "is true" : "is false";
  if (node.is_array()) return "is a list";
  if (node.is_table()) return "is a table";
  return node.is_floating_point() ? "is a number with a fraction" : "is a date or time";
}

bool in_bounds(const Key& key, std::int64_t value) {
  return value >= key.min && value <= key.max;
}

bool acceptable_delay(const Key& key, const std::string& text) {
  if (text == "auto" || text == "0") return true;
  const auto delay = parse_duration(text);
  return delay && in_bounds(key, delay->count());
}

bool acceptable_text(const Key& key, const std::string& text) {
  if (key.kind == Kind::kAutoDuration) return acceptable_delay(key, text);
  const auto length = static_cast<std::int64_t>(text.size());
  if (length > key.max) return false;
  if (text.empty()) return key.min == 0;
  switch (key.kind) {
    case Kind::kCheckpoint:
      return text == "auto" || text == "external";
    case Kind::kText:
      return is_printable_ascii(text);
    case Kind::kPath:
      return text.starts_with('/') && text.find('\0') == std::string::npos;
    case Kind::kSecretFile:
      return is_secret_file(text);
    case Kind::kStoreUrl:
      return is_sqlite_url(text) || is_postgresql_url(text);
    case Kind::kAddress:
      return is_socket_address(text);
    case Kind::kProxy:
      return is_proxy_url(text);
    default:
      return false;
  }
}

// One specialisation for each type of field: the parsed value, or nullopt.
template <class T>
std::optional<T> read(const Key& key, const toml::node& node);

template <>
std::optional<bool> read(const Key&, const toml::node& node) {
  const auto* flag = node.as_boolean();
  return flag == nullptr ? std::nullopt : std::optional(flag->get());
}

template <>
std::optional<std::int64_t> read(const Key& key, const toml::node& node) {
  std::optional<std::int64_t> value;
  if (const auto* number = node.as_integer()) value = number->get();
  if (const auto* text = node.as_string(); text != nullptr && key.kind == Kind::kSize)
    value = parse_size(text->get());
  return value && in_bounds(key, *value) ? value : std::nullopt;
}

template <>
std::optional<std::uint16_t> read(const Key& key, const toml::node& node) {
  const auto* number = node.as_integer();
  if (number == nullptr || !in_bounds(key, number->get())) return std::nullopt;
  return static_cast<std::uint16_t>(number->get());
}

template <>
std::optional<Millis> read(const Key& key, const toml::node& node) {
  const auto* text = node.as_string();
  if (key.kind == Kind::kDurationOrNone && text != nullptr && text->get().empty()) return Millis(0);
  const auto value = text == nullptr ? std::nullopt : parse_duration(text->get());
  return value && in_bounds(key, value->count()) ? value : std::nullopt;
}

template <>
std::optional<std::string> read(const Key& key, const toml::node& node) {
  const auto* text = node.as_string();
  if (text == nullptr) return std::nullopt;
  bool good = false;
  if (key.kind == Kind::kNetworks) {
    good = is_network(text->get());
  } else if (key.kind == Kind::kTypePatterns) {
    good = is_type_pattern(text->get());
  } else if (key.kind == Kind::kHosts) {
    good = key.section == "listen" ? is_host(text->get()) : is_host_pattern(text->get());
  } else {
    good = acceptable_text(key, text->get());
  }
  return good ? std::optional(text->get()) : std::nullopt;
}

template <>
std::optional<log::Level> read(const Key&, const toml::node& node) {
  const auto text = node.value_or(std::string_view());
  if (text == "debug") return log::Level::kDebug;
  if (text == "info") return log::Level::kInfo;
  if (text == "warn") return log::Level::kWarn;
  if (text == "error") return log::Level::kError;
  return std::nullopt;
}

template <>
std::optional<log::Format> read(const Key&, const toml::node& node) {
  const auto text = node.value_or(std::string_view());
  if (text == "auto") return log::Format::kAuto;
  if (text == "json") return log::Format::kJson;
  if (text == "logfmt") return log::Format::kLogfmt;
  if (text == "journald") return log::Format::kJournald;
  return std::nullopt;
}

struct Assigner {
  const Key& key;
  const toml::node& value;
  Config& config;
  const Report& report;

  void refuse(const toml::node& where) const {
    report(where, what_it_is(key, where) + "; expected " + expectation(key));
  }

  template <class T>
  void operator()(Field<T> field) const {
    if (auto parsed = read<T>(key, value)) {
      field(config) = std::move(*parsed);
    } else {
      refuse(value);
    }
  }

  template <class T>
  void operator()(Field<std::vector<T>> field) const {
    const auto* array = value.as_array();
    if (array == nullptr) return refuse(value);
    const std::size_t longest = key.kind == Kind::kDurations ? kMaxRetrySchedule : kMaxListLength;
    if (array->size() > longest || (key.kind == Kind::kDurations && array->empty())) {
      return report(value, "has " + std::to_string(array->size()) + " elements; expected " +
                               (array->empty() ? expectation(key) : "at most " + std::to_string(longest)));
    }
    std::vector<T> parsed;
    for (const auto& element : *array) {
      if (auto one = read<T>(key, element)) {
        parsed.push_back(std::move(*one));
      } else {
        refuse(element);
      }
    }
    if (parsed.size() == array->size()) field(config) = std::move(parsed);
  }
};

std::unique_ptr<toml::node> scalar(std::string_view text, bool may_be_number) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (may_be_number && error == std::errc{} && end == text.data() + text.size()) {
    return std::make_unique<toml::value<std::int64_t>>(number);
  }
  return std::make_unique<toml::value<std::string>>(std::string(text));
}

}  // namespace

void assign(const Key& key, const toml::node& value, Config& config, const Report& report) {
  std::visit(Assigner{key, value, config, report}, key.field);
}

std::unique_ptr<toml::node> node_from_text(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kBoolean:
      if (text == "true" || text == "false") return std::make_unique<toml::value<bool>>(text == "true");
      return scalar(text, false);
    case Kind::kInteger:
    case Kind::kSize:
      return scalar(text, true);
    case Kind::kDurations:
    case Kind::kNetworks:
    case Kind::kPorts:
    case Kind::kTypePatterns:
    case Kind::kHosts:
      break;
    default:
      return scalar(text, false);
  }
  auto list = std::make_unique<toml::array>();
  if (trim(text, " ").empty()) return list;
  for (std::size_t start = 0; start <= text.size();) {
    const auto comma = std::min(text.find(',', start), text.size());
    const auto element = scalar(trim(text.substr(start, comma - start), " "), kind == Kind::kPorts);
    element->visit([&](const auto& node) {
      if constexpr (toml::is_value<decltype(node)>) list->push_back(node.get());
    });
    start = comma + 1;
  }
  return list;
}

}  // namespace outboxd::config
