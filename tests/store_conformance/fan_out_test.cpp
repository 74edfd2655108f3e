// Events with more endpoints than one transaction should write.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct FanOuts : Fixture {
  std::vector<Endpoint> endpoints;
  FanOuts() {
    for (int i = 0; i < 6; ++i) endpoints.push_back(create());
  }
  EndpointSeq seq(std::size_t i) const { return endpoints.at(i).seq; }
  // To the first `count` endpoints at once, to the rest of the six later.
  NewEvent begin(std::size_t count) const {
    NewEvent event = new_event();
    for (std::size_t i = 0; i < count; ++i) event.endpoints.push_back({.endpoint = seq(i)});
    event.more_after = count == 0 ? 0 : seq(count - 1);
    event.deliveries = static_cast<std::int64_t>(endpoints.size());
    return event;
  }
  ExpandEvent step(const NewEvent& event, std::size_t from, std::size_t to) const {
    ExpandEvent expand{.event = event.event, .endpoints = {}, .more_after = {}};
    for (std::size_t i = from; i < to; ++i) expand.endpoints.push_back({.endpoint = seq(i)});
    if (to < endpoints.size()) expand.more_after = seq(to - 1);
    return expand;
  }
  static std::vector<EndpointSeq> made_by(const Done<ExpandEvent>& done) {
    std::vector<EndpointSeq> made;
    for (const auto& ready : only<DeliveryReady>(done.facts)) made.push_back(ready.delivery.key.endpoint);
    return made;
  }
  std::int64_t deliveries_of(const NewEvent& event) {
    return reader->event(event.event->id, false)->deliveries;
  }
};

}  // namespace

TEST_CASE_FIXTURE(FanOuts,
                  "an event that is not fanned out yet counts all its deliveries and remembers the rest") {
  const NewEvent event = begin(2);
  const auto answer = accept({event});
  CHECK(answer->events[0].deliveries == 6);
  const auto waits = only<FanOutWaits>(answer.facts);
  REQUIRE(waits.size() == 1);
  CHECK(waits[0].fan_out->event == event.event);
  CHECK(waits[0].fan_out->after == seq(1));
  CHECK(waits[0].fan_out->last == seq(5));
  CHECK(deliveries_of(event) == 6);
  CHECK(reader->status().pending == 2);
  const auto newer = create().seq;  // has no part in it
  reopen();
  const auto unfinished = reader->unfinished_fan_outs(0, 10);
  REQUIRE(unfinished.size() == 1);
  CHECK(unfinished[0].after == seq(1));
  CHECK(unfinished[0].last == seq(5));
  CHECK(unfinished[0].last < newer);
  CHECK(unfinished[0].event->seq == event.event->seq);
  CHECK(unfinished[0].event->id == event.event->id);
  CHECK(unfinished[0].event->payload == event.event->payload);
}

TEST_CASE_FIXTURE(FanOuts,
                  "steps make the rest of the deliveries, across restarts, and the last one ends it") {
  const NewEvent event = begin(1);
  accept({event});
  auto answer = apply(step(event, 1, 3));
  CHECK(made_by(answer) == std::vector{seq(1), seq(2)});
  CHECK(reader->status().pending == 3);
  reopen();
  REQUIRE(reader->unfinished_fan_outs(0, 10).size() == 1);
  CHECK(reader->unfinished_fan_outs(0, 10)[0].after == seq(2));
  answer = apply(step(event, 3, 6));
  CHECK(made_by(answer) == std::vector{seq(3), seq(4), seq(5)});
  CHECK(reader->unfinished_fan_outs(0, 10).empty());
  CHECK(reader->status().pending == 6);
  CHECK(deliveries_of(event) == 6);
  for (const Endpoint& endpoint : endpoints)
    CHECK(due(endpoint.seq) == std::vector<EventSeq>{event.event->seq});
}

