#include <algorithm>

#include "ingest/ingest_rig.h"
#include "ingest/operational_events.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

std::string insert_row(const std::string& payload, const std::string& key = "",
                       const std::string& tenant = "") {
  const auto text = [](const std::string& value) { return value.empty() ? "NULL" : "'" + value + "'"; };
  return "INSERT INTO outbox(type, payload, idempotency_key, tenant) VALUES ('order.paid', '" + payload +
         "', " + text(key) + ", " + text(tenant) + ");";
}

// The payloads of all events, in the order accepted.
std::vector<std::string> payloads(IngestRig& rig) {
  std::vector<std::string> found;
  for (const EventRow& row : rig.events())
    found.insert(found.begin(), rig.reader().event(row.event.id, true)->event.payload);
  return found;
}

std::vector<std::string> rejections(IngestRig& rig) {
  std::vector<std::string> reasons;
  const auto rejected = rig.reader().rejected_outbox({250, ""});
  for (const OutboxRow& row : rejected->rows) reasons.push_back(*row.rejected);
  return reasons;
}

using Texts = std::vector<std::string>;

EndpointChanged disabled(const Endpoint& endpoint) {
  auto now = std::make_shared<Endpoint>(endpoint);
  now->state = EndpointState::kDisabled;
  now->disabled_reason = "failing";
  now->updated_at = kNow;
  return {.endpoint = endpoint.seq, .now = now, .disabled = true};
}

OutcomeRecorded died(const Endpoint& endpoint) {
  OutcomeRecorded fact{.key = {12, endpoint.seq}};
  fact.now = {.state = DeliveryState::kDead, .reason = DeadReason::kExhausted, .due_at = {}, .moved = true};
  fact.at = kNow;
  fact.attempt = std::make_shared<const Attempt>(new_attempt(10));
  fact.subject = std::make_shared<const OutcomeSubject>(
      OutcomeSubject{.delivery = delivery_id(fact.key, kNow),
                     .event = EventId{ids().next()},
                     .endpoint = std::make_shared<const Endpoint>(endpoint),
                     .type = "order.paid",
                     .attempts = 10});
  return fact;
}

}  // namespace

TEST_CASE("rows of the SQL outbox are accepted in their order, with and without idempotency keys") {
  IngestRig rig;
  rig.produce(insert_row("1") + insert_row("2", "k2") + insert_row("3") + insert_row("4", "k4") +
              insert_row("5"));
  rig.ingest_rows();
  CHECK(payloads(rig) == Texts{"1", "2", "3", "4", "5"});
  CHECK(rig.reader().outbox(10, 1000).empty());
  CHECK(rejections(rig).empty());
}

TEST_CASE("rows whose key was used with other content are rejected alone; the others keep their order") {
  IngestRig rig;
  rig.produce(insert_row("1", "old"));
  rig.ingest_rows();
  rig.produce(insert_row("2") + insert_row("3", "old") + insert_row("4", "new") + insert_row("5", "new") +
              insert_row("1", "old") + insert_row("6"));
  rig.ingest_rows();
  CHECK(payloads(rig) == Texts{"1", "2", "4", "6"});  // and a repetition of 1
  CHECK(rejections(rig).size() == 2);
  CHECK(rejections(rig)[0].starts_with("idempotency_key: "));
  CHECK(rejections(rig)[0].find("other content") != std::string::npos);
  CHECK(rig.reader().outbox(10, 1000).empty());
}

TEST_CASE("rows that can never be events are rejected and hold nobody up") {
  IngestRig rig;
  rig.produce(insert_row("1") + insert_row("2", "", "no tenant!") + insert_row("3", "k"), false);
  rig.ingest_rows();
  CHECK(payloads(rig) == Texts{"1", "3"});
  CHECK(rejections(rig) == Texts{"tenant: must be at most 128 of A-Z a-z 0-9 _ . : -; got \"no tenant!\""});
  CHECK(rig.reader().rejected_outbox({1, ""})->rows[0].rejected_at == kNow);
}

TEST_CASE("a row whose type is not accepted is rejected with the nearest that is, and can be tried again") {
  IngestRig rig;
  rig.ingest().set_event_types({"order.paid"});
  rig.produce(
      "INSERT INTO outbox(type, payload) VALUES ('ordr.paid', '1'); "
      "INSERT INTO outbox(type, payload) VALUES ('order.paid', '2');");
  rig.ingest_rows();
  CHECK(payloads(rig) == Texts{"2"});
  CHECK(rejections(rig) ==
        Texts{R"(type: "ordr.paid" is none of [ingest] event_types; did you mean "order.paid"?)"});
}

