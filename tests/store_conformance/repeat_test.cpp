// A batch of which nobody knows whether it was committed is applied again: then it has been applied once.
#include <algorithm>
#include <random>
#include <set>
#include <sstream>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

std::string text(const std::optional<Time>& t) {
  return t ? format_time(*t) : "-";
}
std::string text(const std::optional<DeadReason>& reason) {
  return reason ? std::string(to_string(*reason)) : "-";
}
std::string text(const Endpoint& e) {
  std::ostringstream out;
  out << e.seq << ' ' << e.id.to_string() << ' ' << e.url << ' ' << to_string(e.state) << ' '
      << e.disabled_reason << ' ' << format_time(e.updated_at) << ' ' << text(e.failing_since);
  return out.str();
}
std::string text(const Delivery& d) {
  std::ostringstream out;
  out << d.key.event << '-' << d.key.endpoint << ' ' << to_string(d.state) << ' ' << text(d.reason) << ' '
      << d.attempts << ' ' << format_time(d.due_at) << ' ' << d.error.value_or("-") << ' '
      << text(d.finished_at);
  return out.str();
}

struct Describe {
  std::string operator()(const Nothing&) const { return "nothing"; }
  std::string operator()(const Accepted& a) const {
    std::ostringstream out;
    out << (a.stale ? "stale" : "accepted");
    for (const AcceptedEvent& e : a.events)
      out << ' ' << e.id.to_string() << ' ' << format_time(e.created_at) << ' ' << e.deliveries << ' '
          << e.duplicate << ' ' << e.row_deleted;
    return out.str();
  }
  std::string operator()(const Expanded& e) const { return e.stale ? "stale" : "expanded"; }
  std::string operator()(const Recorded& r) const {
    return std::string(to_string(r.state)) + ' ' + text(r.reason) + ' ' + text(r.due_at) +
           (r.moved ? " moved" : "");
  }
  std::string operator()(const EndpointPtr& e) const { return text(*e); }
  std::string operator()(const Discarded& d) const {
    return std::to_string(d.deliveries) + ' ' + std::to_string(d.more);
  }
  std::string operator()(const Delivery& d) const { return text(d); }
  std::string operator()(const Replayed& r) const { return std::to_string(r.deliveries); }
  std::string operator()(const Erased& e) const {
    return format_time(e.at) + ' ' + std::to_string(e.discarded) + ' ' + std::to_string(e.next.value_or(0));
  }
  std::string operator()(const PayloadsPruned& p) const { return std::to_string(p.events); }
  std::string operator()(const TypesCounted& t) const { return t.more ? "more types" : "types counted"; }
  std::string operator()(const OperatorBatchPtr& b) const {
    std::ostringstream out;
    out << b->id.to_string() << ' ' << to_string(b->state) << ' ' << b->done << ' ' << b->skipped << ' '
        << b->place;
    return out.str();
  }
  std::string operator()(const Pruned& p) const { return std::to_string(p.events); }
};
std::string described(const Applied& applied) {
  std::string answers;
  for (const auto& answer : applied.answers)
    answers += (answer ? std::visit(Describe{}, *answer) : "refused: " + answer.error().detail) + '\n';
  return answers;
}

