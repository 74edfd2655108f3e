#include <algorithm>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// All pages of a list, in order, with two rows a page.
template <class Row, class Read, class Take>
std::vector<Row> all_pages(Read read, Take take) {
  std::vector<Row> all;
  Page page{2, ""};
  for (int pages = 0; pages < 1000; ++pages) {
    const auto rows = read(page);
    REQUIRE(rows);
    for (const auto& row : rows->rows) all.push_back(take(row));
    if (!rows->next) return all;
    page.after = *rows->next;
  }
  FAIL("a list without an end");
  return all;
}

struct Lists : Fixture {
  Endpoint a = create(), b = create();
  std::vector<EventSeq> find(const DeliveryFilter& filter) {
    return all_pages<EventSeq>([&](const Page& p) { return reader->deliveries(filter, p); },
                               [](const DeliveryRow& row) { return row.delivery.key.event; });
  }
  std::vector<EventSeq> find(const EventFilter& filter) {
    return all_pages<EventSeq>([&](const Page& p) { return reader->events(filter, p); },
                               [](const EventRow& row) { return row.event.seq; });
  }
};

NewEvent at(NewEvent event, Time t) {
  event.event->created_at = t;
  ManualClock clock(t);
  UuidGenerator generator(clock);
  event.event->id = EventId{generator.next()};
  return event;
}

}  // namespace

TEST_CASE_FIXTURE(Lists, "events are listed newest first, page by page, by tenant and type") {
  for (int i = 0; i < 7; ++i) {
    NewEvent e = new_event({}, i % 2 == 0 ? "order.paid" : "order.sent");
    e.event->tenant = i < 4 ? "acme" : "";
    accept_one(std::move(e));
  }
  CHECK(find(EventFilter{}) == std::vector<EventSeq>{7, 6, 5, 4, 3, 2, 1});
  CHECK(find(EventFilter{.tenant = "acme", .type = {}, .since = {}, .until = {}}) ==
        std::vector<EventSeq>{4, 3, 2, 1});
  CHECK(find(EventFilter{.tenant = {}, .type = "order.sent", .since = {}, .until = {}}) ==
        std::vector<EventSeq>{6, 4, 2});
  CHECK(reader->events({}, {50, ""})->rows[0].event.payload.empty());
}

TEST_CASE_FIXTURE(Lists, "lists are bounded in time: since is in, until is out") {
  const Millis hour = std::chrono::hours(1);
  for (int i = 0; i < 6; ++i) accept_one(at(new_event({a.seq}), kNow + i * hour));
  EventFilter filter;
  filter.since = kNow + hour;
  filter.until = kNow + 4 * hour;
  CHECK(find(filter) == std::vector<EventSeq>{4, 3, 2});
  DeliveryFilter deliveries;
  deliveries.since = filter.since;
  deliveries.until = filter.until;
  CHECK(find(deliveries) == std::vector<EventSeq>{4, 3, 2});
}

TEST_CASE_FIXTURE(Lists, "pages are stable under inserts") {
  for (int i = 0; i < 4; ++i) accept_one(new_event());
  const auto first = reader->events({}, {2, ""});
  accept_one(new_event());
  const auto second = reader->events({}, {2, *first->next});
  REQUIRE(second->rows.size() == 2);
  CHECK(second->rows[0].event.seq == 2);
  CHECK_FALSE(second->next);
}

TEST_CASE_FIXTURE(Lists, "deliveries are found by state, endpoint, event, type, tenant and error") {
  std::vector<EventId> events;
  for (int i = 0; i < 6; ++i) {
    NewEvent e = new_event({a.seq, b.seq}, i < 3 ? "order.paid" : "user.made");
    e.event->tenant = i == 0 ? "acme" : "";
    events.push_back(e.event->id);
    accept_one(std::move(e));
  }
  apply(died({2, a.seq}, 1));
  apply(died({4, a.seq}, 1, DeadReason::kGone));
  apply(died({4, b.seq}, 1));
  apply(delivered({1, a.seq}, 1));
  apply(failed({6, b.seq}, 1));

  DeliveryFilter f;
  CHECK(find(f).size() == 12);
  f.state = DeliveryState::kDead;
  CHECK(find(f) == std::vector<EventSeq>{4, 4, 2});
  f.endpoint = a.id;
  CHECK(find(f) == std::vector<EventSeq>{4, 2});
  f.type = "order.paid";
  CHECK(find(f) == std::vector<EventSeq>{2});
  f = {};
  f.endpoint = b.id;
  CHECK(find(f) == std::vector<EventSeq>{6, 5, 4, 3, 2, 1});
  f = {};
  f.event = events[3];
  CHECK(find(f) == std::vector<EventSeq>{4, 4});
  f.endpoint = b.id;
  CHECK(find(f) == std::vector<EventSeq>{4});
  f = {};
  f.tenant = "acme";
  CHECK(find(f) == std::vector<EventSeq>{1, 1});
  f = {};
  f.error = "any";
  CHECK(find(f) == std::vector<EventSeq>{6, 4, 4, 2});
  f.error = "http_5xx";
  CHECK(find(f).size() == 4);
  f.error = "dns";
  CHECK(find(f).empty());
  f = {};
  f.state = DeliveryState::kDelivered;
  CHECK(find(f) == std::vector<EventSeq>{1});
  f = {};
  f.endpoint = EndpointId{ids().next()};
  CHECK(find(f).empty());
  f = {};
  f.event = EventId{ids().next()};
  CHECK(find(f).empty());
}

