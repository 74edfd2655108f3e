#include <algorithm>
#include <set>

#include "ingest/ingest_rig.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

std::vector<EndpointSeq> add_endpoints(IngestRig& rig, int count) {
  std::vector<EndpointSeq> seqs;
  for (int i = 0; i < count; ++i) seqs.push_back(rig.add_endpoint()->seq);
  return seqs;
}

std::vector<EndpointSeq> endpoints_of(const std::vector<DueDelivery>& deliveries) {
  std::vector<EndpointSeq> seqs;
  for (const auto& delivery : deliveries) seqs.push_back(delivery.key.endpoint);
  return seqs;
}

}  // namespace

TEST_CASE(
    "an event with more endpoints than a transaction takes is accepted with the first and fanned out to the "
    "rest") {
  IngestRig rig({.deliveries_at_once = 4, .step = 3});
  const auto endpoints = add_endpoints(rig, 11);
  const auto accepted = rig.accept({new_draft()});
  REQUIRE(accepted);
  CHECK(accepted->at(0).deliveries == 11);
  CHECK(endpoints_of(rig.ready(4)) == std::vector(endpoints.begin(), endpoints.begin() + 4));
  CHECK(rig.reader().status().pending == 4);
  CHECK(rig.events()[0].deliveries == 11);
  rig.start_fan_out();
  const auto offered = rig.ready(11);
  CHECK(endpoints_of(offered) == endpoints);
  for (const auto& delivery : offered) {
    CHECK(delivery.due_in == Millis(7));
    CHECK(delivery.created_at == kNow);
    CHECK(delivery.event->payload == "{}");
  }
  CHECK(rig.reader().status().pending == 11);
  CHECK(rig.events()[0].deliveries == 11);
  CHECK(rig.reader().unfinished_fan_outs(0, 1).empty());
}

TEST_CASE("filters decide with the first endpoints and with those that follow, and count") {
  IngestRig rig({.deliveries_at_once = 2, .step = 2});
  std::vector<EndpointSeq> wanting;
  for (int i = 0; i < 8; ++i) {
    Endpoint endpoint = new_endpoint();
    if (i % 2 == 1)
      endpoint.filter = *PayloadFilter::parse(R"({"/amount": {"gte": )" + std::to_string(i * 10) + "}}", "");
    const EndpointSeq seq = rig.add_endpoint(endpoint)->seq;
    if (i % 2 == 0 || i * 10 <= 50) wanting.push_back(seq);
  }
  EventDraft draft = new_draft();
  draft.event.payload = R"({"amount": 50.00})";
  CHECK(rig.accept({draft})->at(0).deliveries == 7);
  rig.start_fan_out();
  CHECK(endpoints_of(rig.ready(7)) == wanting);
  draft.event.payload = R"("no object")";
  CHECK(rig.accept({draft})->at(0).deliveries == 4);
}

TEST_CASE(
    "the bound is that of a request: later events of a batch go to nobody at first, and to all in the end") {
  IngestRig rig({.deliveries_at_once = 5, .step = 4});
  add_endpoints(rig, 3);
  const auto accepted = rig.accept({new_draft(), new_draft(), new_draft(), new_draft()});
  for (const auto& event : *accepted) CHECK(event.deliveries == 3);
  CHECK(rig.reader().status().pending == 5);
  rig.start_fan_out();
  std::set<DeliveryKey> keys;
  for (const auto& delivery : rig.ready(12)) keys.insert(delivery.key);
  CHECK(keys.size() == 12);
  CHECK(rig.reader().status().pending == 12);
}

TEST_CASE(
    "a fan-out goes on after a restart where it was, and serves no endpoint that is newer than the event") {
  IngestRig rig({.deliveries_at_once = 2});
  const auto endpoints = add_endpoints(rig, 6);
  rig.accept({new_draft()});
  add_endpoints(rig, 2);
  rig.restart();
  const EndpointSeq gone = endpoints[4];
  CHECK(rig.commit(RemoveEndpoint{rig.directory().find(gone)->id, kNow}));
  rig.start_fan_out();
  CHECK(endpoints_of(rig.ready(5)) ==
        std::vector{endpoints[0], endpoints[1], endpoints[2], endpoints[3], endpoints[5]});
  rig.restart();
  CHECK(rig.reader().unfinished_fan_outs(0, 1).empty());
  CHECK(rig.reader().status().pending == 5);
  CHECK(rig.events()[0].deliveries == 5);
}

