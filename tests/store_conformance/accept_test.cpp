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
  e.deliver_at = kNow + Millis(5000);
  e.expires_at = kNow + kDay;
  const auto answer = accept({given});
  REQUIRE(answer.command.accepted.size() == 1);
  CHECK(answer.command.accepted[0].id == e.id);
  CHECK(answer.command.accepted[0].created_at == e.created_at);
  CHECK(answer.command.accepted[0].deliveries == 1);
  CHECK_FALSE(answer.command.accepted[0].duplicate);
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
  CHECK(row->event.created_at == e.created_at);
  CHECK(row->event.deliver_at == e.deliver_at);
  CHECK(row->event.expires_at == e.expires_at);
  CHECK(row->deliveries == 1);
  CHECK(row->payload_bytes == 42);
  CHECK(reader->event(e.id, false)->event.payload.empty());
}

TEST_CASE_FIXTURE(Fixture, "an event that matches no endpoint is kept") {
  const NewEvent given = new_event();
  CHECK(accept({given}).command.accepted[0].deliveries == 0);
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
  REQUIRE_FALSE(answer.refused);
  CHECK(answer.command.accepted[0].duplicate);
  CHECK(answer.command.accepted[0].id == first.event->id);
  CHECK(answer.command.accepted[0].deliveries == 1);
  CHECK(reader->status().events == 1);
  CHECK(reader->status().pending == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "the same key with other content refuses the whole command and stores nothing of it") {
  const NewEvent first = with_key(new_event(), "k", 'a');
  accept({first});
  const auto answer =
      accept({new_event(), with_key(new_event(), "new", 'b'), with_key(new_event(), "k", 'c')});
  REQUIRE(answer.refused);
  CHECK(answer.refused->code == ProblemCode::kIdempotencyConflict);
  REQUIRE(answer.refused->errors.size() == 1);
  CHECK(answer.refused->errors[0].pointer == "/2");
  CHECK(answer.refused->detail.find("\"k\"") != std::string::npos);
  CHECK(answer.refused->detail.find(first.event->id.to_string()) != std::string::npos);
  CHECK(reader->status().events == 1);
  // Its other key was not taken.
  CHECK_FALSE(accept({with_key(new_event(), "new", 'd')}).command.accepted[0].duplicate);
}

TEST_CASE_FIXTURE(Fixture, "one command may hold a key twice if the content is the same") {
  const NewEvent first = with_key(new_event(), "k", 'a');
  const auto answer = accept({first, new_event(), with_key(new_event(), "k", 'a')});
  REQUIRE_FALSE(answer.refused);
  CHECK_FALSE(answer.command.accepted[0].duplicate);
  CHECK(answer.command.accepted[2].duplicate);
  CHECK(answer.command.accepted[2].id == first.event->id);
  CHECK(reader->status().events == 2);
  CHECK(accept({with_key(new_event(), "m", 'a'), with_key(new_event(), "m", 'b')}).refused);
}

TEST_CASE_FIXTURE(Fixture, "tenants have idempotency keys of their own") {
  accept({with_key(new_event(), "k", 'a')});
  NewEvent other = with_key(new_event(), "k", 'b');
  other.event->tenant = "acme";
  CHECK_FALSE(accept({other}).command.accepted[0].duplicate);
}

TEST_CASE_FIXTURE(Fixture, "a key can be used anew when its window is over") {
  accept({with_key(new_event(), "k", 'a')});
  NewEvent later = with_key(new_event(), "k", 'b');
  later.event->created_at = kNow + kDay - Millis(1);
  CHECK(accept({later}).refused);
  later.event->created_at = kNow + kDay;
  const auto answer = accept({later});
  REQUIRE_FALSE(answer.refused);
  CHECK_FALSE(answer.command.accepted[0].duplicate);
  CHECK(reader->status().events == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "commands of one batch see each other, and a refused one does not undo the others") {
  Write first{AcceptEvents{{with_key(new_event(), "k", 'a')}, kDay}, {}};
  Write second{AcceptEvents{{with_key(new_event(), "k", 'b')}, kDay}, {}};
  Write third{AcceptEvents{{with_key(new_event(), "k", 'a')}, kDay}, {}};
  Write* batch[] = {&first, &second, &third};
  store().writer().apply(batch);
  CHECK_FALSE(first.refused);
  CHECK(second.refused);
  CHECK(std::get<AcceptEvents>(third.command).accepted[0].duplicate);
  CHECK(reader->status().events == 1);
}

TEST_CASE_FIXTURE(Fixture, "a command that breaks a rule of the store is refused alone") {
  const auto endpoint = create().seq;
  Write good{AcceptEvents{{new_event({endpoint})}, kDay}, {}};
  Write bad{AcceptEvents{{new_event({endpoint, endpoint})}, kDay}, {}};  // an endpoint twice
  Write also_good{AcceptEvents{{new_event({endpoint})}, kDay}, {}};
  Write* batch[] = {&good, &bad, &also_good};
  store().writer().apply(batch);
  CHECK_FALSE(good.refused);
  REQUIRE(bad.refused);
  CHECK(bad.refused->code == ProblemCode::kInternal);
  CHECK_FALSE(also_good.refused);
  CHECK(reader->status().events == 2);
  CHECK(reader->status().pending == 2);
}

TEST_CASE_FIXTURE(Fixture, "event numbers go on after a restart") {
  accept_one(new_event());
  accept_one(new_event());
  reopen();
  CHECK(accept_one(new_event()) == 3);
}
