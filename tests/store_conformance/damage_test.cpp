// Events whose stored bytes have changed: they are told apart, and hold nobody up.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

NewEvent full_event(EndpointSeq endpoint) {
  NewEvent n = keyed(new_event({endpoint}), "o");
  n.event->tenant = "acme";
  n.event->headers = {{"x-a", "1"}};
  n.event->traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  n.event->cloud_event = R"({"id":"1"})";
  n.event->deliver_at = kNow;
  n.event->expires_at = kNow + kDay;
  n.endpoints[0].ordering = Ordering::kNone;
  return n;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an event that changes in the store is damaged, whatever of it changes") {
  const Endpoint e = create();
  int events = 0;
  for (const char* change : {"payload = x'7b7e'",
                             "payload = x''",
                             "id = zeroblob(16)",
                             "tenant = 'acmf'",
                             "type = 'a'",
                             "content_type = 'text/plain'",
                             "ordering_key = 'p'",
                             "ordering_key = NULL",
                             "priority = 6",
                             "headers = '[[\"x-a\",\"2\"]]'",
                             "headers = NULL",
                             "headers = 'damaged'",
                             "headers = '[7]'",
                             "traceparent = NULL",
                             "cloud_event = NULL",
                             "cloud_event = '{}'",
                             "created_at = created_at + 1",
                             "deliver_at = NULL",
                             "expires_at = expires_at + 86400000",
                             "checksum = checksum + 1",
                             "checksum = NULL"}) {
    CAPTURE(change);
    const EventSeq damaged = accept_one(full_event(e.seq));
    const EventSeq whole = accept_one(full_event(e.seq));
    REQUIRE(subject->produce("UPDATE event SET " + std::string(change) +
                             " WHERE seq = " + std::to_string(damaged)));
    events += 2;
    const auto window = reader->due(e.seq, 1000, 1 << 20);
    REQUIRE(window.deliveries.size() == static_cast<std::size_t>(events));
    CHECK(window.deliveries[events - 2].key.event == damaged);
    CHECK(window.deliveries[events - 2].event->damaged);
    CHECK(window.deliveries[events - 1].key.event == whole);
    CHECK_FALSE(window.deliveries[events - 1].event->damaged);
    CHECK(window.deliveries[events - 1].event->json_checked);
    CHECK(reader->events({}, {1000, ""})->rows.size() == static_cast<std::size_t>(events));
  }
}

TEST_CASE_FIXTURE(Fixture, "an event that took another's place is damaged") {
  const Endpoint e = create();
  const EventSeq first = accept_one(full_event(e.seq));
  const EventSeq second = accept_one(full_event(e.seq));
  REQUIRE(subject->produce("DELETE FROM event WHERE seq = " + std::to_string(first) +
                           "; UPDATE event SET seq = " + std::to_string(first) +
                           " WHERE seq = " + std::to_string(second)));
  const auto window = reader->due(e.seq, 10, 1 << 20);
  REQUIRE(window.deliveries.size() == 1);
  CHECK(window.deliveries[0].event->damaged);
}

TEST_CASE_FIXTURE(Fixture, "an event that is fanned out is looked at as well") {
  NewEvent n = new_event();
  n.more_after = 0;
  const EventSeq seq = accept_one(std::move(n));
  CHECK_FALSE(reader->unfinished_fan_outs(0, 10).at(0).event->damaged);
  REQUIRE(subject->produce("UPDATE event SET type = 'order.sent' WHERE seq = " + std::to_string(seq)));
  CHECK(reader->unfinished_fan_outs(0, 10).at(0).event->damaged);
}

TEST_CASE_FIXTURE(Fixture, "a delivery is dead because its event is damaged, and comes back as that") {
  const Endpoint e = create();
  const EventSeq seq = accept_one(new_event({e.seq}));
  CHECK(apply(without_attempt(died({seq, e.seq}, 1, DeadReason::kDamaged))));
  CHECK(delivery({seq, e.seq}).reason == DeadReason::kDamaged);
}
