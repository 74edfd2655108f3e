// Operators' batches: each acts on exactly what matched when it was made, once, whatever happens meanwhile.
#include "store/operator_batch.h"

#include <limits>
#include <set>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

using Keys = std::vector<DeliveryKey>;

OperatorBatch new_batch(BatchAction action, DeliveryFilter filter) {
  OperatorBatch batch;
  batch.id = BatchId{ids().next()};
  batch.action = action;
  batch.filter = std::move(filter);
  batch.rate = {.count = 100, .per = std::chrono::seconds(1)};
  batch.reason = "it works again";
  batch.who = "uid 0";
  batch.created_at = kNow;
  return batch;
}

struct Batches : Fixture {
  Endpoint shop = create(), other = create();

  OperatorBatch make(BatchAction action, DeliveryFilter filter) {
    const auto made =
        apply(CreateBatch{std::make_shared<const OperatorBatch>(new_batch(action, std::move(filter)))});
    REQUIRE(made);
    CHECK(only<BatchChanged>(made.facts).size() == 1);
    return **made;
  }
  Keys found(const OperatorBatch& batch, int limit = 1000) {
    Keys keys;
    Page page{limit, batch.place};
    for (;;) {
      const auto rows = reader->batch_deliveries(batch, page);
      REQUIRE(rows);
      for (const DeliveryRow& row : rows->rows) keys.push_back(row.delivery.key);
      if (!rows->next) return keys;
      page.after = *rows->next;
    }
  }
  Done<StepBatch> step(const OperatorBatch& batch, Keys keys, const std::string& to, bool last = false,
                       bool repeat = false) {
    auto step = std::make_shared<BatchStep>();
    step->from = batch.place;
    step->keys = std::move(keys);
    step->to = to;
    step->last = last;
    step->at = kNow;
    return apply(StepBatch{batch.id, std::move(step)}, repeat);
  }
  // The whole batch, in steps of one page. How many were acted upon.
  OperatorBatch run(OperatorBatch batch, int limit = 2) {
    while (batch.state == BatchState::kRunning) {
      const auto rows = reader->batch_deliveries(batch, Page{limit, batch.place});
      REQUIRE(rows);
      Keys keys;
      for (const DeliveryRow& row : rows->rows) keys.push_back(row.delivery.key);
      const auto now = step(batch, keys, rows->next.value_or(batch.place), !rows->next);
      REQUIRE(now);
      batch = **now;
    }
    return batch;
  }
  DeliveryKey dead(EndpointSeq endpoint, const std::string& type = "order.paid",
                   DeadReason reason = DeadReason::kExhausted) {
    const DeliveryKey key{accept_one(new_event({endpoint}, type)), endpoint};
    apply(died(key, 1, reason));
    return key;
  }
  DeliveryKey pending(EndpointSeq endpoint, const std::string& type = "order.paid") {
    return {accept_one(new_event({endpoint}, type)), endpoint};
  }
  DeliveryFilter of_shop(std::optional<DeliveryState> state = std::nullopt) const {
    DeliveryFilter filter;
    filter.endpoint = shop.id;
    filter.state = state;
    return filter;
  }
  std::set<DeliveryKey> in_state(DeliveryState state) {
    std::set<DeliveryKey> keys;
    DeliveryFilter filter;
    filter.state = state;
    const auto found = reader->deliveries(filter, Page{1000, ""});
    for (const DeliveryRow& row : found->rows) keys.insert(row.delivery.key);
    return keys;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Batches, "a batch passes over events whose payload was erased") {
  const DeliveryKey kept = dead(shop.seq), gone = dead(shop.seq);
  const EventId erased = reader->delivery(gone)->event;
  apply(ErasePayload{.id = erased, .at = kNow});
  for (const BatchAction action : {BatchAction::kRetry, BatchAction::kReplay}) {
    const OperatorBatch ended = run(make(action, of_shop()));
    CHECK(ended.done == 1);
    CHECK(ended.skipped == 1);
    CHECK(delivery(gone).state == DeliveryState::kDead);
    apply(died(kept, 2));
  }
}

TEST_CASE_FIXTURE(Batches, "a retry puts back what was dead when it was made, and nothing that dies later") {
  const DeliveryKey first = dead(shop.seq), second = dead(shop.seq), theirs = dead(other.seq);
  const DeliveryKey dies_later = pending(shop.seq);
  const OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  apply(died(dies_later, 1));
  const DeliveryKey new_one = dead(shop.seq);
  const OperatorBatch ended = run(batch, 1);
  CHECK(ended.state == BatchState::kFinished);
  CHECK(ended.finished_at == kNow);
  CHECK(ended.done == 2);
  CHECK(ended.matched == 2);
  CHECK(ended.counted);
  CHECK(in_state(DeliveryState::kPending) == std::set{first, second});
  CHECK(in_state(DeliveryState::kDead) == std::set{theirs, dies_later, new_one});
  CHECK(reader->status().pending == 2);
  CHECK(delivery(first).attempts == 0);
}

TEST_CASE_FIXTURE(Batches,
                  "what was retried by hand or died again meanwhile is not acted upon a second time") {
  const DeliveryKey by_hand = dead(shop.seq), again = dead(shop.seq), left = dead(shop.seq);
  const OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  const Keys found_before = found(batch);
  CHECK(found_before == Keys{by_hand, again, left});
  apply(ChangeDelivery{by_hand, DeliveryState::kPending, kNow});
  apply(ChangeDelivery{again, DeliveryState::kPending, kNow});
  apply(died(again, 2));
  CHECK(found(batch) == Keys{left});
  // A step may have found them before they changed.
  const auto now = step(batch, found_before, "b9-9", true);
  REQUIRE(now);
  CHECK((*now)->done == 1);
  CHECK((*now)->skipped == 2);
  CHECK(in_state(DeliveryState::kDead) == std::set{again});
  CHECK(delivery(by_hand).attempts == 0);
}

TEST_CASE_FIXTURE(Batches,
                  "what a batch has put back and what died again of that is not put back by it again") {
  const DeliveryKey key = dead(shop.seq), next = dead(shop.seq);
  const OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  REQUIRE(step(batch, {key}, "b1-1"));
  apply(died(key, 2));
  OperatorBatch from_the_start = *reader->batch(batch.id);
  from_the_start.place.clear();
  CHECK(found(from_the_start) == Keys{next});
  // A second batch is made later, and may.
  CHECK(found(make(BatchAction::kRetry, of_shop(DeliveryState::kDead))) == Keys{key, next});
}

TEST_CASE_FIXTURE(Batches,
                  "a step that is committed already has no effect, and on a repeat tells its facts again") {
  const DeliveryKey key = dead(shop.seq), next = dead(shop.seq);
  const OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  const auto first = step(batch, {key}, "b1-1");
  REQUIRE(first);
  CHECK((*first)->done == 1);
  REQUIRE(only<DueOnDisk>(first.facts).size() == 1);
  CHECK(only<DueOnDisk>(first.facts)[0].by_operator);
  const auto again = step(batch, {key}, "b1-1");
  CHECK((*again)->done == 1);
  CHECK(only<DueOnDisk>(again.facts).empty());
  const auto repeated = step(batch, {key}, "b1-1", false, true);
  CHECK((*repeated)->done == 1);
  CHECK(only<DueOnDisk>(repeated.facts).size() == 1);
  // Later steps leave it to the endpoint's health when it is tried.
  const auto second = step(**first, {next}, "b2-1", true);
  REQUIRE(only<DueOnDisk>(second.facts).size() == 1);
  CHECK_FALSE(only<DueOnDisk>(second.facts)[0].by_operator);
  REQUIRE(only<BatchChanged>(second.facts).size() == 1);
  CHECK(only<BatchChanged>(second.facts)[0].now->state == BatchState::kFinished);
}

TEST_CASE_FIXTURE(Batches, "a batch goes on after a restart where it was, and it acts on each once") {
  std::set<DeliveryKey> all;
  for (int i = 0; i < 7; ++i) all.insert(dead(shop.seq));
  OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  const auto rows = reader->batch_deliveries(batch, Page{3, ""});
  Keys keys;
  for (const DeliveryRow& row : rows->rows) keys.push_back(row.delivery.key);
  REQUIRE(step(batch, keys, *rows->next));
  reopen();
  const auto running = reader->running_batches();
  REQUIRE(running.size() == 1);
  batch = running[0];
  CHECK(batch.done == 3);
  CHECK(batch.filter.endpoint == shop.id);
  CHECK(batch.filter.state == DeliveryState::kDead);
  CHECK(batch.reason == "it works again");
  CHECK(batch.rate.count == 100);
  CHECK(found(batch).size() == 4);
  CHECK(run(batch).done == 7);
  CHECK(in_state(DeliveryState::kPending) == all);
  CHECK(reader->running_batches().empty());
}

TEST_CASE_FIXTURE(Batches, "a cancelled batch does no more, and is cancelled once") {
  const DeliveryKey key = dead(shop.seq), next = dead(shop.seq);
  const OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  const auto one = step(batch, {key}, "b1-1");
  const auto cancelled = apply(CancelBatch{batch.id, kNow});
  REQUIRE(cancelled);
  CHECK((*cancelled)->state == BatchState::kCancelled);
  CHECK((*cancelled)->done == 1);
  CHECK(only<BatchChanged>(cancelled.facts).size() == 1);
  CHECK((*step(**one, {next}, "b2-1"))->done == 1);
  CHECK(in_state(DeliveryState::kDead) == std::set{next});
  CHECK(apply(CancelBatch{batch.id, kNow}).error().code == ProblemCode::kConflict);
  CHECK(apply(CancelBatch{BatchId{ids().next()}, kNow}).error().code == ProblemCode::kNotFound);
  CHECK(reader->running_batches().empty());
}

TEST_CASE_FIXTURE(Batches, "a discard of pending deliveries finds each, however they move about meanwhile") {
  std::set<DeliveryKey> all;
  for (int i = 0; i < 6; ++i) all.insert(pending(shop.seq));
  const std::set theirs{pending(other.seq)};
  OperatorBatch batch = make(BatchAction::kDiscard, of_shop(DeliveryState::kPending));
  // An attempt in vain postpones some, before and behind the batch's place; they are as pending as they were.
  auto rows = reader->batch_deliveries(batch, Page{2, ""});
  Keys keys{rows->rows[0].delivery.key, rows->rows[1].delivery.key};
  apply(failed(*all.begin(), 1, Millis(5000)));
  apply(failed(*all.rbegin(), 1, Millis(9000)));
  const auto now = step(batch, keys, *rows->next);
  REQUIRE(now);
  apply(failed(*std::next(all.begin(), 3), 1, Millis(1000)));
  CHECK(run(**now).done == 6);
  CHECK(in_state(DeliveryState::kDiscarded) == all);
  CHECK(in_state(DeliveryState::kPending) == theirs);
}

TEST_CASE_FIXTURE(Batches, "deliveries in order are discarded too, also those that are promoted meanwhile") {
  std::set<DeliveryKey> all;
  for (int i = 0; i < 5; ++i) all.insert({accept_one(keyed(new_event({shop.seq}), "k")), shop.seq});
  for (int i = 0; i < 2; ++i) all.insert({accept_one(keyed(new_event({shop.seq}), "l")), shop.seq});
  const OperatorBatch batch = make(BatchAction::kDiscard, of_shop(DeliveryState::kPending));
  CHECK(run(batch, 1).done == 7);
  CHECK(in_state(DeliveryState::kDiscarded) == all);
}

TEST_CASE_FIXTURE(Batches, "of deliveries in order each is found once on a page, and counted once") {
  for (int i = 0; i < 3; ++i) accept_one(keyed(new_event({shop.seq}), "k"));
  accept_one(keyed(new_event({shop.seq}), "l"));
  OperatorBatch batch = make(BatchAction::kDiscard, of_shop(DeliveryState::kPending));
  CHECK(reader->batch_deliveries(batch, Page{100, ""})->rows.size() == 4);
  batch.number = batch.last_event = batch.last_endpoint = kOnlyCounts;
  std::size_t counted = 0;
  for (Page page{1, ""};;) {
    const auto found = reader->batch_deliveries(batch, page);
    counted += found->rows.size();
    if (!found->next) break;
    page.after = *found->next;
  }
  CHECK(counted == 4);
  CHECK(run(make(BatchAction::kDiscard, of_shop(DeliveryState::kPending)), 100).skipped == 0);
}

TEST_CASE_FIXTURE(Batches, "the error of a pending delivery counts as it was when the batch was made") {
  const DeliveryKey timed_out = pending(shop.seq), broken = pending(shop.seq), fresh = pending(shop.seq);
  apply(with_attempt(failed(timed_out, 1), new_attempt(1, Outcome::kTimeout)));
  apply(failed(broken, 1));
  DeliveryFilter filter = of_shop(DeliveryState::kPending);
  filter.error = "timeout";
  const OperatorBatch timeouts = make(BatchAction::kDiscard, filter);
  filter.error.reset();
  filter.status = 503;
  const OperatorBatch of_status = make(BatchAction::kDiscard, filter);
  // Now each looks as the other did.
  apply(failed(timed_out, 2));
  apply(with_attempt(failed(broken, 2), new_attempt(2, Outcome::kTimeout)));
  apply(with_attempt(failed(fresh, 1), new_attempt(1, Outcome::kTimeout)));
  CHECK(found(timeouts) == Keys{timed_out});
  CHECK(found(of_status) == Keys{broken});
}

TEST_CASE_FIXTURE(Batches, "reason, type, tenant, event and time narrow a batch down") {
  const Endpoint tenants = create(new_endpoint("acme"));
  const DeliveryKey gone = dead(shop.seq, "a", DeadReason::kGone), exhausted = dead(shop.seq, "b");
  NewEvent of_acme = new_event({tenants.seq});
  of_acme.event->tenant = "acme";
  of_acme.event->created_at = kNow + Millis(5000);
  const DeliveryKey acme{accept_one(of_acme), tenants.seq};
  apply(died(acme, 1));
  const auto matching = [&](auto set) {
    DeliveryFilter filter;
    set(filter);
    return found(make(BatchAction::kRetry, filter));
  };
  CHECK(matching([](auto& f) { f.reason = DeadReason::kGone; }) == Keys{gone});
  CHECK(matching([](auto& f) { f.type = "b"; }) == Keys{exhausted});
  CHECK(matching([](auto& f) { f.tenant = "acme"; }) == Keys{acme});
  CHECK(matching([](auto& f) { f.since = kNow + Millis(1000); }) == Keys{acme});
  CHECK(matching([](auto& f) { f.until = kNow + Millis(1000); }) == Keys{gone, exhausted});
  CHECK(matching([&](auto& f) { f.event = of_acme.event->id; }) == Keys{acme});
  CHECK(matching([](auto& f) { f.state = DeliveryState::kDead; }) == Keys{gone, exhausted, acme});
  CHECK(matching([](auto& f) { f.event = EventId{ids().next()}; }).empty());
}

TEST_CASE_FIXTURE(Batches, "a retry of an endpoint that was removed skips what it left") {
  const DeliveryKey key = dead(shop.seq);
  const OperatorBatch batch = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  apply(RemoveEndpoint{shop.id, kNow});
  const OperatorBatch ended = run(batch);
  CHECK(ended.done == 0);
  CHECK(ended.skipped == 1);
  CHECK(delivery(key).state == DeliveryState::kDead);
}

TEST_CASE_FIXTURE(Batches,
                  "a replay makes deliveries, and leaves those alone that have changed since it was made") {
  const NewEvent event = new_event({shop.seq});
  const DeliveryKey delivered_before{accept_one(event), shop.seq}, new_one{delivered_before.event, other.seq};
  apply(delivered(delivered_before, 1));
  const DeliveryKey delivered_later = pending(shop.seq);
  const OperatorBatch batch = make(BatchAction::kReplay, of_shop());
  CHECK(batch.last_event == delivered_later.event);
  CHECK(batch.last_endpoint == other.seq);
  apply(delivered(delivered_later, 1));
  const EventSeq too_late = pending(shop.seq).event;
  const BatchEvents events = reader->batch_events(batch, 1, 10);
  REQUIRE(events.events.size() == 2);
  CHECK(events.next == 0);
  CHECK(events.events.back().seq < too_late);
  CHECK_FALSE(events.events[0].changed);
  CHECK(events.events[1].changed);
  CHECK(events.events[1].was_delivered);
  const auto now = step(batch, {delivered_before, new_one, delivered_later}, "e2-1", true);
  REQUIRE(now);
  CHECK((*now)->done == 2);
  CHECK((*now)->skipped == 1);
  CHECK(delivery(delivered_before).state == DeliveryState::kPending);
  CHECK(delivery(new_one).state == DeliveryState::kPending);
  CHECK(delivery(delivered_later).state == DeliveryState::kDelivered);
  CHECK(reader->event(event.event->id, false)->deliveries == 2);
}

TEST_CASE_FIXTURE(Batches, "what is missing is what was never delivered: made, or put back if it died") {
  const DeliveryKey was_delivered = pending(shop.seq), waits = pending(shop.seq), died_once = dead(shop.seq);
  apply(delivered(was_delivered, 1));
  const DeliveryKey never_there{accept_one(new_event({other.seq})), shop.seq};
  DeliveryFilter filter = of_shop();
  filter.since = kNow - kDay;
  const OperatorBatch batch = make(BatchAction::kReplayMissing, filter);
  const auto now = step(batch, {was_delivered, waits, died_once, never_there}, "e9-9", true);
  REQUIRE(now);
  CHECK((*now)->done == 2);
  CHECK((*now)->skipped == 2);
  CHECK(delivery(was_delivered).state == DeliveryState::kDelivered);
  CHECK(in_state(DeliveryState::kPending).contains(never_there));
  CHECK(in_state(DeliveryState::kPending).contains(died_once));
}

TEST_CASE_FIXTURE(Batches, "batches are listed newest first, and go with retention when they have ended") {
  const OperatorBatch first = make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  const OperatorBatch second = make(BatchAction::kDiscard, of_shop(DeliveryState::kDead));
  CHECK(second.number == first.number + 1);
  run(first);
  const auto page = reader->batches(Page{1, ""});
  REQUIRE(page);
  REQUIRE(page->rows.size() == 1);
  CHECK(page->rows[0].id == second.id);
  REQUIRE(page->next);
  const auto rest = reader->batches(Page{5, *page->next});
  REQUIRE(rest->rows.size() == 1);
  CHECK(rest->rows[0].id == first.id);
  CHECK_FALSE(rest->next);
  CHECK(reader->batches(Page{5, "d1-1"}).error().code == ProblemCode::kInvalidParameter);
  const auto pruned = apply(Prune{.delivered_before = kNow, .dead_before = kNow + Millis(1), .at = kNow});
  REQUIRE(pruned);
  CHECK(pruned->batches == 1);
  CHECK_FALSE(reader->batch(first.id));
  CHECK(reader->batch(second.id));
}

TEST_CASE_FIXTURE(Batches, "only so many batches run at a time") {
  for (int i = 0; i < kMaxRunningBatches; ++i) make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
  const auto refused =
      apply(CreateBatch{std::make_shared<const OperatorBatch>(new_batch(BatchAction::kRetry, of_shop()))});
  CHECK(refused.error().code == ProblemCode::kConflict);
  run(reader->running_batches().at(0));
  make(BatchAction::kRetry, of_shop(DeliveryState::kDead));
}

TEST_CASE_FIXTURE(Batches, "a batch that may have been made already is made once") {
  const auto batch = std::make_shared<const OperatorBatch>(new_batch(BatchAction::kRetry, of_shop()));
  REQUIRE(apply(CreateBatch{batch}));
  const auto again = apply(CreateBatch{batch}, true);
  REQUIRE(again);
  CHECK((*again)->number == 1);
  CHECK(only<BatchChanged>(again.facts).size() == 1);
  CHECK(reader->running_batches().size() == 1);
}

TEST_CASE("a filter is stored as it was given, and one that is not understood is not taken for less") {
  DeliveryFilter filter;
  filter.state = DeliveryState::kDead;
  filter.endpoint = EndpointId{ids().next()};
  filter.event = EventId{ids().next()};
  filter.tenant = "";
  filter.type = "order.paid";
  filter.error = "any";
  filter.reason = DeadReason::kGone;
  filter.status = 410;
  filter.since = kNow;
  filter.until = kNow + kDay;
  const auto read = decode_filter(encode_filter(filter));
  REQUIRE(read);
  CHECK(encode_filter(*read) == encode_filter(filter));
  CHECK(read->tenant == "");
  CHECK(read->since == kNow);
  for (const char* bad : {"", "[]", R"({"state":"lost"})", R"({"unheard":"of"})", R"({"status":410})"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_filter(bad));
  }
}
