#include "store/postgresql/shared_writer.h"

#include <doctest/doctest.h>

#include <utility>

using namespace outboxd;
using namespace outboxd::postgresql;

namespace {

constexpr EndpointSeq kEndpoint = 7;
constexpr DeliveryKey kDelivery{1, kEndpoint};
constexpr Time kNow{Millis(1'767'225'600'000)};
constexpr Millis kStart{1000};

// Commits whatever it is given, and tells what it is told to tell.
struct Teller final : StoreWriter {
  Facts next;
  Applied apply(const Batch& /*batch*/) override { return {.answers = {}, .facts = std::exchange(next, {})}; }
  void maintain() override {}
  void finish() override {}
};

struct Hearing {
  Standing standing{[] { return BootTime(kStart); }};
  Doorbell doorbell;
  OwnEvents own_events;
  DueMarks marks;
  Teller teller;
  SharedWriter writer{teller, {standing, doorbell, own_events, marks}};

  Hearing() { fetch(); }
  void fetch() {
    const DueMarks::Look look = marks.begin(kEndpoint, kStart);
    CHECK(marks.saw(kEndpoint, look, {}, {.at = kNow, .oldest = 1, .next = 1}, kStart));
  }
  // Where the next fetch begins after the commit of this fact.
  template <class F>
  std::optional<Time> mark_after(F fact) {
    teller.next.emplace_back(std::move(fact));
    writer.apply({});
    return marks.begin(kEndpoint, kStart).from[5];
  }
};

constexpr Time kMark = kNow - DueMarks::kMargin;

DeliveryReady ready(Millis due_in) {
  DeliveryReady fact;
  fact.delivery.key = kDelivery;
  fact.delivery.due_at = kNow + due_in;
  fact.delivery.due_in = due_in;
  return fact;
}

}  // namespace

TEST_CASE_FIXTURE(Hearing, "what is delivered, or due again later, leaves the mark where it is") {
  CHECK(mark_after(OutcomeRecorded{.key = kDelivery}) == kMark);
  CHECK(mark_after(OutcomeRecorded{.key = kDelivery, .due_in = Millis(5000)}) == kMark);
  CHECK(mark_after(ready(Millis(-20))) == kMark);
  CHECK(mark_after(DueOnDisk{.endpoint = kEndpoint, .due_in = Millis(5000)}) == kMark);
}

TEST_CASE_FIXTURE(Hearing, "what has waited long for its commit lowers the mark") {
  CHECK(mark_after(ready(Millis(-7000))) == kNow - Millis(7000));
  CHECK_FALSE(mark_after(OutcomeRecorded{.key = kDelivery, .due_in = Millis(-7000)}));
}

TEST_CASE_FIXTURE(Hearing,
                  "the next in an order, and what is due on disk, are looked for from the beginning") {
  SUBCASE("promoted") {
    CHECK_FALSE(mark_after(OutcomeRecorded{.key = kDelivery, .promoted = true}));
  }
  SUBCASE("due") {
    CHECK_FALSE(mark_after(DueOnDisk{.endpoint = kEndpoint}));
  }
  SUBCASE("wanted by an operator") {
    CHECK_FALSE(mark_after(DueOnDisk{.endpoint = kEndpoint, .due_in = Millis(5000), .by_operator = true}));
  }
}
