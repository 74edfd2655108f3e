#include "common/payload_filter.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "common/json_number.h"

using namespace outboxd;

namespace {

PayloadFilter filter(const std::string& text) {
  auto parsed = PayloadFilter::parse(text, "/filter");
  if (!parsed) FAIL(text << ": " << parsed.error().front().pointer << " " << parsed.error().front().detail);
  return std::move(*parsed);
}

bool holds(const std::string& conditions, const std::string& payload) {
  const auto tree = JsonTree::parse(payload);
  REQUIRE(tree);
  return filter(conditions).holds(*tree);
}

std::string refused(const std::string& text) {
  const auto parsed = PayloadFilter::parse(text, "/filter");
  REQUIRE_FALSE(parsed);
  return parsed.error().front().pointer + ": " + parsed.error().front().detail;
}

}  // namespace

TEST_CASE("all conditions must hold") {
  const std::string conditions =
      R"({"/amount": {"gte": 100}, "/currency": {"in": ["EUR", "CHF"]}, "/customer/vip": true})";
  CHECK(holds(conditions, R"({"amount": 100, "currency": "CHF", "customer": {"vip": true}})"));
  CHECK_FALSE(holds(conditions, R"({"amount": 99.99, "currency": "CHF", "customer": {"vip": true}})"));
  CHECK_FALSE(holds(conditions, R"({"amount": 100, "currency": "USD", "customer": {"vip": true}})"));
  CHECK_FALSE(holds(conditions, R"({"amount": 100, "currency": "EUR", "customer": {}})"));
  CHECK(holds("{}", "17"));
}

TEST_CASE("numbers are compared exactly") {
  CHECK(holds(R"({"/n": 12345678901234567890})", R"({"n": 12345678901234567890})"));
  CHECK_FALSE(holds(R"({"/n": 12345678901234567890})", R"({"n": 12345678901234567891})"));
  CHECK(holds(R"({"/n": {"lt": 12345678901234567891}})", R"({"n": 12345678901234567890})"));
  CHECK(holds(R"({"/n": 1.10})", R"({"n": 1.1})"));
  CHECK(holds(R"({"/n": 100})", R"({"n": 1e2})"));
  CHECK_FALSE(holds(R"({"/n": 0.1})", R"({"n": 0.1000000000000000055511151231257827})"));
  CHECK(holds(R"({"/n": {"lt": 1e400}})", R"({"n": 1e399})"));
  CHECK(holds(R"({"/n": 0})", R"({"n": -0.0e5})"));
}

TEST_CASE("a value of another kind, or none, is not equal and not less") {
  CHECK_FALSE(holds(R"({"/n": {"lt": 5}})", R"({"n": "4"})"));
  CHECK_FALSE(holds(R"({"/n": {"gte": "4"}})", R"({"n": 5})"));
  CHECK_FALSE(holds(R"({"/n": 1})", R"({"n": true})"));
  CHECK(holds(R"({"/n": {"ne": 1}})", R"({"n": "1"})"));
  CHECK_FALSE(holds(R"({"/n": {"ne": 1}})", R"({"m": 2})"));
  CHECK(holds(R"({"/n": {"exists": false}})", R"({"m": 2})"));
  CHECK(holds(R"({"/n": {"exists": true}})", R"({"n": null})"));
  CHECK(holds(R"({"/n": null})", R"({"n": null})"));
  CHECK_FALSE(holds(R"({"/n": {"prefix": "a"}})", R"({"n": ["ab"]})"));
  CHECK_FALSE(holds(R"({"/n": {"ne": 1}})", "17"));
}

TEST_CASE("pointers reach into objects and arrays, by decoded names") {
  const std::string payload = R"({"a/b": {"~": [10, {"\u00e4": "x"}]}, "": 1, "a": 1, "a": 2})";
  CHECK(holds(R"({"/a~1b/~0/0": 10})", payload));
  CHECK(holds("{\"/a~1b/~0/1/\xC3\xA4\": \"x\"}", payload));
  CHECK(holds(R"({"/": 1})", payload));
  CHECK(holds(R"({"/a": 2})", payload));
  CHECK(holds(R"({"/a~1b/~0/2": {"exists": false}})", payload));
  CHECK(holds(R"({"/a~1b/~0/00": {"exists": false}})", payload));
  CHECK(holds(R"({"": {"exists": true}})", payload));
  CHECK(holds(R"({"": {"gt": 16}})", "17"));
}

