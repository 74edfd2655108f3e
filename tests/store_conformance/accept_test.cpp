#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE_FIXTURE(Fixture, "an event comes back as it was given, after a restart too") {
  NewEvent given = new_event({create().seq});
  Event& e = *given.event;
  e.tenant = "acme";
  e.payload = std::string("\x00\xff{\"a\": 1.10, \"b\": 12345678901234567890}\n", 42);
  e.content_type = "application/x-own";
  e.ordering_key = "customer-7";
  e.priority = 9;
  e.headers = {{"x-a", "1"}, {"x-b", "ü"}};
  e.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  e.cloud_event = R"({"specversion":"1.0","id":"ü","source":"/s","type":"order.paid","n":-0})";
  e.deliver_at = kNow + Millis(5000);
  e.expires_at = kNow + kDay;
  const auto answer = accept({given});
  REQUIRE(answer->events.size() == 1);
  CHECK(answer->events[0].id == e.id);
  CHECK(answer->events[0].created_at == e.created_at);
  CHECK(answer->events[0].deliveries == 1);
  CHECK_FALSE(answer->events[0].duplicate);
  CHECK(e.seq == 1);

  reopen();
  const auto row = reader->event(e.id, true);
  REQUIRE(row);
  CHECK(row->event.seq == e.seq);
  CHECK(row->event.tenant == e.tenant);
  CHECK(row->event.type == e.type);
  CHECK(row->event.payload == e.payload);
  CHECK(row->event.content_type == e.content_type);
  CHECK(row->event.ordering_key == e.ordering_key);
  CHECK(row->event.priority == 9);
  CHECK(row->event.headers == e.headers);
  CHECK(row->event.traceparent == e.traceparent);
  CHECK(row->event.cloud_event == e.cloud_event);
  CHECK(row->event.created_at == e.created_at);
  CHECK(row->event.deliver_at == e.deliver_at);
  CHECK(row->event.expires_at == e.expires_at);
  CHECK(row->deliveries == 1);
  CHECK(row->payload_bytes == 42);
  CHECK(reader->event(e.id, false)->event.payload.empty());
}

TEST_CASE_FIXTURE(Fixture, "an event that matches no endpoint is kept") {
  const NewEvent given = new_event();
  CHECK(accept({given})->events[0].deliveries == 0);
  CHECK(reader->event(given.event->id, false)->deliveries == 0);
  CHECK(reader->status().events == 1);
  CHECK(reader->status().pending == 0);
}

TEST_CASE_FIXTURE(Fixture, "an unknown event is not found") {
  CHECK_FALSE(reader->event(EventId{ids().next()}, true));
}

TEST_CASE_FIXTURE(
    Fixture, "the same key with the same content is a duplicate of the first event, also after a restart") {
  const auto endpoint = create().seq;
  const NewEvent first = with_key(new_event({endpoint}), "k", 'a');
  accept({first});
  reopen();
  const auto answer = accept({with_key(new_event({endpoint}), "k", 'a')});
  REQUIRE(answer);
  CHECK(answer->events[0].duplicate);
  CHECK(answer->events[0].id == first.event->id);
  CHECK(answer->events[0].deliveries == 1);
  CHECK(reader->status().events == 1);
  CHECK(reader->status().pending == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "the same key with other content refuses the whole command and stores nothing of it") {
  const NewEvent first = with_key(new_event(), "k", 'a');
  accept({first});
  const auto answer =
      accept({new_event(), with_key(new_event(), "new", 'b'), with_key(new_event(), "k", 'c')});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ProblemCode::kIdempotencyConflict);
  REQUIRE(answer.error().errors.size() == 1);
  CHECK(answer.error().errors[0].pointer == "/2");
  CHECK(answer.error().detail.find("\"k\"") != std::string::npos);
  CHECK(answer.error().detail.find(first.event->id.to_string()) != std::string::npos);
  CHECK(reader->status().events == 1);
  // Its other key was not taken.
  CHECK_FALSE(accept({with_key(new_event(), "new", 'd')})->events[0].duplicate);
}

TEST_CASE_FIXTURE(Fixture, "one command may hold a key twice if the content is the same") {
  const NewEvent first = with_key(new_event(), "k", 'a');
  const auto answer = accept({first, new_event(), with_key(new_event(), "k", 'a')});
  REQUIRE(answer);
  CHECK_FALSE(answer->events[0].duplicate);
  CHECK(answer->events[2].duplicate);
  CHECK(answer->events[2].id == first.event->id);
  CHECK(reader->status().events == 2);
  CHECK_FALSE(accept({with_key(new_event(), "m", 'a'), with_key(new_event(), "m", 'b')}));
}

TEST_CASE_FIXTURE(Fixture, "tenants have idempotency keys of their own") {
  accept({with_key(new_event(), "k", 'a')});
  NewEvent other = with_key(new_event(), "k", 'b');
  other.event->tenant = "acme";
  CHECK_FALSE(accept({other})->events[0].duplicate);
}

TEST_CASE_FIXTURE(Fixture, "a key can be used anew when its window is over") {
  accept({with_key(new_event(), "k", 'a')});
  NewEvent later = with_key(new_event(), "k", 'b');
  later.event->created_at = kNow + kDay - Millis(1);
  CHECK_FALSE(accept({later}));
  later.event->created_at = kNow + kDay;
  const auto answer = accept({later});
  REQUIRE(answer);
  CHECK_FALSE(answer->events[0].duplicate);
  CHECK(reader->status().events == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "commands of one batch see each other, and a refused one does not undo the others") {
  const Applied applied =
      apply_all({accepting({with_key(new_event(), "k", 'a')}), accepting({with_key(new_event(), "k", 'b')}),
                 accepting({with_key(new_event(), "k", 'a')})});
  CHECK(applied.answers[0]);
  CHECK_FALSE(applied.answers[1]);
  CHECK(answer_to<AcceptEvents>(applied, 2)->events[0].duplicate);
  CHECK(reader->status().events == 1);
}

TEST_CASE_FIXTURE(Fixture, "a command that breaks a rule of the store is refused alone") {
  const auto endpoint = create().seq;
  const Applied applied = apply_all({accepting({new_event({endpoint})}),
                                     accepting({new_event({endpoint, endpoint})}),  // an endpoint twice
                                     accepting({new_event({endpoint})})});
  CHECK(applied.answers[0]);
  REQUIRE_FALSE(applied.answers[1]);
  CHECK(applied.answers[1].error().code == ProblemCode::kInternal);
  CHECK(applied.answers[2]);
  CHECK(reader->status().events == 2);
  CHECK(reader->status().pending == 2);
}

TEST_CASE_FIXTURE(Fixture, "event numbers go on after a restart") {
  accept_one(new_event());
  accept_one(new_event());
  reopen();
  CHECK(accept_one(new_event()) == 3);
}
