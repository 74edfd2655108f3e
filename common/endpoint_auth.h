// Credentials that a subscriber asks for in each request, in place of or beside a signature. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/event.h"

namespace outboxd {

enum class AuthScheme { kBearer, kBasic, kHeader };
std::string_view to_string(AuthScheme);  // "bearer", "basic", "header"
std::optional<AuthScheme> parse_auth_scheme(std::string_view);

struct EndpointAuth {
  AuthScheme scheme = AuthScheme::kBearer;
  std::string name;    // kBasic: the user; kHeader: the header's name
  std::string secret;  // the token, the password, the header's value: shown and kept like a signing secret
  bool operator==(const EndpointAuth&) const = default;
};

// The header that carries them: RFC 6750 (bearer), RFC 7617 (basic, UTF-8).
HeaderField header_of(const EndpointAuth& auth);

}  // namespace outboxd
