#include "api/browser_session.h"

#include <algorithm>

#include "common/cookie.h"
#include "common/hmac.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

std::optional<std::string_view> find_header(std::span<const HeaderField> headers, std::string_view name) {
  const auto found =
      std::ranges::find_if(headers, [name](const HeaderField& h) { return ascii_iequals(h.name, name); });
  if (found == headers.end()) return std::nullopt;
  return found->value;
}

std::string cookie_with(std::string_view token, bool tls) {
  std::string cookie(kSessionCookie);
  cookie.append("=").append(token).append("; Path=/; HttpOnly; SameSite=Strict");
  if (tls) cookie.append("; Secure");
  return cookie;
}

}  // namespace

std::optional<std::string_view> session_token(std::span<const HeaderField> headers) {
  if (find_header(headers, "authorization")) return std::nullopt;
  const auto header = find_header(headers, "cookie");
  if (!header) return std::nullopt;
  const auto token = cookie_value(*header, kSessionCookie);
  if (!token || token->size() > kMaxSessionToken) return std::nullopt;
  if (has_two_sessions(headers)) return std::nullopt;
  return token;
}

bool has_two_sessions(std::span<const HeaderField> headers) {
  const auto header = find_header(headers, "cookie");
  return header && !find_header(headers, "authorization") && has_two_values(*header, kSessionCookie);
}

bool is_sign_in(std::string_view method, std::string_view path) {
  return method == "POST" && path == kSessionPath;
}

std::string csrf_proof(std::string_view token) {
  return hex_encode(Hmac("SHA256", token).of({"outboxd csrf"}));
}

Result<void> check_csrf(const Request& request, std::string_view token) {
  if (only_reads(request.method)) return {};
  const auto given = request.header(kProofHeader);
  if (given && constant_time_equal(*given, csrf_proof(token))) return {};
  return problem(ProblemCode::kForbidden, "A change by a signed-in browser needs the header " +
                                              std::string(kProofHeader) + " with the value that GET " +
                                              std::string(kSessionPath) + " tells as csrf; it is " +
                                              (given ? "another one." : "missing."));
}

std::string set_session_cookie(std::string_view token, bool tls) {
  return cookie_with(token, tls);
}

std::string clear_session_cookie(bool tls) {
  return cookie_with("", tls) + "; Max-Age=0";
}

}  // namespace outboxd::api
