#include "common/time.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace outboxd;
using namespace std::chrono_literals;

TEST_CASE("a time is written in UTC with milliseconds") {
  CHECK(format_time(from_unix_millis(0)) == "1970-01-01T00:00:00.000Z");
  CHECK(format_time(from_unix_millis(1'764'429'660'007)) == "2025-11-29T15:21:00.007Z");
  CHECK(format_time(from_unix_millis(951'782'400'000)) == "2000-02-29T00:00:00.000Z");
}

TEST_CASE("a time outside the years that can be read is written as the nearest that can") {
  CHECK(format_time(from_unix_millis(-1)) == "1970-01-01T00:00:00.000Z");
  CHECK(format_time(Time::max()) == "9999-12-31T23:59:59.999Z");
  CHECK(format_time(Time::min()) == "1970-01-01T00:00:00.000Z");
}

TEST_CASE("RFC 3339 times are read with any offset and fraction") {
  const Time expected = from_unix_millis(1'764'429'660'123);
  for (const char* text :
       {"2025-11-29T15:21:00.123Z", "2025-11-29t15:21:00.123z", "2025-11-29T15:21:00.123456789Z",
        "2025-11-29T16:21:00.123+01:00", "2025-11-29T09:51:00.123-05:30", "2025-11-29T15:21:00.123+00:00",
        "2025-11-30T15:20:00.123+23:59"}) {
    CAPTURE(text);
    CHECK(parse_time(text) == expected);
  }
  CHECK(parse_time("2025-11-29T15:21:00Z") == expected - 123ms);
  CHECK(parse_time("2025-11-29T15:21:00.1Z") == expected - 23ms);
  CHECK(parse_time("1970-01-01T00:00:00Z") == from_unix_millis(0));
  CHECK(parse_time("9999-12-31T23:59:59.999Z") == from_unix_millis(253'402'300'799'999));
}

TEST_CASE("a leap second is the first second of the next month") {
  CHECK(parse_time("2016-12-31T23:59:60Z") == parse_time("2017-01-01T00:00:00Z"));
  CHECK(parse_time("2017-01-01T00:59:60.5+01:00") == parse_time("2017-01-01T00:00:00.5Z"));
  CHECK_FALSE(parse_time("2016-12-30T23:59:60Z"));
  CHECK_FALSE(parse_time("2016-12-31T23:58:60Z"));
  CHECK_FALSE(parse_time("2016-12-31T23:59:61Z"));
}

TEST_CASE("what is no RFC 3339 time from 1970 to 9999 is refused") {
  for (const char* text : {"",
                           "2025",
                           "2025-11-29",
                           "2025-11-29T15:21Z",
                           "2025-11-29T15:21:00",
                           "2025-11-29 15:21:00Z",
                           "2025-11-29T15:21:00.Z",
                           "2025-11-29T15:21:00.1234567890Z",
                           "2025-13-01T00:00:00Z",
                           "2025-00-01T00:00:00Z",
                           "2025-02-29T00:00:00Z",
                           "2025-01-32T00:00:00Z",
                           "2025-01-00T00:00:00Z",
                           "2025-01-01T24:00:00Z",
                           "2025-01-01T00:60:00Z",
                           "2025-01-01T00:00:00+24:00",
                           "2025-01-01T00:00:00+0100",
                           "2025-01-01T00:00:00+01",
                           "2025-01-01T00:00:00+01:60",
                           "1969-12-31T23:59:59Z",
                           "1970-01-01T00:00:00+00:01",
                           "9999-12-31T23:59:59-00:01",
                           "0000-01-01T00:00:00Z",
                           "2025-1-01T00:00:00Z",
                           "+2025-01-01T00:00:00Z",
                           "2025-01-01T00:00:00ZZ",
                           " 2025-01-01T00:00:00Z",
                           "2025-01-01T00:00:00Z ",
                           "2025-01-01T-1:00:00Z",
                           "2025-01-01T00:00:00,5Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_time(text));
  }
}

TEST_CASE("every time that is written reads back as itself") {
  CHECK(rc::check([] {
    const Time t = from_unix_millis(*rc::gen::inRange<std::int64_t>(0, 253'402'300'800'000));
    RC_ASSERT(parse_time(format_time(t)) == t);
    RC_ASSERT(format_time(t).size() == 24u);
  }));
}

TEST_CASE("durations are read in units from the largest down") {
  CHECK(parse_duration("90s") == 90s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("2h30m") == 150min);
  CHECK(parse_duration("7d") == 168h);
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("1d2h3m4s5ms") == 26h + 3min + 4s + 5ms);
  CHECK(parse_duration("0s") == 0ms);
  CHECK(parse_duration("1m1ms") == 1min + 1ms);
  CHECK(parse_duration("3650d") == 3650 * 24h);
}

TEST_CASE("what is no duration is refused") {
  for (const char* text : {"",
                           "5",
                           "s",
                           "-5s",
                           "+5s",
                           "5 s",
                           " 5s",
                           "5s ",
                           "1.5h",
                           "5S",
                           "5min",
                           "30m2h",
                           "1s1s",
                           "5ms1s",
                           "3651d",
                           "3650d1ms",
                           "99999999999999999999s",
                           "1w",
                           "1e3s",
                           "5s5",
                           "9223372036854775807d"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("durations are written in the shortest form") {
  CHECK(format_duration(0ms) == "0s");
  CHECK(format_duration(90s) == "1m30s");
  CHECK(format_duration(36h) == "1d12h");
  CHECK(format_duration(61'001ms) == "1m1s1ms");
  CHECK(format_duration(-5s) == "0s");
}

TEST_CASE("every duration that is written reads back as itself") {
  CHECK(rc::check([] {
    const Millis d(*rc::gen::inRange<std::int64_t>(0, 3650ll * 86'400'000 + 1));
    RC_ASSERT(parse_duration(format_duration(d)) == d);
  }));
}