TEST_CASE("each condition is told with what is there") {
  const auto tree = JsonTree::parse(R"({"amount": 5.0, "customer": {"vip": true}})");
  const auto told =
      filter(R"({"/amount": {"gte": 100, "lt": 10}, "/currency": {"in": ["EUR"]}})").explain(*tree);
  REQUIRE(told.size() == 3);
  CHECK(told[0].pointer == "/amount");
  CHECK(told[0].condition == "gte");
  CHECK(told[0].wanted == "100");
  CHECK(told[0].found == "5.0");
  CHECK_FALSE(told[0].holds);
  CHECK(told[1].holds);
  CHECK(told[2].wanted == R"(["EUR"])");
  CHECK_FALSE(told[2].found);
}

TEST_CASE("what is no filter is refused, field by field") {
  CHECK(refused("[]").starts_with("/filter: must be an object of JSON Pointers"));
  CHECK(refused("{").starts_with("/filter: must be JSON"));
  CHECK(refused(R"({"amount": 1})").starts_with("/filter/amount: must be a JSON Pointer"));
  CHECK(refused(R"({"/a~2": 1})").starts_with("/filter/~1a~02: must be a JSON Pointer"));
  CHECK(refused(R"({"/a": {"gte": 1, "ltt": 2}})").starts_with("/filter/~1a/ltt: is no condition"));
  CHECK(refused(R"({"/a": {}})").starts_with("/filter/~1a: has no condition"));
  CHECK(refused(R"({"/a": {"eq": {"b": 1}}})").starts_with("/filter/~1a/eq: must be a string, a number"));
  CHECK(refused(R"({"/a": [1]})").starts_with("/filter/~1a: must be a string, a number"));
  CHECK(refused(R"({"/a": {"lt": true}})").starts_with("/filter/~1a/lt: must be a number or a string"));
  CHECK(refused(R"({"/a": {"in": 1}})").starts_with("/filter/~1a/in: must be an array"));
  CHECK(refused(R"({"/a": {"in": []}})").starts_with("/filter/~1a/in: must have 1 to 256"));
  CHECK(refused(R"({"/a": {"in": [1, []]}})").starts_with("/filter/~1a/in/1: must be a string"));
  CHECK(refused(R"({"/a": {"exists": 1}})").starts_with("/filter/~1a/exists: must be true or false"));
  CHECK(refused(R"({"/a": {"prefix": 1}})").starts_with("/filter/~1a/prefix: must be a string"));
  CHECK(refused(R"({"/a": 1, "/a": 2})").starts_with("/filter/~1a: is given twice"));
  CHECK(refused(R"({"/a": "\ud800"})").starts_with("/filter/~1a: has no UTF-8 form"));
  CHECK(refused("{\"/a\": \"" + std::string(PayloadFilter::kMaxText, 'x') + "\"}")
            .starts_with("/filter: must have at most"));
}

TEST_CASE("numbers are ordered as what they mean, in every way of writing them") {
  CHECK(rc::check([] {
    // An integer in 1e-6ths, written once plainly and once with an exponent: compared as the integers are.
    const auto a = *rc::gen::inRange<std::int64_t>(-2'000'000'000, 2'000'000'000);
    const auto b = *rc::gen::oneOf(rc::gen::just(a), rc::gen::inRange<std::int64_t>(a - 3, a + 4));
    const auto shift = *rc::gen::inRange(0, 30);
    const auto written = [&](std::int64_t n, int zeros) {
      return std::to_string(n) + (zeros > 0 ? "." + std::string(static_cast<std::size_t>(zeros), '0') : "") +
             "e" + std::to_string(-shift);
    };
    const auto moved = [&](std::int64_t n) {
      return std::to_string(n) + std::string(5, '0') + "E-" + std::to_string(shift + 5);
    };
    const auto order = compare_json_numbers(written(a, 3), moved(b));
    RC_ASSERT((order == 0) == (a == b));
    RC_ASSERT((order < 0) == (a < b));
  }));
}

TEST_CASE("a number that would not be kept is found") {
  for (const char* const kept :
       {"12345678901234567890", "1.10", "[1e2, -0.5]", "{\"a\": 0.1}", "\"0.1000000000000000055\""})
    CHECK_FALSE(first_changed_number(kept));
  CHECK(first_changed_number(R"({"a": [1, 123456789012345678901]})") == "123456789012345678901");
  CHECK(first_changed_number("0.1000000000000000055") == "0.1000000000000000055");
  CHECK(first_changed_number("1e400") == "1e400");
}
