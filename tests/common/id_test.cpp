#include "common/id.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <set>
#include <thread>
#include <vector>

using namespace outboxd;
using namespace std::chrono_literals;

namespace {
std::vector<Uuid> make(UuidGenerator& generator, std::size_t count) {
  std::vector<Uuid> made;
  for (std::size_t i = 0; i < count; ++i) made.push_back(generator.next());
  return made;
}

bool strictly_increasing(const std::vector<Uuid>& ids) {
  return std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end();
}
}  // namespace

TEST_CASE("an id holds its time, version 7 and the RFC's variant") {
  const ManualClock clock;
  UuidGenerator generator(clock);
  const Uuid uuid = generator.next();
  CHECK(uuid.time() == clock.wall());
  CHECK((uuid.bytes[6] >> 4) == 7);
  CHECK((uuid.bytes[8] >> 6) == 0b10);
}

TEST_CASE("ids increase within one millisecond, also when the counter runs over") {
  const ManualClock clock;
  UuidGenerator generator(clock);
  const auto ids = make(generator, 20'000);
  CHECK(strictly_increasing(ids));
  CHECK(ids.back().time() > clock.wall());
  CHECK(ids.back().time() < clock.wall() + 11ms);  // at least 2,048 ids a millisecond
}

TEST_CASE("the counter starts each millisecond in its lower half") {
  ManualClock clock;
  UuidGenerator generator(clock);
  for (int i = 0; i < 1000; ++i) {
    CHECK((generator.next().bytes[6] & 0xF) < 8);
    clock.advance(1ms);
  }
}

TEST_CASE("ids go on increasing when the clock steps back a little") {
  ManualClock clock;
  UuidGenerator generator(clock);
  auto ids = make(generator, 10);
  clock.step_wall(-10s);
  for (const Uuid& uuid : make(generator, 10)) ids.push_back(uuid);
  CHECK(strictly_increasing(ids));
}

TEST_CASE("ids follow the clock over a large step back and stay unique") {
  ManualClock clock;
  UuidGenerator generator(clock);
  std::set<Uuid> seen;
  for (int round = 0; round < 3; ++round) {
    for (const Uuid& uuid : make(generator, 1000)) CHECK(seen.insert(uuid).second);
    clock.step_wall(-11s);
    CHECK(generator.next().time() == clock.wall());
    clock.step_wall(11s);
  }
}

TEST_CASE("ids made on several threads are unique") {
  const SystemClock clock;
  UuidGenerator generator(clock);
  std::vector<std::vector<Uuid>> made(4);
  std::vector<std::thread> threads;
  threads.reserve(made.size());
  for (auto& mine : made) threads.emplace_back([&] { mine = make(generator, 20'000); });
  for (auto& thread : threads) thread.join();
  std::set<Uuid> all;
  for (const auto& mine : made) {
    CHECK(strictly_increasing(mine));
    all.insert(mine.begin(), mine.end());
  }
  CHECK(all.size() == 80'000);
}

TEST_CASE("an id reads back from its text, and only with its own prefix") {
  const SystemClock clock;
  UuidGenerator generator(clock);
  CHECK(rc::check([&] {
    const EventId id{generator.next()};
    const std::string text = id.to_string();
    RC_ASSERT(text.size() == 36u);
    RC_ASSERT(EventId::parse(text) == id);
    RC_ASSERT_FALSE(EndpointId::parse(text).has_value());
  }));
}

TEST_CASE("what is no id is refused") {
  const std::string good = "evt_019a00000000700080000000000000ab";
  REQUIRE(EventId::parse(good));
  for (const std::string& text :
       {std::string(), std::string("evt_"), good.substr(4), good.substr(0, 35), good + "0",
        "EVT_" + good.substr(4), std::string("evt_019A00000000700080000000000000ab"),
        std::string("evt_019a0000-0000-7000-8000-00000000"),
        std::string("evt_019a000000007000800000000000000g"), " " + good}) {
    CAPTURE(text);
    CHECK_FALSE(EventId::parse(text));
  }
}

TEST_CASE("32 hex digits behind the prefix are an id, if perhaps one that was never given") {
  for (const std::string text :
       {"evt_00000000000000000000000000000000", "evt_019a0000000040008000000000000000",
        "evt_019a0000000070000000000000000000", "evt_ffffffffffffffffffffffffffffffff"}) {
    const auto id = EventId::parse(text);
    REQUIRE(id);
    CHECK(id->to_string() == text);
  }
}

TEST_CASE("a delivery's id is laid out as its header says") {
  const DeliveryId id =
      delivery_id({.event = (1ll << 42) - 1, .endpoint = 1}, from_unix_millis(0x019a'1234'5678));
  CHECK(id.to_string() == "dlv_019a123456787fffbfffffff00000001");
}

TEST_CASE("a delivery's key comes back from its id, which stays well-formed") {
  CHECK(rc::check([] {
    const DeliveryKey key{*rc::gen::inRange<std::int64_t>(0, 1ll << 42),
                          *rc::gen::inRange<std::int64_t>(0, 1ll << 32)};
    const Time created = from_unix_millis(*rc::gen::inRange<std::int64_t>(0, 1ll << 48));
    const DeliveryId id = delivery_id(key, created);
    RC_ASSERT(delivery_key(id) == key);
    RC_ASSERT(id.uuid.time() == created);
    RC_ASSERT(DeliveryId::parse(id.to_string()) == id);
  }));
}

TEST_CASE("any well-formed delivery id gives the key that it was made of") {
  const SystemClock clock;
  UuidGenerator generator(clock);
  for (int i = 0; i < 1000; ++i) {
    const DeliveryId id{generator.next()};
    CHECK(delivery_id(delivery_key(id), id.uuid.time()) == id);
  }
}
