#include "api/router.h"

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

#include "api/percent.h"

namespace outboxd::api {
namespace {

using Segments = std::vector<std::string>;

constexpr std::array<std::string_view, 6> kMethods{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

// The segments of a path, decoded. nullopt: it does not begin with a slash, has more than `max` segments, or a broken
// escape.
std::optional<Segments> split(std::string_view path, std::size_t max) {
  if (!path.starts_with('/')) return std::nullopt;
  Segments segments;
  if (path == "/") return segments;
  while (!path.empty()) {
    if (segments.size() == max) return std::nullopt;
    path.remove_prefix(1);
    const auto raw = path.substr(0, path.find('/'));
    auto segment = percent_decode(raw);
    if (!segment) return std::nullopt;
    segments.push_back(std::move(*segment));
    path.remove_prefix(raw.size());
  }
  return segments;
}

// "/v1/events/{id}" to "v1", "events" and "".
Segments pattern_of(const Route& route) {
  const auto refuse = [&route](const char* why) {
    throw std::invalid_argument("the route " + route.method + ' ' + route.path + ' ' + why);
  };
  if (std::ranges::find(kMethods, route.method) == kMethods.end()) refuse("has a method that is not served");
  auto segments = split(route.path, route.path.size()).value_or(Segments{""});
  for (auto& segment : segments) {
    if (segment.empty()) refuse("does not begin with a slash, has an empty segment, or has a broken escape");
    if (segment.size() > 2 && segment.front() == '{' && segment.back() == '}') {
      segment.clear();
    } else if (segment.find_first_of("{}") != std::string::npos) {
      refuse("has a brace that belongs to no placeholder");
    }
  }
  return segments;
}

bool overlap(const Segments& a, const Segments& b) {
  return std::ranges::equal(
      a, b, [](const std::string& x, const std::string& y) { return x.empty() || y.empty() || x == y; });
}

bool matches(const Segments& pattern, const Segments& path) {
  return std::ranges::equal(pattern, path, [](const std::string& wanted, const std::string& given) {
    return wanted.empty() ? !given.empty() : wanted == given;
  });
}

std::vector<std::string> parameters_of(const Segments& pattern, Segments path) {
  std::vector<std::string> parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i].empty()) parameters.push_back(std::move(path[i]));
  }
  return parameters;
}

std::string joined(const std::vector<std::string_view>& methods) {
  std::string text;
  for (const auto known : kMethods) {
    if (std::ranges::find(methods, known) == methods.end()) continue;
    text.append(text.empty() ? "" : ", ").append(known);
    if (known == "GET") text += ", HEAD";
  }
  return text;
}

}  // namespace

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (const auto& route : routes_) {
    Entry entry{&route, pattern_of(route)};
    for (const auto& earlier : table_) {
      if (earlier.route->method == route.method && overlap(earlier.segments, entry.segments))
        throw std::invalid_argument("the route " + route.method + ' ' + route.path + " is also " +
                                    earlier.route->path);
    }
    max_segments_ = std::max(max_segments_, entry.segments.size());
    table_.push_back(std::move(entry));
  }
}

tl::expected<Router::Match, Router::NoRoute> Router::find(std::string_view method,
                                                          std::string_view path) const {
  auto segments = split(path, max_segments_);
  if (!segments) return tl::unexpected(NoRoute{});
  const auto wanted = method == "HEAD" ? "GET" : method;
  std::vector<std::string_view> methods;
  for (const auto& entry : table_) {
    if (!matches(entry.segments, *segments)) continue;
    if (entry.route->method == wanted)
      return Match{entry.route, parameters_of(entry.segments, std::move(*segments))};
    methods.push_back(entry.route->method);
  }
  return tl::unexpected(NoRoute{joined(methods)});
}

}  // namespace outboxd::api