TEST_CASE_FIXTURE(Lists, "a row of a list of deliveries names its event and endpoint") {
  const NewEvent e = new_event({b.seq});
  accept_one(e);
  const auto rows = reader->deliveries({}, {});
  REQUIRE(rows->rows.size() == 1);
  CHECK(rows->rows[0].event == e.event->id);
  CHECK(rows->rows[0].endpoint == b.id);
  CHECK(rows->rows[0].event_type == "order.paid");
  CHECK(rows->rows[0].delivery.created_at == kNow);
}

TEST_CASE_FIXTURE(
    Lists, "what is pending at one endpoint is listed completely, whatever its priority and due time") {
  std::vector<EventSeq> all;
  for (int i = 0; i < 9; ++i) {
    NewEvent e = new_event({a.seq});
    e.event->priority = i % 3;
    if (i > 4) e.endpoints[0].due_in = Millis(100 * i);
    all.push_back(accept_one(std::move(e)));
  }
  accept_one(new_event({b.seq}));
  DeliveryFilter f;
  f.endpoint = a.id;
  f.state = DeliveryState::kPending;
  auto found = find(f);
  std::sort(found.begin(), found.end());
  CHECK(found == all);
}

TEST_CASE_FIXTURE(
    Lists, "what is pending in order at one endpoint is listed completely too, by key behind the rest") {
  std::vector<EventSeq> all;
  for (int i = 0; i < 12; ++i) {
    NewEvent e = new_event({a.seq, b.seq});
    all.push_back(accept_one(i % 4 == 3 ? std::move(e) : keyed(std::move(e), i % 4 == 0 ? "ü" : "-z")));
  }
  DeliveryFilter f;
  f.endpoint = a.id;
  f.state = DeliveryState::kPending;
  // The heads and what is in no order; then key "-z" and key "ü", without their heads.
  CHECK(find(f) == std::vector<EventSeq>{1, 2, 4, 8, 12, 3, 6, 7, 10, 11, 5, 9});
  // A page may end anywhere: between the two parts, too.
  for (int limit = 1; limit <= 13; ++limit) {
    std::vector<EventSeq> found;
    for (Page page{limit, ""};;) {
      const auto rows = reader->deliveries(f, page);
      REQUIRE(rows);
      for (const auto& row : rows->rows) found.push_back(row.delivery.key.event);
      if (!rows->next) break;
      page.after = *rows->next;
    }
    std::sort(found.begin(), found.end());
    CHECK(found == all);
  }
  f.type = "order.sent";
  CHECK(find(f).empty());
  CHECK(find(DeliveryFilter{}).size() == 24);
  f.type.reset();
  f.endpoint = create().id;
  accept_one(keyed(new_event({reader->endpoint(*f.endpoint)->seq}), "k"));
  CHECK_FALSE(reader->deliveries(f, {1, ""})->next);  // a head alone has none behind it
}

TEST_CASE_FIXTURE(Lists, "a cursor of another list, or of nobody, is refused") {
  accept_one(new_event({a.seq}));
  DeliveryFilter pending;
  pending.endpoint = a.id;
  pending.state = DeliveryState::kPending;
  for (const char* cursor : {"x", "e", "e-", "e1-2", "d1", "d1-2-3", "e99999999999999999999", "e1x", "o",
                             "o-", "o6", "o6b", "ozz-1", "o6b--1", "w1", "p1-2", "' OR 1=1 --"}) {
    CAPTURE(cursor);
    const auto events = reader->events({}, {10, cursor});
    REQUIRE_FALSE(events);
    CHECK(events.error().code == ProblemCode::kInvalidParameter);
    CHECK_FALSE(reader->deliveries({}, {10, cursor}));
    CHECK_FALSE(reader->rejected_outbox({10, cursor}));
    CHECK_FALSE(reader->endpoints(std::nullopt, {10, cursor}));
    CHECK_FALSE(reader->deliveries(pending, {10, cursor}));
  }
}

TEST_CASE_FIXTURE(Lists, "a delivery is found by its key, and by nothing else") {
  const EventSeq event = accept_one(new_event({a.seq}));
  CHECK(reader->delivery({event, a.seq}));
  CHECK_FALSE(reader->delivery({event, b.seq}));
  CHECK_FALSE(reader->delivery({event + 1, a.seq}));
}