TEST_CASE(
    "whoever counts events is told of each commit that accepted some, and what nobody wants is counted") {
  IngestRig rig;
  int told = 0;
  rig.ingest().when_accepted([&] { ++told; });
  rig.produce("INSERT INTO outbox(type, payload) VALUES ('a.b', '1'), ('a.c', '2')");
  rig.ingest_rows();
  CHECK(told == 1);
  rig.ingest_rows();
  CHECK(told == 1);
  CHECK(rig.metrics.render().find("outbox_events_unmatched_total 2") != std::string::npos);
}

TEST_CASE("a producer's row cannot be of outboxd's own tenant") {
  IngestRig rig;
  rig.produce(insert_row("1", "", "_ops"), false);
  rig.ingest_rows();
  CHECK(payloads(rig).empty());
  REQUIRE(rejections(rig).size() == 1);
  CHECK(rejections(rig)[0].find("tenant: is reserved for events of outboxd itself") != std::string::npos);
}

TEST_CASE("a row's white space is the event's") {
  IngestRig rig;
  rig.produce(
      "INSERT INTO outbox(type, payload) VALUES ('a.b', ' {\"a\": 1} ' || char(10)), ('a.b', x'0A7B7D0920')");
  rig.ingest_rows();
  CHECK(payloads(rig) == Texts{" {\"a\": 1} \n", "\n{}\t "});
}

TEST_CASE("while the disk is short of space rows wait, in their order, and operational events are lost") {
  IngestRig rig;
  rig.add_endpoint(new_endpoint("_ops"));
  rig.produce(insert_row("1", "k") + insert_row("2"));
  rig.ingest().hold_back(true);
  rig.ingest_rows();
  rig.operational_events().hear(disabled(new_endpoint()));
  rig.run();
  CHECK(rig.reader().outbox(10, 1000).size() == 2);
  rig.ingest().hold_back(false);
  rig.ingest_rows();
  CHECK(payloads(rig) == Texts{"1", "2"});
}

TEST_CASE("what is blocked by others in order is not ready") {
  IngestRig rig;
  Endpoint endpoint = new_endpoint();
  endpoint.ordering = Ordering::kKey;
  rig.add_endpoint(endpoint);
  EventDraft a = new_draft(), b = new_draft();
  a.event.ordering_key = "a";
  b.event.ordering_key = "b";
  rig.accept({a, a, b});
  rig.accept({a, b});
  const auto& offered = rig.ready(2);
  REQUIRE(offered.size() == 2);
  CHECK(offered[0].sequence_key == "a");
  CHECK(offered[0].key.event == 1);
  CHECK(offered[1].sequence_key == "b");
  CHECK(offered[1].key.event == 3);
  CHECK(rig.reader().status().pending == 5);
}

TEST_CASE("an operational event is accepted when an endpoint of _ops wants it, else it leaves no trace") {
  IngestRig rig;
  const Endpoint failing = *rig.add_endpoint(new_endpoint("acme"));
  const auto announce = [&] {
    rig.operational_events().hear(disabled(failing));
    rig.run();
  };
  announce();
  Endpoint ops = new_endpoint("_ops");
  ops.types = {"outboxd.endpoint.*"};
  rig.add_endpoint(ops);
  announce();
  const auto offered = rig.ready(1);
  REQUIRE(offered.size() == 1);
  CHECK(offered[0].event->tenant == "_ops");
  CHECK(offered[0].event->type == "outboxd.endpoint.disabled");
  CHECK(rig.reader().status().events == 1);
  rig.operational_events().hear(died(failing));  // which nobody wants
  rig.run();
  CHECK(rig.reader().status().events == 1);
  CHECK(rig.metrics.render().find("outbox_events_accepted_total{source=\"outboxd\"} 1") != std::string::npos);
}

