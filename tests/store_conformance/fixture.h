// A new store, and commands as one-liners.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>

#include "store_conformance/subject.h"
#include "support/store_values.h"

namespace outboxd::test {

inline std::vector<EventSeq> events_of(const DueWindow& window) {
  std::vector<EventSeq> seqs;
  for (const auto& due : window.deliveries) seqs.push_back(due.key.event);
  return seqs;
}
inline std::vector<EventSeq> events_of(const Rows<DeliveryRow>& rows) {
  std::vector<EventSeq> seqs;
  for (const auto& row : rows.rows) seqs.push_back(row.delivery.key.event);
  return seqs;
}

struct Fixture {
  std::unique_ptr<Subject> subject = make_subject();
  std::unique_ptr<StoreReader> reader = subject->store().new_reader();

  Store& store() { return subject->store(); }
  void reopen() {
    reader.reset();
    subject->reopen();
    reader = store().new_reader();
  }
  // Time passes until then; it never goes back.
  void wait_until(Time t) {
    ManualClock& clock = subject->clock();
    clock.advance(std::max(t - clock.wall(), Millis(0)));
  }

  template <class C>
  Done<C> apply(C command, bool repeat = false) {
    auto done = test::apply(store(), std::move(command), repeat);
    store().writer().maintain();
    return done;
  }
  Applied apply_all(const std::vector<Command>& commands, bool repeat = false) {
    return test::apply_all(store(), commands, repeat);
  }
  Endpoint create(Endpoint endpoint = new_endpoint()) {
    const auto made = apply(CreateEndpoint{shared(std::move(endpoint))});
    REQUIRE(made);
    return **made;
  }
  Done<UpdateEndpoint> update(Endpoint changed, Time if_updated_at) {
    return apply(UpdateEndpoint{shared(std::move(changed)), if_updated_at});
  }
  Done<AcceptEvents> accept(std::vector<NewEvent> events) { return apply(accepting(std::move(events))); }
  // One event; answers its number.
  EventSeq accept_one(NewEvent event) {
    const auto shared = event.event;
    REQUIRE(accept({std::move(event)}));
    return shared->seq;
  }
  // The events that may be attempted at an endpoint, once it is `at`.
  std::vector<EventSeq> due(EndpointSeq endpoint, Time at = kNow) {
    wait_until(at);
    return events_of(reader->due(endpoint, 1000, 1 << 20));
  }
  Delivery delivery(DeliveryKey key) {
    const auto row = reader->delivery(key);
    REQUIRE(row);
    return row->delivery;
  }
};

}  // namespace outboxd::test
