// Which route a request is for: a table of path segments. Pure, and safe to use from any thread.
//
// A path is cut at its slashes before its segments are percent-decoded, so no escape makes a new segment. Segments are
// compared byte for byte: a letter's case counts, "." and ".." are names like others, and an empty segment (a doubled
// or trailing slash) is never skipped and fills no placeholder.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "api/exchange.h"

namespace outboxd::api {

class Router {
 public:
  // Throws std::invalid_argument for a route that could never be served: its method is none of GET, POST, PUT, PATCH,
  // DELETE and OPTIONS, its path does not consist of plain segments and {placeholders}, or an earlier route takes some
  // of its requests.
  explicit Router(std::vector<Route> routes);
  Router(const Router&) = delete;  // matches point into it

  struct Match {
    const Route* route = nullptr;              // valid as long as the router
    std::vector<std::string> path_parameters;  // decoded, in the order of the placeholders
  };
  struct NoRoute {
    // "GET, HEAD, POST" for 405's Allow header; "" when the path has no route at all: 404.
    std::string allowed;
  };
  // `path` as sent, without the query. HEAD finds the GET route.
  tl::expected<Match, NoRoute> find(std::string_view method, std::string_view path) const;

 private:
  struct Entry {
    const Route* route = nullptr;
    std::vector<std::string> segments;  // "" stands for a placeholder; the path "/" has none
  };

  std::vector<Route> routes_;
  std::vector<Entry> table_;
  std::size_t max_segments_ = 0;
};

}  // namespace outboxd::api
