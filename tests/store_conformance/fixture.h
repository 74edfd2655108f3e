// A new store, and commands as one-liners.
#pragma once

#include <doctest/doctest.h>

#include "store_conformance/subject.h"
#include "support/store_values.h"

namespace outboxd::test {

struct Fixture {
  std::unique_ptr<Subject> subject = make_subject();
  std::unique_ptr<StoreReader> reader = subject->store().new_reader();

  Store& store() { return subject->store(); }
  void reopen() {
    reader.reset();
    subject->reopen();
    reader = store().new_reader();
  }

  template <class C>
  struct Answer {
    C command;
    std::optional<Problem> refused;
  };
  // One command in a transaction of its own.
  template <class C>
  Answer<C> apply(C command) {
    Write write{std::move(command), std::nullopt};
    Write* batch[] = {&write};
    store().writer().apply(batch);
    store().writer().tidy();
    return {std::get<C>(std::move(write.command)), write.refused};
  }
  Endpoint create(Endpoint endpoint = new_endpoint()) {
    auto answer = apply(CreateEndpoint{std::move(endpoint)});
    REQUIRE_FALSE(answer.refused);
    return answer.command.endpoint;
  }
  Answer<AcceptEvents> accept(std::vector<NewEvent> events) {
    return apply(AcceptEvents{std::move(events), kDay});
  }
  // One event; answers its number.
  EventSeq accept_one(NewEvent event) {
    const auto shared = event.event;
    REQUIRE(!accept({std::move(event)}).refused);
    return shared->seq;
  }
  // The events that may be attempted at an endpoint now.
  std::vector<EventSeq> due(EndpointSeq endpoint, Time now = kNow);
  Delivery delivery(DeliveryKey key) {
    const auto row = reader->delivery(key);
    REQUIRE(row);
    return row->delivery;
  }
};

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

inline std::vector<EventSeq> Fixture::due(EndpointSeq endpoint, Time now) {
  return events_of(reader->due(endpoint, now, 1000, 1 << 20));
}

}  // namespace outboxd::test
