#include "api/dispatcher.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <utility>

#include "api/browser_guard.h"
#include "api/browser_session.h"
#include "api/percent.h"
#include "api/query_string.h"
#include "common/text.h"
#include "common/words.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxLoggedPath = 256;
constexpr std::size_t kMaxLoggedMethod = 16;
constexpr std::chrono::seconds kRefusalInterval{1};

// A token says more than the address that it came from.
std::string who_calls(const Caller& caller, std::string_view token) {
  if (!token.empty()) return "token " + std::string(token);
  return caller.unix_socket ? "uid " + std::to_string(caller.counted_as.id) : caller.peer;
}

Answer no_route_answer(const Router::NoRoute& no_route) {
  if (no_route.allowed.empty())
    return problem_answer({ProblemCode::kNotFound, "There is nothing at this path."});
  auto answer =
      problem_answer({ProblemCode::kMethodNotAllowed, "This path takes only " + no_route.allowed + "."});
  answer.headers.push_back({"allow", no_route.allowed});
  return answer;
}

// A header given twice is refused, because a proxy in front of us may have looked at the other one.
std::optional<Problem> why_headers_refused(const Request& request) {
  constexpr std::array<std::string_view, 6> kOnce{"authorization",   "content-type", "cookie",
                                                  "idempotency-key", "origin",       kProofHeader};
  for (const std::string_view name : kOnce) {
    const auto count = std::ranges::count_if(
        request.headers, [name](const HeaderField& h) { return ascii_iequals(h.name, name); });
    if (count > 1)
      return Problem{ProblemCode::kMalformed,
                     "The header " + std::string(name) + " is given more than once."};
  }
  return std::nullopt;
}

// Does it ask to see secrets? Handlers log that.
bool reveals(const Request& request) {
  const auto asked = request.query.find("reveal");
  return asked != request.query.end() && asked->second == "true";
}

// Bodies with a content coding are refused, because nothing here decodes them (RFC 9110, 15.5.16).
std::optional<Answer> why_coding_refused(const Request& request) {
  const auto coding = request.header("content-encoding");
  if (!coding || only_reads(request.method) || ascii_iequals(*coding, "identity")) return std::nullopt;
  auto answer =
      problem_answer({ProblemCode::kUnsupportedMediaType,
                      "The body must be sent without a Content-Encoding; got " + in_quotes(*coding) + '.'});
  answer.headers.push_back({"accept-encoding", "identity"});
  return answer;
}

// What a browser may ask for that the cookie lets in.
Result<void> check_session(const PendingExchange& exchange, Access access, std::string_view token) {
  const Request& request = exchange.request();
  if (is_sign_in(request.method, exchange.path())) return {};
  // The pages themselves may be linked to from anywhere.
  if (access == Access::kOpen && only_reads(request.method)) return {};
  return check_read(request).and_then([&] { return check_csrf(request, token); });
}

}  // namespace

void RefusalLog::note(const Request& request, std::string_view path, const Problem& refusal) {
  std::uint64_t left_out = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) {
      ++left_out_;
      return;
    }
    next_ = now + kRefusalInterval;
    left_out = std::exchange(left_out_, 0);
  }
  log::warn("caller refused", {{"method", request.method.substr(0, kMaxLoggedMethod)},
                               {"path", path.substr(0, kMaxLoggedPath)},
                               {"status", kind_of(refusal.code).status},
                               {"peer", request.peer},
                               {"reason", refusal.detail},
                               {"left_out", left_out}});
}

std::vector<Dispatcher::QuickRoute> Dispatcher::quick_ones(const std::vector<Route>& routes) {
  std::vector<QuickRoute> quick;
  for (const Route& route : routes) {
    if (route.quick)
      quick.push_back({route.method, route.path});  // NOLINT(performance-inefficient-vector-operation): one
  }
  return quick;
}

Dispatcher::Dispatcher(std::vector<Route> routes, std::shared_ptr<const Authenticator> auth,
                       std::vector<std::string> allowed_hosts, std::shared_ptr<AuditLog> audit)
    : quick_routes_(quick_ones(routes)),
      router_(std::move(routes)),
      auth_(std::move(auth)),
      allowed_hosts_(std::move(allowed_hosts)),
      audit_(std::move(audit)) {}

bool Dispatcher::has_quick_route(const Head& head) const {
  return std::ranges::any_of(quick_routes_, [&head](const QuickRoute& route) {
    return route.method == head.method && route.path == head.target;
  });
}

void Dispatcher::handle(const std::shared_ptr<PendingExchange>& exchange) {
  try {
    const Handler rest = exchange->take_rest();
    rest ? rest(exchange) : route(exchange);
  } catch (const std::exception& e) {
    exchange->respond(failure_answer(exchange->request(), e.what()));
  } catch (...) {
    exchange->respond(failure_answer(exchange->request(), "an exception of unknown type"));
  }
}

