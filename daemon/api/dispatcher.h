// What a worker does with a complete request: the browser rules, the route, the caller's right to it, the
// handler. Knows no sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/auth.h"
#include "api/pending_exchange.h"
#include "api/router.h"

namespace outboxd::api {

class Dispatcher {
 public:
  Dispatcher(std::vector<Route> routes, std::shared_ptr<const Authenticator> auth,
             std::vector<std::string> allowed_hosts)
      : router_(std::move(routes)), auth_(std::move(auth)), allowed_hosts_(std::move(allowed_hosts)) {}

  // Any thread. Every request is answered, now or by its handler later; what a handler throws is logged and
  // answered 500, without its text.
  void handle(const std::shared_ptr<PendingExchange>& exchange) const;

 private:
  void route(const std::shared_ptr<PendingExchange>& exchange) const;
  Result<void> authorise(const PendingExchange& exchange, Scope needed) const;

  Router router_;
  std::shared_ptr<const Authenticator> auth_;
  std::vector<std::string> allowed_hosts_;
};

}  // namespace outboxd::api
