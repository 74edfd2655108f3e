// /v1/session: who calls, and how a browser signs in with a token and out again. The token stays in a cookie that no page can
// read; the daemon keeps nothing.
#include <string>
#include <utility>

#include "api/auth.h"
#include "api/browser_session.h"
#include "api/handling.h"
#include "api/routes.h"
#include "common/cookie.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

struct Session {
  Grant grant;
  std::string who;                  // as in records
  std::optional<std::string> csrf;  // absent: changes need none, because no cookie lets the caller in
};

Json json_of_session(const Context& context, const Session& session) {
  const auto& tenant = session.grant.tenant;
  return {{"scope", to_string(session.grant.scope)},
          {"tenant", tenant ? Json(*tenant) : Json(nullptr)},
          {"who", session.who},
          {"csrf", session.csrf ? Json(*session.csrf) : Json(nullptr)},
          {"payloads", context.dashboard_payloads},
          {"tokens", context.authenticator()->asks_for_tokens()}};
}

Session session_of(const Request& request) {
  Session session{{request.scope, request.tenant}, request.who, std::nullopt};
  const auto token = request.from_browser ? session_token(request.headers) : std::nullopt;
  if (token) session.csrf = csrf_proof(*token);
  return session;
}

bool over_tcp(const Request& request) {
  return request.transport != Transport::kUnixSocket;
}

// For the browser: a proxy in front of us may speak TLS with it, and then its page is of an https origin.
bool over_tls(const Request& request) {
  return request.transport == Transport::kTls ||
         request.header("origin").value_or("").starts_with("https://");
}

HeaderField clearing(const Request& request) {
  return {"set-cookie", clear_session_cookie(over_tls(request))};
}

Result<Answer> show_session(Context& context, const Request& request) {
  auto answer = json_answer(200, json_of_session(context, session_of(request)));
  // A token that was revoked must not be sent for ever. Behind a Unix socket stands a proxy, whose browser may have the cookie
  // of another daemon.
  if (over_tcp(request) && !request.from_browser && session_token(request.headers))
    answer.headers.push_back(clearing(request));
  return answer;
}

Result<std::string> token_of_body(const Request& request) {
  const auto body = action_body(request, {"token"});
  if (!body) return tl::unexpected(body.error());
  auto token = text_member(*body, "token");
  if (!token) return tl::unexpected(token.error());
  if (!*token) return invalid_parameter("/token", "is required: a token of scope view or admin");
  if ((*token)->size() > kMaxSessionToken || !is_cookie_value(**token)) {
    return invalid_parameter("/token", "must be 1 to " + std::to_string(kMaxSessionToken) +
                                           " characters of visible ASCII, without quotes, commas, semicolons "
                                           "and backslashes, to be kept in a cookie");
  }
  return std::move(**token);
}

// May this token sign a browser in? The dashboard is of no use to one who may read nothing.
Result<Session> sign_in_with(const Authenticator& auth, const Request& request, std::string_view token) {
  if (!auth.asks_for_tokens()) return problem(ProblemCode::kForbidden, std::string(kProducersOnly));
  const auto grant = auth.authorise_token(token);
  if (!grant) return tl::unexpected(grant.error());
  if (const auto checked = check_access(Access::kView, *grant); !checked)
    return tl::unexpected(checked.error());
  return Session{*grant, grant->name.empty() ? request.peer : "token " + std::string(grant->name),
                 csrf_proof(token)};
}

void sign_in(Context& context, const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  // The socket has let the caller in already.
  if (!over_tcp(request))
    return exchange->respond(json_answer(200, json_of_session(context, session_of(request))));
  const auto token = token_of_body(request);
  if (!token) return exchange->respond(token.error());
  const auto auth = context.authenticator();
  const auto session = sign_in_with(*auth, request, *token);
  if (!session) {
    context.note_refusal(request, session.error());
    auto refused = problem_answer(session.error());
    if (refused.status == 401) refused.headers.push_back({"www-authenticate", "Bearer"});
    return exchange->respond(std::move(refused));
  }
  log::info("signed in to the dashboard",
            {{"by", session->who}, {"scope", to_string(session->grant.scope)}, {"peer", request.peer}});
  auto answer = json_answer(200, json_of_session(context, *session));
  answer.headers.push_back({"set-cookie", set_session_cookie(*token, over_tls(request))});
  exchange->respond(std::move(answer));
}

Result<Answer> sign_out(Context&, const Request& request) {
  if (const auto body = action_body(request, {}); !body) return tl::unexpected(body.error());
  Answer answer{204, "", "", {}};
  if (over_tcp(request)) answer.headers.push_back(clearing(request));
  return answer;
}

}  // namespace

std::vector<Route> session_routes(Context& context) {
  return {{"GET", "/v1/session", Access::kOpen, answering(context, show_session)},
          {"POST", "/v1/session", Access::kOpen, deferring(context, sign_in)},
          {"DELETE", "/v1/session", Access::kOpen, answering(context, sign_out)}};
}

}  // namespace outboxd::api