void Dispatcher::route(const std::shared_ptr<PendingExchange>& exchange) {
  const Caller& caller = exchange->caller();
  if (!caller.unix_socket && !host_allowed(exchange->host(), caller.local_address, allowed_hosts_)) {
    return refuse(*exchange, {ProblemCode::kForbidden,
                              "The Host header names neither this machine's loopback nor an allowed host."});
  }
  Request& request = exchange->mutable_request();
  if (const auto why = why_headers_refused(request)) return refuse(*exchange, *why);
  if (!caller.unix_socket && has_two_sessions(request.headers)) {
    return refuse(*exchange, {ProblemCode::kMalformed,
                              "The browser sends two different cookies " + std::string(kSessionCookie) +
                                  ": another service of this host has set one. Delete the cookies of this "
                                  "host, and sign in again."});
  }
  auto match = router_.find(request.method, exchange->path());
  if (!match) return exchange->respond(no_route_answer(match.error()));
  exchange->set_route(match->route);
  request.path = percent_decode(exchange->path()).value_or("");
  request.path_parameters = std::move(match->path_parameters);
  if (!caller.unix_socket) {
    request.transport = caller.tls ? Transport::kTls : Transport::kTcp;
    if (const auto checked = check_write(request); !checked) return refuse(*exchange, checked.error());
  }
  const Access access = match->route->access;
  auto granted = authorise(*exchange, access);
  if (!granted) return refuse(*exchange, granted.error());
  if (granted->session) {
    if (const auto checked = check_session(*exchange, access, *granted->session); !checked)
      return refuse(*exchange, checked.error());
  }
  request.from_browser = granted->session.has_value();
  request.who = who_calls(caller, granted->token);
  request.scope = granted->grant.scope;
  request.tenant = std::move(granted->grant.tenant);
  auto query = parse_query(exchange->query_string());
  if (!query) return refuse(*exchange, query.error());
  request.query = std::move(*query);
  if (auto refused = why_coding_refused(request)) return exchange->respond(std::move(*refused));
  const bool changes = !allows(access, Scope::kIngest) && !only_reads(request.method);
  if (changes || (!allows(access, Scope::kView) && reveals(request))) exchange->audit_answer(audit_);
  if (changes) exchange->log_answer(std::move(granted->token));
  match->route->handler(exchange);
}

std::optional<HttpRefusal> Dispatcher::why_unknown(const Caller& caller, const Head& head) const {
  if (caller.unix_socket) return std::nullopt;
  const auto known = identify(*std::atomic_load(&auth_), head.headers);
  if (known) return std::nullopt;
  if (!is_sign_in(head.method, head.target)) return HttpRefusal{401, known.error().detail};
  // Who signs in has nothing yet to be known by, so he may send what that takes, and no more.
  if (!head.chunked && head.content_length <= kMaxSignInBody) return std::nullopt;
  return HttpRefusal{413, "Who signs in may send a body of at most " + std::to_string(kMaxSignInBody) +
                              " bytes, with its Content-Length."};
}

void Dispatcher::refuse(PendingExchange& exchange, const Problem& problem) {
  auto answer = problem_answer(problem);
  if (answer.status == 401) answer.headers.push_back({"www-authenticate", "Bearer"});
  if (answer.status == 401 || answer.status == 403)
    refusals_.note(exchange.request(), exchange.path(), problem);
  exchange.respond(std::move(answer));
}

// Who calls over TCP: by the Authorization header or, without one, by the session's cookie.
Result<Dispatcher::Granted> Dispatcher::identify(const Authenticator& auth,
                                                 std::span<const HeaderField> headers) {
  const auto session = auth.asks_for_tokens() ? session_token(headers) : std::nullopt;
  if (session) {
    const auto grant = auth.authorise_token(*session);
    if (!grant) {
      return problem(ProblemCode::kUnauthorized,
                     "The token that this browser signed in with is not known any more: sign in again.");
    }
    return Granted{*grant, std::string(grant->name), session};
  }
  const auto header = std::ranges::find_if(
      headers, [](const HeaderField& h) { return ascii_iequals(h.name, "authorization"); });
  const auto grant =
      auth.authorise(header == headers.end() ? std::string_view() : std::string_view(header->value));
  if (!grant) return tl::unexpected(grant.error());
  return Granted{*grant, std::string(grant->name), std::nullopt};
}

Result<Dispatcher::Granted> Dispatcher::authorise(const PendingExchange& exchange, Access access) const {
  const Caller& caller = exchange.caller();
  if (caller.unix_socket) {
    if (allows(access, caller.scope)) return Granted{{caller.scope}, "", std::nullopt};
    return problem(ProblemCode::kForbidden, "This socket is for sending events only; use the admin socket.");
  }
  const auto auth = std::atomic_load(&auth_);
  auto granted = identify(*auth, exchange.request().headers);
  if (!granted) {
    if (access == Access::kOpen) return Granted{{Scope::kNone}, "", std::nullopt};
    return tl::unexpected(granted.error());
  }
  if (!auth->asks_for_tokens() && !allows(access, granted->grant.scope))
    return problem(ProblemCode::kForbidden, std::string(kProducersOnly));
  if (const auto checked = check_access(access, granted->grant); !checked)
    return tl::unexpected(checked.error());
  return granted;
}

}  // namespace outboxd::api
