// Which route a request is for. cpp-httplib does the work (its router, path decoding and query parsing), fed
// with a request in memory that is rendered here from a head that has passed http_head's checks: a request
// line, and no header or body of the client's at all, so none of its lenient readings (HAZARDS.md) can
// matter. Its answer is thrown away. Safe to use from any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"

namespace outboxd::api {

class Router {
 public:
  // Throws std::invalid_argument for a method that cpp-httplib cannot route (GET, POST, PUT, PATCH, DELETE
  // and OPTIONS it can).
  explicit Router(std::vector<Route> routes);
  ~Router();
  Router(const Router&) = delete;

  struct Match {
    const Route* route = nullptr;  // valid as long as the router
    std::string path;              // decoded
    std::vector<std::string> path_parameters;
    std::multimap<std::string, std::string> query;  // decoded
  };
  // `target` is origin-form. HEAD finds the GET route.
  std::optional<Match> find(std::string_view method, std::string_view target) const;
  // For the Allow header: "GET, HEAD, POST"; "" when no method has a route for this target.
  std::string allowed_methods(std::string_view target) const;

 private:
  class Server;
  std::vector<Route> routes_;
  std::unique_ptr<Server> server_;
};

}  // namespace outboxd::api