TEST_CASE("operational events say what happened, and nothing of what happens to endpoints of _ops") {
  IngestRig rig;
  rig.add_endpoint(new_endpoint("_ops"));
  Endpoint endpoint = new_endpoint("acme");
  endpoint.name = "shop \"7\"";
  endpoint = *rig.add_endpoint(endpoint);
  const OutcomeRecorded letter = died(endpoint);
  OutcomeRecorded expired = letter;
  expired.attempt = nullptr;
  OutcomeRecorded overruled = letter;
  overruled.now.moved = false;
  rig.operational_events().hear(letter);
  rig.operational_events().hear(expired);
  rig.operational_events().hear(overruled);
  rig.operational_events().hear(disabled(endpoint));
  rig.operational_events().hear(EndpointChanged{.endpoint = endpoint.seq, .now = disabled(endpoint).now});
  rig.operational_events().hear(EndpointRecovered{endpoint.seq, kNow - kDay});
  rig.operational_events().hear(EndpointFailing{endpoint.seq, kNow - kDay, Outcome::kTimeout});
  rig.operational_events().backlog(true, 7, 5);
  rig.operational_events().backlog(false, 2, 5);  // which is only logged
  const auto all = rig.directory().all();
  const Endpoint ops = **std::ranges::find(all, "_ops", &Endpoint::tenant);
  rig.operational_events().hear(died(ops));
  rig.operational_events().hear(EndpointFailing{ops.seq, kNow, {}});
  const auto& told = rig.ready(6);
  const std::string id = endpoint.id.to_string();
  const auto dead = [&](const std::string& error) {
    return R"({"delivery":")" + letter.subject->delivery.to_string() + R"(","event":")" +
           letter.subject->event.to_string() + R"(","endpoint":")" + id +
           R"(","tenant":"acme","type":"order.paid","reason":"exhausted","error":)" + error +
           R"(,"attempts":10,"at":"2026-01-01T00:00:00.000Z"})";
  };
  CHECK(told[0].event->tenant == "_ops");
  CHECK(told[0].event->type == "outboxd.delivery.dead");
  CHECK(told[0].event->content_type == "application/json");
  CHECK(told[0].event->payload == dead(R"("http_5xx")"));
  CHECK(told[1].event->payload == dead("null"));
  CHECK(told[2].event->type == "outboxd.endpoint.disabled");
  CHECK(told[2].event->payload ==
        R"({"endpoint":")" + id +
            R"(","name":"shop \"7\"","tenant":"acme","reason":"failing","at":"2026-01-01T00:00:00.000Z"})");
  CHECK(told[3].event->type == "outboxd.endpoint.recovered");
  CHECK(told[3].event->payload ==
        R"({"endpoint":")" + id +
            R"(","name":"shop \"7\"","tenant":"acme","failing_since":"2025-12-31T00:00:00.000Z",)"
            R"("at":"2026-01-01T00:00:00.000Z"})");
  CHECK(told[4].event->type == "outboxd.endpoint.failing");
  CHECK(told[4].event->payload ==
        R"({"endpoint":")" + id +
            R"(","name":"shop \"7\"","tenant":"acme","failing_since":"2025-12-31T00:00:00.000Z",)"
            R"("error":"timeout","at":"2026-01-01T00:00:00.000Z"})");
  CHECK(told[5].event->type == "outboxd.backlog.high");
  CHECK(told[5].event->payload == R"({"pending":7,"limit":5,"at":"2026-01-01T00:00:00.000Z"})");
}

TEST_CASE("an event is matched again when one of its endpoints was removed before its commit") {
  IngestRig rig;
  const auto first = rig.add_endpoint(), second = rig.add_endpoint();
  std::optional<Result<std::vector<AcceptedEvent>>> accepted;
  rig.between_commit_and_facts = [&] {  // the directory has both still
    rig.ingest().accept({new_draft()}, [&](auto result) { accepted = std::move(result); });
  };
  REQUIRE(rig.commit(RemoveEndpoint{first->id, kNow}));
  rig.run();
  REQUIRE(accepted);
  REQUIRE(*accepted);
  CHECK((*accepted)->at(0).deliveries == 1);
  CHECK(rig.ready(1)[0].key.endpoint == second->seq);
  CHECK(rig.reader().status().events == 1);
}

TEST_CASE(
    "the endpoints that match are shared, oldest first, and a change leaves what was answered as it is") {
  IngestRig rig;
  for (int i = 0; i < 3; ++i) rig.add_endpoint();
  const auto match = [&](const char* tenant, const char* type) {
    return rig.directory().match(tenant, type).endpoints;
  };
  const auto before = match("", "order.paid");
  CHECK(before == match("", "order.paid"));
  CHECK(match("", "order.sent")->size() == 3);
  CHECK(match("nobody", "order.paid")->empty());
  const auto newer = rig.add_endpoint();
  CHECK(before->size() == 3);
  const auto after = match("", "order.paid");
  REQUIRE(after->size() == 4);
  CHECK(after->back() == newer);
  CHECK(std::is_sorted(after->begin(), after->end(),
                       [](const EndpointPtr& a, const EndpointPtr& b) { return a->seq < b->seq; }));
}
