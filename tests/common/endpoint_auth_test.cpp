#include "common/endpoint_auth.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "common/text.h"

using namespace outboxd;

TEST_CASE("a bearer token is sent as RFC 6750 has it") {
  CHECK(header_of({AuthScheme::kBearer, "", "mF_9.B5f-4.1JqM"}) ==
        HeaderField{"authorization", "Bearer mF_9.B5f-4.1JqM"});
}

TEST_CASE("user and password are sent as RFC 7617 has them") {
  CHECK(header_of({AuthScheme::kBasic, "Aladdin", "open sesame"}) ==
        HeaderField{"authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="});
  // Section 2.1: the example with a pound sign, in UTF-8.
  CHECK(header_of({AuthScheme::kBasic, "test", "123\xC2\xA3"}) ==
        HeaderField{"authorization", "Basic dGVzdDoxMjPCow=="});
  CHECK(header_of({AuthScheme::kBasic, "user", ""}).value == "Basic dXNlcjo=");
  CHECK(header_of({AuthScheme::kBasic, "", "token:with:colons"}).value ==
        "Basic " + base64_encode(":token:with:colons"));
}

TEST_CASE("a header of choice is sent as it was given") {
  CHECK(header_of({AuthScheme::kHeader, "X-Api-Key", "k 1,2"}) == HeaderField{"X-Api-Key", "k 1,2"});
}

TEST_CASE("the kinds of credentials are read as they are written") {
  for (const auto scheme : {AuthScheme::kBearer, AuthScheme::kBasic, AuthScheme::kHeader})
    CHECK(parse_auth_scheme(to_string(scheme)) == scheme);
  CHECK(to_string(AuthScheme::kBasic) == "basic");
  CHECK_FALSE(parse_auth_scheme("Bearer"));
  CHECK_FALSE(parse_auth_scheme("digest"));
  CHECK_FALSE(parse_auth_scheme(""));
}

TEST_CASE("whatever they are, user and password come back from what is sent") {
  CHECK(rc::check([](const std::string& user, const std::string& password) {
    RC_PRE(user.find(':') == std::string::npos);
    const HeaderField field = header_of({AuthScheme::kBasic, user, password});
    RC_ASSERT(field.value.starts_with("Basic "));
    RC_ASSERT(base64_decode(field.value.substr(6)) == user + ":" + password);
  }));
}
