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

}  // namespace

TEST_CASE("rows of the SQL outbox are accepted in their order, with and without idempotency keys") {
  IngestRig rig;
  rig.produce(insert_row("1") + insert_row("2", "k2") + insert_row("3") + insert_row("4", "k4") +
              insert_row("5"));
  rig.adopt();
  CHECK(payloads(rig) == Texts{"1", "2", "3", "4", "5"});
  CHECK(rig.reader().outbox(10, 1000).empty());
  CHECK(rejections(rig).empty());
}

TEST_CASE("rows whose key was used with other content are rejected alone; the others keep their order") {
  IngestRig rig;
  rig.produce(insert_row("1", "old"));
  rig.adopt();
  rig.produce(insert_row("2") + insert_row("3", "old") + insert_row("4", "new") + insert_row("5", "new") +
              insert_row("1", "old") + insert_row("6"));
  rig.adopt();
  CHECK(payloads(rig) == Texts{"1", "2", "4", "6"});  // and a repetition of 1
  CHECK(rejections(rig).size() == 2);
  CHECK(rejections(rig)[0].starts_with("idempotency_key: "));
  CHECK(rejections(rig)[0].find("other content") != std::string::npos);
  CHECK(rig.reader().outbox(10, 1000).empty());
}

TEST_CASE("rows that can never be events are rejected and hold nobody up") {
  IngestRig rig;
  rig.produce(insert_row("1") + insert_row("2", "", "no tenant!") + insert_row("3", "k"), false);
  rig.adopt();
  CHECK(payloads(rig) == Texts{"1", "3"});
  CHECK(rejections(rig) == Texts{"tenant: must be at most 128 of A-Z a-z 0-9 _ . : -; got \"no tenant!\""});
  CHECK(rig.reader().rejected_outbox({1, ""})->rows[0].rejected_at == kNow);
}

TEST_CASE("a producer's row cannot be of outboxd's own tenant") {
  IngestRig rig;
  rig.produce(insert_row("1", "", "_ops"), false);
  rig.adopt();
  CHECK(payloads(rig).empty());
  REQUIRE(rejections(rig).size() == 1);
  CHECK(rejections(rig)[0].find("tenant: is reserved for events of outboxd itself") != std::string::npos);
}

TEST_CASE("a row's white space is the event's") {
  IngestRig rig;
  rig.produce(
      "INSERT INTO outbox(type, payload) VALUES ('a.b', ' {\"a\": 1} ' || char(10)), ('a.b', x'0A7B7D0920')");
  rig.adopt();
  CHECK(payloads(rig) == Texts{" {\"a\": 1} \n", "\n{}\t "});
}

TEST_CASE("while the disk is short of space rows wait, in their order, and operational events are lost") {
  IngestRig rig;
  rig.add_endpoint(new_endpoint("_ops"));
  rig.produce(insert_row("1", "k") + insert_row("2"));
  rig.ingest().hold_back(true);
  rig.adopt();
  rig.ingest().announce(*endpoint_disabled(new_endpoint(), "failing", kNow));
  CHECK(rig.reader().outbox(10, 1000).size() == 2);
  rig.ingest().hold_back(false);
  rig.adopt();
  CHECK(payloads(rig) == Texts{"1", "2"});
}

TEST_CASE("what waits behind others in order is not offered") {
  IngestRig rig;
  Endpoint endpoint = new_endpoint();
  endpoint.ordering = Ordering::kKey;
  rig.add_endpoint(endpoint);
  EventDraft a = new_draft(), b = new_draft();
  a.event.ordering_key = "a";
  b.event.ordering_key = "b";
  rig.accept({a, a, b});
  rig.accept({a, b});
  const auto offered = rig.offered(2);
  REQUIRE(offered.size() == 2);
  CHECK(offered[0].order_key == "a");
  CHECK(offered[0].key.event == 1);
  CHECK(offered[1].order_key == "b");
  CHECK(offered[1].key.event == 3);
  CHECK(rig.reader().status().pending == 5);
}