TEST_CASE_FIXTURE(FanOuts, "a step leaves what is there as it is, whatever became of it") {
  const NewEvent event = begin(1);
  accept({event});
  apply(step(event, 1, 3));
  apply(delivered({event.event->seq, seq(1)}, 1));
  apply(ReplayEvent{event.event->id, {seq(4)}, kNow});
  const auto again = apply(step(event, 1, 6));
  CHECK(made_by(again) == std::vector{seq(3), seq(5)});
  CHECK(delivery({event.event->seq, seq(1)}).state == DeliveryState::kDelivered);
  CHECK(reader->status().pending == 5);
  CHECK(reader->status().delivered == 1);
  CHECK(deliveries_of(event) == 6);
}

TEST_CASE_FIXTURE(FanOuts, "an endpoint removed on the way gets nothing, and is not counted in the end") {
  const NewEvent event = begin(1);
  accept({event});
  apply(RemoveEndpoint{endpoints[4].id, kNow});
  const auto stale = apply(step(event, 1, 6));
  CHECK(stale->stale);
  CHECK(stale.facts.empty());
  CHECK(reader->status().pending == 1);
  CHECK(reader->unfinished_fan_outs(0, 10).size() == 1);
  ExpandEvent matched_again = step(event, 1, 6);
  matched_again.matched = reader->all_endpoints().version;
  matched_again.endpoints.erase(matched_again.endpoints.begin() + 3);
  const auto expanded = apply(matched_again);
  CHECK_FALSE(expanded->stale);
  CHECK(made_by(expanded).size() == 4);
  CHECK_FALSE(reader->delivery({event.event->seq, seq(4)}));
  CHECK(deliveries_of(event) == 5);
  CHECK(reader->status().pending == 5);
}

TEST_CASE_FIXTURE(FanOuts, "a step with order keys finds its places in the lines that grew meanwhile") {
  NewEvent event = begin(0);
  event.event->ordering_key = "a";
  accept({event});
  const auto ahead = accept_one(keyed(new_event({seq(0)}), "a")),
             also = accept_one(keyed(new_event({seq(0)}), "a"));
  ExpandEvent expand = step(event, 0, 2);
  for (auto& first : expand.endpoints) first.ordering = Ordering::kKey;
  CHECK(made_by(apply(expand)) == std::vector{seq(0), seq(1)});
  CHECK(due(seq(0)) == std::vector<EventSeq>{event.event->seq});
  apply(delivered({event.event->seq, seq(0)}, 1));
  CHECK(due(seq(0)) == std::vector<EventSeq>{ahead});
  // Once more: it is there, and takes no place any more.
  CHECK(made_by(apply(expand)).empty());
  CHECK(due(seq(0)) == std::vector<EventSeq>{ahead});
  CHECK(only<OutcomeRecorded>(apply(delivered({ahead, seq(0)}, 1)).facts)[0].promoted);
  CHECK(due(seq(0)) == std::vector<EventSeq>{also});
}

TEST_CASE_FIXTURE(FanOuts, "a repeated event answers all its deliveries while they are still being made") {
  const NewEvent first = with_key(begin(1), "k", 'a');
  accept({first});
  const auto repeated = accept({with_key(begin(1), "k", 'a')});
  CHECK(repeated->events[0].duplicate);
  CHECK(repeated->events[0].deliveries == 6);
  CHECK(reader->unfinished_fan_outs(0, 10).size() == 1);
}

TEST_CASE_FIXTURE(FanOuts, "unfinished fan-outs are read oldest first, page by page") {
  std::vector<EventSeq> events;
  for (int i = 0; i < 5; ++i) events.push_back(accept_one(begin(1)));
  const auto page = reader->unfinished_fan_outs(events[1], 2);
  REQUIRE(page.size() == 2);
  CHECK(page[0].event->seq == events[2]);
  CHECK(page[1].event->seq == events[3]);
  CHECK(reader->unfinished_fan_outs(events[4], 2).empty());
}