// Everything that can be read, but for versions in memory.
struct Whole : Fixture {
  std::string rows() {
    std::ostringstream out;
    const Page all{1000, ""};
    const auto events = reader->events({}, all);
    for (const auto& row : events->rows) {
      out << "event " << row.event.seq << ' ' << row.event.id.to_string() << ' ' << row.deliveries << '\n';
    }
    const auto deliveries = reader->deliveries({}, all);
    for (const auto& row : deliveries->rows) {
      out << "delivery " << text(row.delivery) << '\n';
      for (const Attempt& attempt : reader->attempts(row.delivery.key))
        out << "attempt " << attempt.number << ' ' << attempt.id.to_string() << '\n';
    }
    for (const Endpoint& e : reader->all_endpoints().endpoints) {
      out << "endpoint " << text(e) << "\ndue";
      for (const EventSeq event : due(e.seq)) out << ' ' << event;
      out << '\n';
    }
    for (const auto& fan_out : reader->unfinished_fan_outs(0, 100))
      out << "fan-out " << fan_out.event->seq << ' ' << fan_out.after << ' ' << fan_out.last << '\n';
    for (const auto& row : reader->outbox(100, 1 << 20)) out << "outbox " << row.row << '\n';
    const auto rejected = reader->rejected_outbox(all);
    for (const auto& row : rejected->rows) out << "rejected " << row.row << ' ' << *row.rejected << '\n';
    const StoreStatus s = reader->status();
    out << "status " << s.events << ' ' << s.pending << ' ' << s.delivered << ' ' << s.dead << ' '
        << s.discarded;
    const RollupCounts c = reader->series({}, kNow, kNow + kRollupMinute, kRollupMinute).at(0).counts;
    out << "\ncounted " << c.accepted << ' ' << c.attempts << ' ' << c.failed << ' ' << c.delivered << ' '
        << c.dead;
    return out.str();
  }
  // Applied, lost, and applied again: the same answers and rows. What is told the second time.
  Facts repeat(const std::vector<Command>& commands) {
    const auto first = described(apply_all(commands));
    const std::string once = rows();
    Applied again = apply_all(commands, true);
    CHECK(described(again) == first);
    CHECK(rows() == once);
    return std::move(again.facts);
  }
  // Of which nothing was committed the first time.
  void only_again(const std::vector<Command>& commands) {
    const Applied applied = apply_all(commands, true);
    for (const auto& answer : applied.answers) CHECK(answer);
  }
  bool looks_at(const Facts& facts, EndpointSeq endpoint) {
    const auto due = only<DueOnDisk>(facts);
    return std::any_of(due.begin(), due.end(), [&](const DueOnDisk& d) { return d.endpoint == endpoint; });
  }
};

}  // namespace

TEST_CASE_FIXTURE(Whole, "accepted events are there once, with the answer of the first time") {
  const EndpointSeq endpoint = create().seq;
  REQUIRE(subject->produce("INSERT INTO outbox(type, payload) VALUES ('order.paid', '{}')"));
  NewEvent from_row = with_key(new_event({endpoint}), "row", 'r');
  from_row.outbox_row = reader->outbox(1, 1000).at(0).row;
  NewEvent wide = new_event({endpoint});
  wide.more_after = endpoint;
  wide.deliveries = 3;
  const NewEvent one = with_key(new_event({endpoint}), "k", 'a');
  const AcceptEvents all = accepting({one, with_key(new_event({endpoint}), "k", 'a'), from_row, wide});
  const Facts facts = repeat({all, announcing(new_event({endpoint}))});
  CHECK(looks_at(facts, endpoint));
  CHECK(only<FanOutWaits>(facts).size() == 1);
  CHECK(one.event->seq == 1);
  // And once more, by somebody who heard nothing of either time.
  one.event->seq = 0;
  apply_all({all}, true);
  CHECK(one.event->seq == 1);
  only_again({accepting({new_event({endpoint})}), announcing(new_event({endpoint}))});
  CHECK(reader->status().events == 6);
}

TEST_CASE_FIXTURE(Whole, "a command that was refused, or stale, is so again") {
  const Endpoint gone = create(), stays = create();
  accept({with_key(new_event(), "k", 'a')});
  Endpoint other = stays;
  other.name = "other";
  AcceptEvents stale = accepting({new_event({gone.seq})});
  stale.matched = reader->all_endpoints().version;
  repeat({accepting({with_key(new_event(), "k", 'b')}), RemoveEndpoint{gone.id, kNow}, stale,
          UpdateEndpoint{shared(other), kNow - kDay}, ChangeDelivery{{9, 9}, DeliveryState::kPending, kNow}});
}

TEST_CASE_FIXTURE(Whole, "an event that was accepted before its endpoint was removed is no stale one") {
  const Endpoint gone = create();
  AcceptEvents accept = accepting({new_event({gone.seq})});
  accept.matched = reader->all_endpoints().version;
  repeat({accept, RemoveEndpoint{gone.id, kNow}});
}