TEST_CASE("an operational event is accepted when an endpoint of _ops wants it, else it leaves no trace") {
  IngestRig rig;
  const Endpoint failing = *rig.add_endpoint(new_endpoint("acme"));
  const auto announce = [&] { rig.ingest().announce(*endpoint_disabled(failing, "failing", kNow)); };
  announce();
  Endpoint ops = new_endpoint("_ops");
  ops.types = {"outboxd.endpoint.*"};
  rig.add_endpoint(ops);
  announce();
  const auto offered = rig.offered(1);
  REQUIRE(offered.size() == 1);
  CHECK(offered[0].event->tenant == "_ops");
  CHECK(offered[0].event->type == "outboxd.endpoint.disabled");
  CHECK(rig.reader().status().events == 1);
  rig.ingest().announce(
      *delivery_dead(failing, {.delivery = offered[0], .error = {}, .attempts = 3, .at = kNow}));
  rig.accept({new_draft()});  // committed after what was announced before
  CHECK(rig.reader().status().events == 2);
  CHECK(rig.metrics.render().find("outbox_events_accepted_total{source=\"outboxd\"} 1") != std::string::npos);
}

TEST_CASE("operational events say what happened, and nothing of what happens to endpoints of _ops") {
  Endpoint endpoint = new_endpoint("acme");
  endpoint.name = "shop \"7\"";
  DueDelivery delivery;
  delivery.key = {12, 34};
  delivery.created_at = kNow;
  delivery.event = new_event().event;
  DeadLetter letter{.delivery = delivery,
                    .reason = DeadReason::kExhausted,
                    .error = "http_5xx",
                    .attempts = 10,
                    .at = kNow};
  const std::string id = endpoint.id.to_string();
  auto draft = delivery_dead(endpoint, letter);
  REQUIRE(draft);
  CHECK(draft->event.tenant == "_ops");
  CHECK(draft->event.type == "outboxd.delivery.dead");
  CHECK(draft->event.content_type == "application/json");
  CHECK(draft->event.payload ==
        R"({"delivery":")" + delivery_id(delivery.key, kNow).to_string() + R"(","event":")" +
            delivery.event->id.to_string() + R"(","endpoint":")" + id +
            R"(","tenant":"acme","type":"order.paid","reason":"exhausted","error":"http_5xx",)"
            R"("attempts":10,"at":"2026-01-01T00:00:00.000Z"})");
  letter.error.clear();
  CHECK(delivery_dead(endpoint, letter)->event.payload.find(R"("error":null)") != std::string::npos);
  draft = endpoint_disabled(endpoint, "failing", kNow);
  CHECK(draft->event.type == "outboxd.endpoint.disabled");
  CHECK(draft->event.payload ==
        R"({"endpoint":")" + id +
            R"(","name":"shop \"7\"","tenant":"acme","reason":"failing","at":"2026-01-01T00:00:00.000Z"})");
  draft = endpoint_recovered(endpoint, kNow - kDay, kNow);
  CHECK(draft->event.type == "outboxd.endpoint.recovered");
  CHECK(draft->event.payload ==
        R"({"endpoint":")" + id +
            R"(","name":"shop \"7\"","tenant":"acme","failing_since":"2025-12-31T00:00:00.000Z",)"
            R"("at":"2026-01-01T00:00:00.000Z"})");
  endpoint.tenant = "_ops";
  CHECK_FALSE(delivery_dead(endpoint, letter));
  CHECK_FALSE(endpoint_disabled(endpoint, "gone", kNow));
  CHECK_FALSE(endpoint_recovered(endpoint, kNow, kNow));
}

TEST_CASE(
    "the endpoints that match are shared, oldest first, and a change leaves what was answered as it is") {
  IngestRig rig;
  for (int i = 0; i < 3; ++i) rig.add_endpoint();
  const auto before = rig.directory().match("", "order.paid");
  CHECK(before == rig.directory().match("", "order.paid"));
  CHECK(rig.directory().match("", "order.sent")->size() == 3);
  CHECK(rig.directory().match("nobody", "order.paid")->empty());
  const auto newer = rig.add_endpoint();
  CHECK(before->size() == 3);
  const auto after = rig.directory().match("", "order.paid");
  REQUIRE(after->size() == 4);
  CHECK(after->back() == newer);
  CHECK(std::is_sorted(after->begin(), after->end(),
                       [](const EndpointPtr& a, const EndpointPtr& b) { return a->seq < b->seq; }));
}
