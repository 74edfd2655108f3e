// What a worker does with a complete request: the browser rules, the route, the caller's right to it, the
// handler. Knows no sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/auth.h"
#include "api/pending_exchange.h"
#include "api/router.h"
#include "common/clock.h"

namespace outboxd::api {

// One line a second at most: whoever is refused could fill the disk with them.
class RefusalLog {
 public:
  void note(const PendingExchange& exchange, const Problem& refusal);

 private:
  std::mutex mutex_;
  MonotonicTime next_{};
  std::uint64_t left_out_ = 0;  // since the last line; the next one says so
};

class Dispatcher {
 public:
  Dispatcher(std::vector<Route> routes, std::shared_ptr<const Authenticator> auth,
             std::vector<std::string> allowed_hosts)
      : router_(std::move(routes)), auth_(std::move(auth)), allowed_hosts_(std::move(allowed_hosts)) {}

  // Any thread. The requests that are being authorised go by the old one.
  void set_authenticator(std::shared_ptr<const Authenticator> auth) {
    std::atomic_store(&auth_, std::move(auth));
  }

  // Any thread, as soon as a request's head is there: a caller without a token does not get to send a body, which would
  // take memory from others.
  std::optional<HttpRefusal> why_unknown(const Caller& caller, const Head& head) const;

  // Any thread. A new request is routed, one that was resumed goes on. Every request is answered, now or by its handler
  // later; what a handler throws is logged and answered 500, without its text.
  void handle(const std::shared_ptr<PendingExchange>& exchange);

 private:
  void route(const std::shared_ptr<PendingExchange>& exchange);
  void refuse(PendingExchange& exchange, const Problem& problem);
  struct Granted {
    Scope scope;
    std::string token;  // the name of the one that allows it, "" when it takes none
  };
  Result<Granted> authorise(const PendingExchange& exchange, Scope needed) const;

  Router router_;
  std::shared_ptr<const Authenticator> auth_;  // swapped; read through std::atomic_load
  std::vector<std::string> allowed_hosts_;
  RefusalLog refusals_;
};

}  // namespace outboxd::api
