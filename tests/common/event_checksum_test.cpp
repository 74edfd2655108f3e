#include "common/event_checksum.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <set>

using namespace outboxd;

namespace {

Event full_event() {
  Event e;
  e.seq = 7;
  e.id = *EventId::parse("evt_019bd3c2f1c07a2e8f4d5b6a7c8d9e12");
  e.tenant = "acme";
  e.type = "order.paid";
  e.payload = R"({"id":42})";
  e.ordering_key = "o";
  e.headers = {{"x-a", "1"}, {"x-b", "2"}};
  e.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  e.created_at = from_unix_millis(1'767'225'600'000);
  e.deliver_at = from_unix_millis(1'767'225'700'000);
  e.expires_at = from_unix_millis(1'767'225'800'000);
  return e;
}

}  // namespace

TEST_CASE("a checksum is the same on every machine and in every version: databases hold it") {
  CHECK(event_checksum(full_event()) == -6118493074523322316);
  CHECK(event_checksum(Event{}) == 3761521259155918104);
}

TEST_CASE("a checksum changes with everything that is sent, or decides when and where to") {
  const std::vector<std::function<void(Event&)>> changes = {
      [](Event& e) { e.seq = 8; },
      [](Event& e) { e.id.uuid.bytes[15] ^= 1; },
      [](Event& e) { e.tenant = "acmf"; },
      [](Event& e) { e.type = "order.paie"; },
      [](Event& e) { e.payload[0] ^= 1; },
      [](Event& e) { e.payload += ' '; },
      [](Event& e) { e.content_type = "application/jsoo"; },
      [](Event& e) { e.ordering_key = "p"; },
      [](Event& e) { e.ordering_key.reset(); },
      [](Event& e) { e.priority = 4; },
      [](Event& e) { e.headers[1].value = "3"; },
      [](Event& e) { e.headers.pop_back(); },
      [](Event& e) {
        e.headers = {{"x-a", "1x-b"}, {"", "2"}};
      },
      [](Event& e) { e.traceparent.reset(); },
      [](Event& e) { e.created_at += Millis(1); },
      [](Event& e) { e.deliver_at.reset(); },
      [](Event& e) { e.expires_at.reset(); },
      [](Event& e) { e.cloud_event = "{}"; },
      [](Event& e) { e.cloud_event = ""; },
      [](Event& e) { std::swap(e.deliver_at, e.expires_at); },
      [](Event& e) { std::swap(e.tenant, e.type); },
  };
  std::set<std::int64_t> seen = {event_checksum(full_event())};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CAPTURE(i);
    Event changed = full_event();
    changes[i](changed);
    CHECK(seen.insert(event_checksum(changed)).second);
  }
}

TEST_CASE("a checksum takes microseconds for a usual event, and milliseconds for a large one") {
  const auto seconds_for = [](std::size_t bytes, int times) {
    Event event = full_event();
    event.payload.assign(bytes, 'x');
    const auto begin = std::chrono::steady_clock::now();
    std::int64_t sum = 0;
    for (int i = 0; i < times; ++i) sum ^= event_checksum(event);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    CHECK(sum == 0);  // an even number of times the same
    return took.count() / times;
  };
  const double usual = seconds_for(230, 2000), large = seconds_for(1 << 20, 20);
  MESSAGE("230 bytes: " << usual * 1e6 << " us, 1 MiB: " << large * 1e3 << " ms");
  CHECK(usual < 200e-6);
  CHECK(large < 0.2);
}
