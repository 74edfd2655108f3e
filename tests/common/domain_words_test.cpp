// The words and rules of deliveries, attempts, endpoints and problems.
#include <doctest/doctest.h>

#include <set>
#include <string_view>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/endpoint.h"
#include "common/problem.h"

using namespace outboxd;

namespace {
template <class Enum, class Parse>
void check_words(Enum last, Parse parse) {
  std::set<std::string_view> seen;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    const auto value = static_cast<Enum>(i);
    CHECK(parse(to_string(value)) == value);
    CHECK(seen.insert(to_string(value)).second);
  }
  CHECK_FALSE(parse(""));
  CHECK_FALSE(parse("Pending"));
}
}  // namespace

TEST_CASE("every enumerator reads back from its word") {
  check_words(Outcome::kProtocol, parse_outcome);
  check_words(DeliveryState::kDiscarded, parse_delivery_state);
  check_words(DeadReason::kDamaged, parse_dead_reason);
  check_words(EndpointState::kDisabled, parse_endpoint_state);
  check_words(PayloadFormat::kCloudEvents, parse_payload_format);
  check_words(Ordering::kEndpoint, parse_ordering);
  check_words(OnFailureInOrder::kSkip, parse_on_failure_in_order);
}

TEST_CASE("the words are those of the contract") {
  CHECK(to_string(Outcome::kHttp4xx) == "http_4xx");
  CHECK(to_string(Outcome::kBlocked) == "blocked");
  CHECK(to_string(DeliveryState::kDead) == "dead");
  CHECK(to_string(DeadReason::kTooLarge) == "too_large");
  CHECK(to_string(EndpointState::kPaused) == "paused");
  CHECK(to_string(PayloadFormat::kCloudEvents) == "cloudevents");
  CHECK(to_string(Ordering::kEndpoint) == "endpoint");
  CHECK(to_string(OnFailureInOrder::kSkip) == "skip");
}

TEST_CASE("a rate limit reads back from its text, one for each unit") {
  for (const char* text : {"1/s", "100/s", "30/m", "5/h", "1/d", "1000000/s"}) {
    const auto limit = parse_rate_limit(text);
    REQUIRE(limit);
    CHECK(to_string(*limit) == text);
  }
  CHECK(parse_rate_limit("30/m") == RateLimit{30, std::chrono::minutes(1)});
}

TEST_CASE("an endpoint decides what an event is in order with") {
  CHECK_FALSE(sequence_key_of(Ordering::kNone, "customer-7"));
  CHECK(sequence_key_of(Ordering::kKey, "customer-7") == "customer-7");
  CHECK_FALSE(sequence_key_of(Ordering::kKey, std::nullopt));
  CHECK(sequence_key_of(Ordering::kEndpoint, "customer-7") == "");
  CHECK(sequence_key_of(Ordering::kEndpoint, std::nullopt) == "");
}

TEST_CASE("what stands in a JSON Pointer is escaped") {
  CHECK(pointer_to("type") == "/type");
  CHECK(pointer_to("a/b~c~1") == "/a~1b~0c~01");
  CHECK(pointer_to("") == "/");
}

TEST_CASE("an operator discards what is pending or dead, and replays what is not pending") {
  using enum DeliveryState;
  CHECK(operator_may_move(kPending, kDiscarded));
  CHECK(operator_may_move(kDead, kDiscarded));
  CHECK_FALSE(operator_may_move(kDelivered, kDiscarded));
  CHECK_FALSE(operator_may_move(kDiscarded, kDiscarded));
  for (const auto from : {kDelivered, kDead, kDiscarded}) CHECK(operator_may_move(from, kPending));
  CHECK_FALSE(operator_may_move(kPending, kPending));
  for (const auto from : {kPending, kDelivered, kDead, kDiscarded}) {
    CHECK_FALSE(operator_may_move(from, kDelivered));
    CHECK_FALSE(operator_may_move(from, kDead));
  }
}

TEST_CASE("an endpoint wants the events of its own tenant that one of its patterns matches") {
  Endpoint endpoint;
  CHECK(wants(endpoint, "", "order.paid"));
  CHECK_FALSE(wants(endpoint, "acme", "order.paid"));
  endpoint.tenant = "acme";
  endpoint.types = {"order.*", "ticket.created"};
  CHECK(wants(endpoint, "acme", "order.paid"));
  CHECK(wants(endpoint, "acme", "ticket.created"));
  CHECK_FALSE(wants(endpoint, "acme", "ticket.closed"));
  CHECK_FALSE(wants(endpoint, "", "order.paid"));
}

TEST_CASE("each problem has its status and a type of its own") {
  CHECK(kind_of(ProblemCode::kMalformed).status == 400);
  CHECK(kind_of(ProblemCode::kInvalidEvent).status == 422);
  CHECK(kind_of(ProblemCode::kInvalidEvent).slug == "invalid-event");
  CHECK(kind_of(ProblemCode::kHeaderTooLarge).status == 431);
  CHECK(kind_of(ProblemCode::kTooManyRequests).status == 429);
  CHECK(kind_of(ProblemCode::kInsufficientStorage).status == 507);
  std::set<std::string_view> slugs;
  for (int i = 0; i <= static_cast<int>(ProblemCode::kInsufficientStorage); ++i) {
    CHECK(slugs.insert(kind_of(static_cast<ProblemCode>(i)).slug).second);
  }
}
