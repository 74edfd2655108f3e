// Times, durations, rates and sizes: what was read is written and read again as the same value.
#include "common/time.h"
#include "common/endpoint.h"
#include "common/text.h"
#include "config/values.h"
#include "fuzz/target.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  if (const auto time = parse_time(input)) {
    HOLDS(unix_millis(*time) >= 0 && unix_millis(*time) <= 253'402'300'799'999);
    HOLDS(parse_time(format_time(*time)) == time && format_time(*time).size() == 24);
  }
  if (const auto duration = parse_duration(input)) {
    HOLDS(*duration >= Millis(0) && *duration <= std::chrono::days(3650));
    HOLDS(parse_duration(format_duration(*duration)) == duration);
  }
  if (const auto limit = parse_rate_limit(input)) {
    HOLDS(limit->count >= 1 && limit->count <= kMaxRate && limit->per > Millis(0));
    HOLDS(parse_rate_limit(to_string(*limit)) == limit);
  }
  if (const auto size = config::parse_size(input)) {
    HOLDS(*size >= 0 && config::parse_size(config::format_size(*size)) == size);
  }
  if (const auto number = parse_int(input)) HOLDS(parse_int(std::to_string(*number)) == number);
}
