#include "config/store_url.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "config/values.h"

namespace outboxd::config {
namespace {

constexpr std::array<std::string_view, 2> kSchemes = {"postgresql://", "postgres://"};  // both are libpq's
constexpr std::array<std::string_view, 2> kSecrets = {"password", "sslpassword"};       // of its parameters

// What follows the scheme.
std::optional<std::string_view> after_scheme(std::string_view url) {
  for (const auto scheme : kSchemes) {
    if (url.starts_with(scheme)) return url.substr(scheme.size());
  }
  return std::nullopt;
}

int digit_of(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return static_cast<int>(kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c));
}

// libpq decodes the names of parameters too, so "pass%77ord" is one.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool names_a_secret(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto end = std::min(parameters.find('&'), parameters.size());
    const std::string name = decoded(parameters.substr(0, std::min(parameters.find('='), end)));
    if (std::ranges::find(kSecrets, name) != kSecrets.end()) return true;
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
  }
  return false;
}

}  // namespace

bool is_sqlite_url(std::string_view url) {
  return url.starts_with("sqlite:///") && url.find('\0') == std::string_view::npos && !url.ends_with('/');
}

bool holds_password(std::string_view url) {
  const auto rest = after_scheme(url);
  if (!rest) return false;
  const auto user_end = rest->find_first_of("@/");
  if (user_end != std::string_view::npos && (*rest)[user_end] == '@' &&
      rest->substr(0, user_end).find(':') != std::string_view::npos)
    return true;
  const auto question = rest->find('?');
  return question != std::string_view::npos && names_a_secret(rest->substr(question + 1));
}

bool is_postgresql_url(std::string_view url) {
  return after_scheme(url) && is_printable_ascii(url) && url.find(' ') == std::string_view::npos &&
         !holds_password(url);
}

}  // namespace outboxd::config
