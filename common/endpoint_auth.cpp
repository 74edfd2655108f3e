#include "common/endpoint_auth.h"

#include "common/enum_names.h"
#include "common/text.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, 3> kSchemes = {"bearer", "basic", "header"};
static_assert(kSchemes.size() == static_cast<std::size_t>(AuthScheme::kHeader) + 1);
}  // namespace

std::string_view to_string(AuthScheme scheme) {
  return name_of(kSchemes, scheme);
}
std::optional<AuthScheme> parse_auth_scheme(std::string_view text) {
  return enum_of<AuthScheme>(kSchemes, text);
}

HeaderField header_of(const EndpointAuth& auth) {
  switch (auth.scheme) {
    case AuthScheme::kBearer:
      return {"authorization", "Bearer " + auth.secret};
    case AuthScheme::kBasic:
      return {"authorization", "Basic " + base64_encode(auth.name + ":" + auth.secret)};
    case AuthScheme::kHeader:
      break;
  }
  return {auth.name, auth.secret};
}

}  // namespace outboxd
