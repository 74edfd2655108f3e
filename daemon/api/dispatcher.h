// What is done with a complete request, by a worker or by the loop: the browser rules, the route, the caller's right to
// it, the handler. Knows no sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth.h"
#include "api/pending_exchange.h"
#include "api/router.h"
#include "common/clock.h"

namespace outboxd::api {

// Logs at most one refusal a second: otherwise a refused caller could fill the disk with log lines.
class RefusalLog {
 public:
  void note(const Request& request, std::string_view path, const Problem& refusal);

 private:
  std::mutex mutex_;
  MonotonicTime next_{};
  std::uint64_t left_out_ = 0;  // since the last line; the next line says how many
};

class Dispatcher {
 public:
  Dispatcher(std::vector<Route> routes, std::shared_ptr<const Authenticator> auth,
             std::vector<std::string> allowed_hosts, std::shared_ptr<AuditLog> audit);

  // Any thread. Requests that are being authorised already use the old one.
  void set_authenticator(std::shared_ptr<const Authenticator> auth) {
    std::atomic_store(&auth_, std::move(auth));
  }

  std::shared_ptr<const Authenticator> authenticator() const { return std::atomic_load(&auth_); }
  // Any thread: a handler has refused this caller.
  void note_refusal(const Request& request, const Problem& refusal) {
    refusals_.note(request, request.path, refusal);
  }

  // Any thread, as soon as a request's head is complete: why this caller may not send a body; nullopt: it may. A caller
  // without a valid token may not, because the body would take memory from others.
  std::optional<HttpRefusal> why_unknown(const Caller& caller, const Head& head) const;

  // Any thread. Is it for a route whose small requests may be handled on the loop? The path must be as the route has it,
  // without a query: nobody sends events otherwise, and who does goes to a worker.
  bool has_quick_route(const Head& head) const;

  // Any thread. Routes a new request, or continues a resumed one. Every request is answered, now or later by its
  // handler; an exception is logged and answered with 500, without its text.
  void handle(const std::shared_ptr<PendingExchange>& exchange);

 private:
  void route(const std::shared_ptr<PendingExchange>& exchange);
  void refuse(PendingExchange& exchange, const Problem& problem);
  struct Granted {
    Grant grant;
    std::string token;  // name of the token that allows it, "" if none was needed
    // What the session's cookie holds, if it is what allows it; valid as long as the request's headers.
    std::optional<std::string_view> session = {};
  };
  static Result<Granted> identify(const Authenticator& auth, std::span<const HeaderField> headers);
  Result<Granted> authorise(const PendingExchange& exchange, Access access) const;

  struct QuickRoute {
    std::string method, path;
  };
  static std::vector<QuickRoute> quick_ones(const std::vector<Route>& routes);

  const std::vector<QuickRoute> quick_routes_;
  Router router_;
  std::shared_ptr<const Authenticator> auth_;  // swapped; read through std::atomic_load
  std::vector<std::string> allowed_hosts_;
  const std::shared_ptr<AuditLog> audit_;  // may be null
  RefusalLog refusals_;
};

}  // namespace outboxd::api
