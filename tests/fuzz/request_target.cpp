// The target of a request: the route that it finds with its parameters, and its query.   target as it is sent
#include "api/query_string.h"
#include "api/router.h"
#include "fuzz/target.h"

using namespace outboxd;
using namespace outboxd::api;

namespace {

const Router& router() {
  static const Router made({{"GET", "/", Access::kOpen, {}},
                            {"GET", "/v1/events", Access::kOpen, {}},
                            {"POST", "/v1/events", Access::kOpen, {}},
                            {"GET", "/v1/events/{id}", Access::kOpen, {}},
                            {"POST", "/v1/events/{id}/replay", Access::kOpen, {}},
                            {"GET", "/a/{b}/{c}", Access::kOpen, {}}});
  return made;
}

// Every byte escaped: the one way to write a text that no parser can read in two ways.
std::string escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    ((out += '%') += kDigits[byte >> 4]) += kDigits[byte & 15];
  }
  return out;
}

// The route's path with these parameters in its placeholders.
std::string written(std::string_view pattern, const std::vector<std::string>& parameters) {
  std::string out;
  std::size_t next = 0;
  while (!pattern.empty()) {
    if (pattern.front() == '{') {
      HOLDS(next < parameters.size() && !parameters[next].empty());
      out += escaped(parameters[next++]);
      pattern.remove_prefix(pattern.find('}') + 1);
    } else {
      out += pattern.front();
      pattern.remove_prefix(1);
    }
  }
  HOLDS(next == parameters.size());
  return out;
}

void check_path(std::string_view path) {
  const auto head = router().find("HEAD", path);
  for (const char* method : {"GET", "POST", "BREW"}) {
    const auto match = router().find(method, path);
    if (!match) {
      HOLDS(match.error().allowed.find(method) == std::string::npos);
      continue;
    }
    HOLDS(match->route->method == method && path.starts_with('/'));
    HOLDS(match->route->method != "GET" || (head && head->route == match->route));
    const auto again = router().find(method, written(match->route->path, match->path_parameters));
    HOLDS(again && again->route == match->route && again->path_parameters == match->path_parameters);
  }
}

void check_query(std::string_view query) {
  const auto parsed = parse_query(query);
  if (!parsed) {
    HOLDS(parsed.error().code == ProblemCode::kMalformed ||
          parsed.error().code == ProblemCode::kInvalidParameter);
    return;
  }
  HOLDS(parsed->size() <= kMaxQueryParameters);
  std::string text;
  for (const auto& [name, value] : *parsed) text += escaped(name) + '=' + escaped(value) + '&';
  const auto again = parse_query(text);
  HOLDS(again && *again == *parsed);
}

}  // namespace

FUZZ_TARGET(input) {
  const auto path = input.substr(0, input.find('?'));
  check_path(path);
  if (path.size() < input.size()) check_query(input.substr(path.size() + 1));
}
