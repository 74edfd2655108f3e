// How a browser stays signed in: a cookie that holds the token itself, so that the daemon keeps no sessions and a token that is
// revoked lets nobody in from the next request on; and, for each change, a proof that only a page of ours can give. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/exchange.h"

namespace outboxd::api {

inline constexpr std::string_view kSessionPath = "/v1/session";
inline constexpr std::string_view kSessionCookie = "outboxd_token";
inline constexpr std::string_view kProofHeader = "outboxd-csrf";
inline constexpr std::size_t kMaxSessionToken = 256;
// Of the body with which somebody whom we do not know yet signs in.
inline constexpr std::size_t kMaxSignInBody = 1024;

// The token in the session's cookie, a view into `headers`; nullopt when there is none, or an Authorization header, which alone
// counts then, or when there are two.
std::optional<std::string_view> session_token(std::span<const HeaderField> headers);

// Are there two different ones? Another service of this host may set a cookie for its path of ours, which then comes first:
// somebody would be signed in as another without noticing. (The same one twice does no harm.)
bool has_two_sessions(std::span<const HeaderField> headers);

// Is this POST /v1/session? `path` as sent.
bool is_sign_in(std::string_view method, std::string_view path);

// The hex HMAC-SHA256 of "outboxd csrf" with the token as its key. GET /v1/session tells it; a page of another origin can
// neither read that answer nor, without CORS, send the header.
std::string csrf_proof(std::string_view token);

// kForbidden when a request that the cookie of `token` lets in changes something and does not carry that proof. Compares in
// constant time.
Result<void> check_csrf(const Request& request, std::string_view token);

// Values of Set-Cookie. `tls`: is it the browser's connection, for Secure? `token` must be a cookie's value (cookie.h).
std::string set_session_cookie(std::string_view token, bool tls);
std::string clear_session_cookie(bool tls);

}  // namespace outboxd::api
