#include "api/query_string.h"

#include <algorithm>
#include <utility>

#include "api/percent.h"

namespace outboxd::api {
namespace {

std::optional<std::string> decode(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  return percent_decode(spaced);
}

}  // namespace

Result<std::multimap<std::string, std::string>> parse_query(std::string_view query) {
  std::multimap<std::string, std::string> parameters;
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    if (parameters.size() == kMaxQueryParameters) {
      return problem(ProblemCode::kInvalidParameter,
                     "The query has more than " + std::to_string(kMaxQueryParameters) + " parameters.");
    }
    const auto equals = std::min(pair.find('='), pair.size());
    auto name = decode(pair.substr(0, equals));
    auto value = decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) return problem(ProblemCode::kMalformed, "The query has a broken percent-escape.");
    parameters.emplace(std::move(*name), std::move(*value));
  }
  return parameters;
}

}  // namespace outboxd::api