TEST_CASE_FIXTURE(Whole, "a step of a fan-out is taken once, the last one too") {
  const std::vector<Endpoint> endpoints{create(), create(), create()};
  NewEvent event = new_event();
  event.more_after = 0;
  event.deliveries = 3;
  accept({event});
  const auto step = [&](std::size_t i, std::optional<EndpointSeq> more_after) {
    return ExpandEvent{.event = event.event,
                       .endpoints = {{.endpoint = endpoints[i].seq}},
                       .more_after = more_after,
                       .matched = reader->all_endpoints().version};
  };
  CHECK(looks_at(repeat({step(0, endpoints[0].seq)}), endpoints[0].seq));
  repeat({step(1, endpoints[1].seq), step(2, std::nullopt), RemoveEndpoint{endpoints[2].id, kNow}});
  CHECK(reader->unfinished_fan_outs(0, 10).empty());
}

TEST_CASE_FIXTURE(Whole, "an outcome is recorded once, and told of again as it was") {
  const EndpointSeq endpoint = create().seq;
  std::vector<DeliveryKey> keys(6);
  for (DeliveryKey& key : keys) key = {accept_one(new_event({endpoint})), endpoint};
  apply(ChangeDelivery{keys[4], DeliveryState::kDiscarded, kNow});
  NewEvent replayed = new_event({endpoint});
  replayed.event->expires_at = kNow + Millis(1);
  const DeliveryKey overruled{accept_one(replayed), endpoint};
  apply(ReplayEvent{replayed.event->id, {endpoint}, kNow});
  const Facts facts =
      repeat({delivered(keys[0], 1), failed(keys[1], 1, Millis(5000)), died(keys[2], 1),
              without_attempt(died(keys[3], 1, DeadReason::kTooLarge)), delivered(keys[4], 1),
              without_attempt(failed(keys[5], 1, Millis(700))), died(overruled, 1, DeadReason::kExpired)});
  const auto recorded = only<OutcomeRecorded>(facts);
  REQUIRE(recorded.size() == 7);
  CHECK(recorded[0].promoted);
  CHECK(recorded[1].due_in == Millis(5000));
  CHECK(recorded[2].now.moved);
  CHECK(recorded[2].now.reason == DeadReason::kExhausted);
  CHECK(recorded[3].now.moved);
  CHECK_FALSE(recorded[4].now.moved);
  CHECK(recorded[5].due_in == Millis(700));
  CHECK_FALSE(recorded[6].now.moved);
}

TEST_CASE_FIXTURE(
    Whole, "an outcome after a replay in the same batch counts once, and after it all stays delivered") {
  const EndpointSeq endpoint = create().seq;
  const NewEvent event = new_event({endpoint});
  const DeliveryKey key{accept_one(event), endpoint};
  repeat({ReplayEvent{event.event->id, {endpoint}, kNow}, delivered(key, 1)});
  CHECK(delivery(key).state == DeliveryState::kDelivered);
  CHECK(reader->attempts(key).size() == 1);
}

TEST_CASE_FIXTURE(Whole, "endpoints are made, changed and removed once") {
  const Endpoint a = create(), b = create(), c = create(), d = create(), fails = create();
  Endpoint changed = a;
  changed.url = "https://example.com/other";
  changed.secrets = {{"whsec_x", kNow, std::nullopt}};
  const Endpoint made = new_endpoint(), brief = new_endpoint();
  const Facts facts =
      repeat({CreateEndpoint{shared(made)}, UpdateEndpoint{shared(changed), a.updated_at},
              SetEndpointState{b.id, kNow, EndpointState::kPaused, ""},
              DisableEndpoint{c.id, kNow, c.updated_at, "gone"}, RemoveEndpoint{d.id, kNow},
              CreateEndpoint{shared(brief)}, RemoveEndpoint{brief.id, kNow}, failing_since(fails.seq, kNow)});
  const auto changes = only<EndpointChanged>(facts);
  REQUIRE(changes.size() == 6);
  CHECK(changes[0].now->id == made.id);
  CHECK(changes[3].disabled);
  CHECK_FALSE(changes[4].now);
  CHECK_FALSE(changes[5].now);
  CHECK(changes[5].version == reader->all_endpoints().version);
}

