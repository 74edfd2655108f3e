// Relays of several daemons over one source: one of them relays at a time.
#include "relay_rig.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE_FIXTURE(
    RelayRig,
    "a source whose events are not accepted for long is let go for a while, so that another daemon may try") {
  outbox.insert("1");
  refusal = Problem{.code = ProblemCode::kUnavailable, .detail = "the store is away"};
  bool let_go = false;
  for (int i = 0; i < 45 && !let_go; ++i) let_go = round() == Millis(2000);
  CHECK(let_go);
  CHECK(opened == 1);
  CHECK(relay->status().state == SourceState::kFailing);
  refusal.reset();
  settle();
  CHECK(opened == 2);
  CHECK(payloads() == Payloads{"1"});
}

TEST_CASE_FIXTURE(RelayRig, "what another daemon relays is left to it, and taken over from where it was") {
  outbox.insert("1");
  settle();
  outbox.elsewhere = true;
  outbox.insert("2");
  CHECK(round() == Millis(500));
  CHECK(relay->status().state == SourceState::kStandby);
  CHECK(relay->status().counts.waiting == 1);  // it counts all the same
  CHECK_FALSE(relay->status().behind_since);
  CHECK(payloads() == Payloads{"1"});
  // The other one has relayed a row, and ends before it has deleted it.
  Relay other(parts());
  outbox.elsewhere = false;
  while (payloads().size() < 2) other.round();
  outbox.insert("3");
  settle();
  CHECK(relay->status().state == SourceState::kWaiting);
  CHECK(payloads() == Payloads{"1", "2", "3"});
  CHECK(outbox.rows.empty());
}
