#include "api/query_string.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::api;

namespace {

using Parameters = std::multimap<std::string, std::string>;

std::string several(std::size_t n) {
  std::string query;
  for (std::size_t i = 0; i < n; ++i) query += "x" + std::to_string(i) + "=1&";
  return query;
}

}  // namespace

TEST_CASE("names and values of a query are decoded, and a plus is a space") {
  CHECK(*parse_query("q=a%26b+c&%6e=2%2B3&flag&e=&u=a?b/c") ==
        Parameters{{"q", "a&b c"}, {"n", "2+3"}, {"flag", ""}, {"e", ""}, {"u", "a?b/c"}});
  CHECK(*parse_query("a=b=c") == Parameters{{"a", "b=c"}});
  CHECK(*parse_query("z=%00%ff") == Parameters{{"z", std::string("\0\xFF", 2)}});
}

TEST_CASE("a repeated name stays repeated, also with the same value") {
  CHECK(parse_query("a=1&a=2&a=2")->count("a") == 3);
}

TEST_CASE("nothing between two ampersands is no parameter, an empty name is one") {
  CHECK(parse_query("")->empty());
  CHECK(parse_query("&&")->empty());
  CHECK(*parse_query("&a=1&") == Parameters{{"a", "1"}});
  CHECK(*parse_query("=1") == Parameters{{"", "1"}});
}

TEST_CASE("a broken escape and too many parameters are refused") {
  for (const char* query : {"a=%", "a=%4", "%zz=1", "a=1&b=%g0"}) {
    CAPTURE(query);
    const auto parsed = parse_query(query);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ProblemCode::kMalformed);
  }
  CHECK(parse_query(several(kMaxQueryParameters))->size() == kMaxQueryParameters);
  const auto parsed = parse_query(several(kMaxQueryParameters + 1));
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == ProblemCode::kInvalidParameter);
}