TEST_CASE_FIXTURE(Whole, "an endpoint that was removed before its creation is repeated stays removed") {
  const Endpoint made = new_endpoint();
  apply_all({CreateEndpoint{shared(made)}});
  apply_all({RemoveEndpoint{made.id, kNow}});
  const std::string removed = rows();
  const Applied again = apply_all({CreateEndpoint{shared(made)}}, true);
  CHECK(std::get<EndpointPtr>(*again.answers.at(0))->id == made.id);
  CHECK(again.facts.empty());
  CHECK(rows() == removed);
}

TEST_CASE_FIXTURE(Whole, "an update that lost against another one of its batch loses again") {
  const Endpoint a = create();
  Endpoint first = a, second = a;
  first.name = "first";
  second.name = "second";
  repeat({UpdateEndpoint{shared(first), a.updated_at}, UpdateEndpoint{shared(second), a.updated_at}});
  CHECK(reader->endpoint(a.id)->name == "first");
}

TEST_CASE_FIXTURE(Whole, "an operator's hand changes a delivery once, and whom it demoted is told of again") {
  Endpoint in_order = new_endpoint();
  in_order.ordering = Ordering::kKey;
  const EndpointSeq endpoint = create(in_order).seq;
  const NewEvent first = keyed(new_event({endpoint}), "a"), second = keyed(new_event({endpoint}), "a");
  const DeliveryKey a{accept_one(first), endpoint}, b{accept_one(second), endpoint};
  apply(died(a, 1));
  const auto told = [&](const Facts& facts, DeliveryKey key) {
    const auto withdrawn = only<DeliveryWithdrawn>(facts);
    CHECK(std::ranges::any_of(withdrawn, [key](const auto& one) { return one.key == key; }));
    CHECK(looks_at(facts, endpoint));
  };
  told(repeat({ChangeDelivery{a, DeliveryState::kPending, kNow}}), b);
  told(repeat({ChangeDelivery{a, DeliveryState::kDiscarded, kNow}}), a);
  told(repeat({ReplayEvent{first.event->id, {endpoint}, kNow}}), b);
  apply(died(a, 2));
  only_again({ChangeDelivery{a, DeliveryState::kPending, kNow}});
  CHECK(due(endpoint) == std::vector<EventSeq>{a.event});
}

TEST_CASE_FIXTURE(Whole, "what is done in steps may take one more of them") {
  const Endpoint gone = create();
  for (int i = 0; i < 5; ++i) accept({new_event({gone.seq})});
  for (int i = 0; i < 2; ++i)
    REQUIRE(subject->produce("INSERT INTO outbox(type, payload) VALUES ('order.paid', '{}')"));
  apply(RemoveEndpoint{gone.id, kNow});
  repeat({RejectOutboxRow{reader->outbox(1, 1000).at(0).row, kNow, "no"}});
  const std::vector<Command> step{DiscardRemoved{.limit = 2, .at = kNow}};
  apply_all(step);
  apply_all(step, true);
  CHECK(reader->status().discarded == 4);
  const Time later = kNow + kDay;
  const std::vector<Command> prune{
      Prune{.delivered_before = later, .dead_before = later, .at = later, .limit = 3}};
  apply_all(prune);
  apply_all(prune, true);
  CHECK(reader->status().pending == 1);
  CHECK(reader->status().events <= 3);
}

namespace {

// A world in which anything may be in a batch, but each delivery and each endpoint in one command of it.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) {}

  std::vector<Command> batch(StoreReader& reader) {
    std::vector<Command> commands;
    endpoints_ = reader.all_endpoints().endpoints;
    std::set<DeliveryKey> used;
    for (int n = 1 + below(6); n > 0; --n) commands.push_back(any(reader, used));
    return commands;
  }

 private:
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