TEST_CASE(
    "fan-outs beyond what is remembered are read again from the store, and all go in the order accepted") {
  IngestRig rig({.deliveries_at_once = 1, .step = 2, .remembered = 2});
  const auto endpoints = add_endpoints(rig, 4);
  for (int i = 0; i < 5; ++i) rig.accept({new_draft()});
  rig.restart();
  rig.start_fan_out();
  for (int i = 0; i < 10; ++i) rig.accept({new_draft()});
  const auto offered = rig.ready(15 * 4);
  std::set<DeliveryKey> keys;
  std::vector<EventSeq> fanned_out;
  for (const auto& delivery : offered) {
    keys.insert(delivery.key);
    if (delivery.key.endpoint != endpoints[0]) fanned_out.push_back(delivery.key.event);
  }
  CHECK(keys.size() == 15 * 4);
  CHECK(std::is_sorted(fanned_out.begin(), fanned_out.end()));
  rig.restart();
  CHECK(rig.reader().unfinished_fan_outs(0, 1).empty());
}

TEST_CASE("an event is in order at once wherever it is, however many endpoints it has") {
  IngestRig rig({.deliveries_at_once = 2});
  add_endpoints(rig, 4);
  Endpoint by_key = new_endpoint(), by_endpoint = new_endpoint();
  by_key.ordering = Ordering::kKey;
  by_endpoint.ordering = Ordering::kEndpoint;
  const EndpointSeq key = rig.add_endpoint(by_key)->seq, all = rig.add_endpoint(by_endpoint)->seq;
  EventDraft draft = new_draft();
  rig.accept({draft});
  CHECK(endpoints_of(rig.ready(3)) == std::vector<EndpointSeq>{1, 2, all});
  draft.event.ordering_key = "k";
  rig.accept({draft});
  const auto offered = rig.ready(6);
  CHECK(endpoints_of(offered) ==
        std::vector<EndpointSeq>{1, 2, all, 1, 2, key});  // blocked by the first at `all`
  CHECK(offered[2].sequence_key == "");
  CHECK_FALSE(offered[3].sequence_key);
  CHECK(offered[5].sequence_key == "k");
  rig.start_fan_out();
  rig.ready(6 + 3 + 2);  // the first event was in no order by key
  CHECK(rig.reader().status().pending == 12);
}

TEST_CASE("an ordering that an endpoint got after the acceptance does not hold for the rest of the fan-out") {
  IngestRig rig({.deliveries_at_once = 1});
  add_endpoints(rig, 2);
  EventDraft draft = new_draft();
  draft.event.ordering_key = "k";
  rig.accept({draft});
  Endpoint changed = *rig.directory().find(2);
  changed.ordering = Ordering::kKey;
  CHECK(rig.commit(UpdateEndpoint{std::make_shared<const Endpoint>(changed), changed.updated_at}));
  rig.accept({draft});
  CHECK(rig.ready(3)[2].sequence_key == "k");
  rig.start_fan_out();
  CHECK_FALSE(rig.ready(4)[3].sequence_key);
  CHECK(rig.reader().status().pending == 4);
}

TEST_CASE(
    "an endpoint that is removed while a step for it is under way gets nothing, and the others theirs") {
  IngestRig rig({.deliveries_at_once = 1, .step = 2});
  const auto endpoints = add_endpoints(rig, 6);
  rig.start_fan_out();
  rig.ingest().accept({new_draft()}, [](const auto&) {});
  rig.commits().step();  // accepted: a step for the second and third is asked for next
  rig.commits().submit(RemoveEndpoint{rig.directory().find(endpoints[2])->id, kNow},
                       [](const RemoveEndpoint&, const Result<EndpointPtr>&) {});
  CHECK(endpoints_of(rig.ready(5)) ==
        std::vector{endpoints[0], endpoints[1], endpoints[3], endpoints[4], endpoints[5]});
  CHECK(rig.reader().unfinished_fan_outs(0, 1).empty());
}

TEST_CASE("a fan-out that is stopped goes on where it was, when it is told to") {
  IngestRig rig({.deliveries_at_once = 1, .step = 1});
  add_endpoints(rig, 50);
  rig.start_fan_out();
  rig.fan_out().stop();
  rig.accept({new_draft()});
  rig.fan_out().stop();
  rig.restart();
  rig.start_fan_out();
  rig.run();
  CHECK(rig.reader().status().pending == 50);
}
