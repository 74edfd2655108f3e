#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct OneDelivery : Fixture {
  EndpointSeq endpoint = create().seq;
  DeliveryKey key{accept_one(new_event({endpoint})), endpoint};
};

}  // namespace

TEST_CASE_FIXTURE(OneDelivery, "a success delivers and keeps the attempt with everything it knows") {
  Attempt a = new_attempt(1, Outcome::kSuccess);
  a.timings = {Millis(0), Millis(3), std::nullopt, Millis(9), Millis(12)};
  a.response_headers = {{"content-type", "text/plain"}, {"x-bytes", "caf\xc3\xa9"}};
  a.response_body = std::string("o\0k", 3);
  a.remote_address = "[2001:db8::1]:443";
  a.resent = true;
  apply(with_attempt(delivered(key, 1), a));
  const Delivery d = delivery(key);
  CHECK(d.state == DeliveryState::kDelivered);
  CHECK(d.attempts == 1);
  CHECK(d.finished_at == kNow);
  CHECK_FALSE(d.error);
  const auto attempts = reader->attempts(key);
  REQUIRE(attempts.size() == 1);
  CHECK(attempts[0].id == a.id);
  CHECK(attempts[0].number == 1);
  CHECK(attempts[0].timings == a.timings);
  CHECK(attempts[0].outcome == Outcome::kSuccess);
  CHECK(attempts[0].status == 200);
  CHECK(attempts[0].request_line == a.request_line);
  CHECK(attempts[0].remote_address == a.remote_address);
  CHECK(attempts[0].resent);
  CHECK(attempts[0].response_headers == a.response_headers);
  CHECK(attempts[0].response_body == a.response_body);
  CHECK(reader->status().delivered == 1);
  CHECK(reader->status().pending == 0);
}

TEST_CASE_FIXTURE(OneDelivery, "a failure postpones; the last one makes it dead with its reason") {
  apply(failed(key, 1, Millis(5000)));
  Delivery d = delivery(key);
  CHECK(d.state == DeliveryState::kPending);
  CHECK(d.due_at == kNow + Millis(5000));
  CHECK(d.attempts == 1);
  CHECK(d.error == "http_5xx");
  apply(died(key, 2));
  d = delivery(key);
  CHECK(d.state == DeliveryState::kDead);
  CHECK(d.reason == DeadReason::kExhausted);
  CHECK(d.attempts == 2);
  CHECK(d.finished_at == kNow);
  REQUIRE(reader->attempts(key).size() == 2);
  CHECK(reader->attempts(key)[1].remote_address.empty());
  CHECK_FALSE(reader->attempts(key)[1].resent);
  CHECK(reader->status().dead == 1);
}

TEST_CASE_FIXTURE(OneDelivery, "a delivery can die without an attempt") {
  apply(without_attempt(died(key, 1, DeadReason::kTooLarge)));
  CHECK(delivery(key).reason == DeadReason::kTooLarge);
  CHECK(delivery(key).attempts == 0);
  CHECK(reader->attempts(key).empty());
}

TEST_CASE_FIXTURE(OneDelivery,
                  "an outcome that comes after an operator's hand records its attempt and moves nothing") {
  apply(ChangeDelivery{key, DeliveryState::kDiscarded, kNow});
  apply(delivered(key, 1));
  CHECK(delivery(key).state == DeliveryState::kDiscarded);
  CHECK(reader->attempts(key).size() == 1);
  CHECK(reader->status().discarded == 1);
  CHECK(reader->status().delivered == 0);
}

TEST_CASE_FIXTURE(OneDelivery, "an attempt whose number is taken gets the next free one") {
  apply(failed(key, 1));
  apply(failed(key, 1));
  const auto attempts = reader->attempts(key);
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[1].number == 2);
  CHECK(reader->due(endpoint, 10, 1000).deliveries[0].attempts_ever == 2);
}

TEST_CASE_FIXTURE(OneDelivery, "an outcome for a delivery that does not exist leaves nothing") {
  const DeliveryKey nobody{key.event + 1, endpoint};
  apply(delivered(nobody, 1));
  CHECK_FALSE(reader->delivery(nobody));
  CHECK(reader->attempts(nobody).empty());
  CHECK(reader->status().pending == 1);
}

TEST_CASE_FIXTURE(OneDelivery, "bytes that are no UTF-8 in an answer do not stop the record") {
  Attempt attempt = new_attempt(1, Outcome::kSuccess);
  attempt.response_headers = {{"x", "\xff\xfe"}};
  attempt.error = "\xff";
  apply(with_attempt(delivered(key, 1), attempt));
  CHECK(reader->attempts(key).size() == 1);
}