  Command any(StoreReader& reader, std::set<DeliveryKey>& used) {
    if (endpoints_.size() < 2) return CreateEndpoint{shared(in_order())};
    switch (below(8)) {
      case 0:
        return CreateEndpoint{shared(in_order())};
      case 1:
        return change_endpoint();
      case 2:
      case 3:
        return accept();
      default:
        return change_delivery(reader, used);
    }
  }
  Endpoint in_order() {
    Endpoint e = new_endpoint();
    e.ordering = below(2) == 0 ? Ordering::kKey : Ordering::kNone;
    return e;
  }
  AcceptEvents accept() {
    NewEvent event = new_event();
    if (below(3) > 0) event.event->ordering_key = below(2) == 0 ? "a" : "b";
    for (const Endpoint& e : endpoints_)
      if (below(3) > 0) event.endpoints.push_back({.endpoint = e.seq, .ordering = e.ordering});
    return accepting({event});
  }
  Command change_endpoint() {
    const auto chosen = endpoints_.begin() + below(static_cast<int>(endpoints_.size()));
    const Endpoint e = *chosen;
    endpoints_.erase(chosen);
    switch (below(4)) {
      case 0: {
        Endpoint changed = e;
        changed.name += "x";
        return UpdateEndpoint{shared(changed), e.updated_at};
      }
      case 1:
        return SetEndpointState{e.id, kNow, below(2) == 0 ? EndpointState::kPaused : EndpointState::kActive,
                                ""};
      case 2:
        return DisableEndpoint{e.id, kNow, e.updated_at, "failing"};
      default:
        return RemoveEndpoint{e.id, kNow};
    }
  }
  Command change_delivery(StoreReader& reader, std::set<DeliveryKey>& used) {
    const auto rows = std::move(reader.deliveries({}, {1000, ""})->rows);
    if (rows.empty()) return accept();
    const DeliveryRow& row = rows[static_cast<std::size_t>(below(static_cast<int>(rows.size())))];
    const DeliveryKey key = row.delivery.key;
    if (!used.insert(key).second) return accept();
    switch (below(6)) {
      case 0:
        return delivered(key, row.delivery.attempts + 1);
      case 1:
        return failed(key, row.delivery.attempts + 1, Millis(below(3)));
      case 2:
        return below(2) == 0 ? died(key, row.delivery.attempts + 1)
                             : without_attempt(died(key, 1, DeadReason::kSkipped));
      case 3:
      case 4: {
        // One that is there already is answered by a repeat as if it had done that.
        const auto to = below(2) == 0 ? DeliveryState::kPending : DeliveryState::kDiscarded;
        if (row.delivery.state == to) return accept();
        return ChangeDelivery{key, to, kNow};
      }
      default:
        return ReplayEvent{row.event, {key.endpoint}, kNow};
    }
  }

  std::mt19937 random_;
  std::vector<Endpoint> endpoints_;  // not yet in a command of the batch
};

// Matched at what the store has now: the count of changes is each store's own.
std::vector<Command> matched_now(std::vector<Command> commands, StoreReader& reader) {
  for (Command& command : commands) {
    if (auto* accept = std::get_if<AcceptEvents>(&command)) accept->matched = reader.all_endpoints().version;
  }
  return commands;
}

}  // namespace

TEST_CASE(
    "a batch that is applied, lost and applied again leaves the same rows as one that is applied once") {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    Whole once, twice;
    World world(seed);
    for (int round = 0; round < 40; ++round) {
      CAPTURE(round);
      const auto batch = world.batch(*once.reader);
      const auto answers = described(once.apply_all(matched_now(batch, *once.reader)));
      const auto its_own = matched_now(batch, *twice.reader);
      twice.apply_all(its_own);
      const auto again = described(twice.apply_all(its_own, true));
      // A repeat is told what is there now: that the batch itself removed the endpoint that it is about, or that a step
      // of an operator's has put off what an outcome before it had put off.
      const bool overrules = std::any_of(batch.begin(), batch.end(), [](const Command& command) {
        return std::holds_alternative<RemoveEndpoint>(command) ||
               std::holds_alternative<StepBatch>(command) || std::holds_alternative<ReplayEvent>(command);
      });
      if (!overrules) REQUIRE(again == answers);
      REQUIRE(twice.rows() == once.rows());
    }
  }
}
