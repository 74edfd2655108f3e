#include "api/dispatcher.h"

#include <exception>

#include "api/browser_guard.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

void answer_failure(PendingExchange& exchange, const char* what) {
  log::error("a request failed", {{"method", exchange.request().method},
                                  {"path", exchange.request().path},
                                  {"peer", exchange.request().peer},
                                  {"error", what}});
  exchange.respond(
      Problem{ProblemCode::kInternal, "The request failed inside outboxd; the daemon's log says why."});
}

Answer no_route(const std::string& allowed_methods) {
  if (allowed_methods.empty())
    return problem_answer({ProblemCode::kNotFound, "There is nothing at this path."});
  auto answer =
      problem_answer({ProblemCode::kMethodNotAllowed, "This path takes only " + allowed_methods + "."});
  answer.headers.push_back({"allow", allowed_methods});
  return answer;
}

Answer refused_caller(const Problem& problem) {
  auto answer = problem_answer(problem);
  if (answer.status == 401) answer.headers.push_back({"www-authenticate", "Bearer"});
  return answer;
}

}  // namespace

void Dispatcher::handle(const std::shared_ptr<PendingExchange>& exchange) const {
  try {
    route(exchange);
  } catch (const std::exception& e) {
    answer_failure(*exchange, e.what());
  } catch (...) {
    answer_failure(*exchange, "an exception of unknown type");
  }
}

void Dispatcher::route(const std::shared_ptr<PendingExchange>& exchange) const {
  const Caller& caller = exchange->caller();
  if (!caller.unix_socket && !host_allowed(exchange->host(), caller.local_address, allowed_hosts_)) {
    return exchange->respond(
        Problem{ProblemCode::kForbidden,
                "The Host header names neither this machine's loopback nor an allowed host."});
  }
  Request& request = exchange->mutable_request();
  auto match = router_.find(request.method, exchange->target());
  if (!match) return exchange->respond(no_route(router_.allowed_methods(exchange->target())));
  exchange->set_route(match->route);
  request.path = std::move(match->path);
  request.path_parameters = std::move(match->path_parameters);
  request.query = std::move(match->query);
  if (!caller.unix_socket && !write_allowed(request)) {
    return exchange->respond(Problem{ProblemCode::kUnsupportedMediaType,
                                     "A write with an Origin header must have a JSON content type."});
  }
  if (const auto authorised = authorise(*exchange, match->route->scope); !authorised) {
    return exchange->respond(refused_caller(authorised.error()));
  }
  match->route->handler(exchange);
}

Result<void> Dispatcher::authorise(const PendingExchange& exchange, Scope needed) const {
  const Caller& caller = exchange.caller();
  if (caller.scope >= needed) return {};
  if (caller.unix_socket) {
    return problem(ProblemCode::kForbidden, "This socket is for sending events only; use the admin socket.");
  }
  const auto scope = auth_->authorise(exchange.request().header("authorization").value_or(""));
  if (!scope) return tl::unexpected(scope.error());
  if (*scope >= needed) return {};
  return problem(ProblemCode::kForbidden,
                 "The token's scope is ingest, and this needs a token of scope admin.");
}

}  // namespace outboxd::api
