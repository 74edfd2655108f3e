// Retry-After: seconds or a date, to a pause between nothing and a day.
#include "common/text.h"
#include "delivery/retry_policy.h"
#include "fuzz/target.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  const Time now = Time(Millis(1'767'225'600'000));  // 2026-01-01
  const auto pause = parse_retry_after(input, now);
  if (pause) HOLDS(*pause >= Millis(0) && *pause <= kMaxRetryAfter);
  if (input.find_first_not_of("0123456789") == input.npos) HOLDS(pause.has_value() == !input.empty());
  if (pause && *pause > Millis(0) && *pause < kMaxRetryAfter) {
    const auto seconds = parse_int(input);
    if (seconds) HOLDS(*pause == std::chrono::seconds(*seconds));
    // A later reader is never asked to wait for longer.
    if (!seconds) HOLDS(parse_retry_after(input, now + Millis(1000)).value_or(Millis(-1)) <= *pause);
  }
}
