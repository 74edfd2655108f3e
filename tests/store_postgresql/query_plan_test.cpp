// Runs everything that the daemon asks of PostgreSQL over a database with much in it, and looks at the plans as they were
// executed: along an index, in few partitions, and with an effort that does not depend on how much there is.
//
// OUTBOXD_PLAN_EVENTS: how many events the database has.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "migrations/embedded.h"
#include "store/postgresql/counter_rows.h"
#include "store/postgresql/postgres_store.h"
#include "store/postgresql/schema.h"
#include "store_postgresql/executed_plans.h"
#include "store_postgresql/filled_database.h"
#include "support/private_postgres.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr const char* kDatabase = "plans";
constexpr std::int64_t kMaxBuffers = 4000, kMaxFiltered = 2000;

std::int64_t events_wanted() {
  const char* given = std::getenv("OUTBOXD_PLAN_EVENTS");
  return given ? std::strtoll(given, nullptr, 10) : 150'000;
}

// The server, and the store over the database that is filled.
class Filled {
 public:
  Filled() {
    server_.create_database(kDatabase);
    {
      postgresql::Connection db({.url = url(), .purpose = "filling"});
      postgresql::prepare_schema(db, embedded::postgresql_migrations());
      database_ = std::make_unique<FilledDatabase>(db, events_wanted());
    }
    server_.sql(kDatabase, "ANALYZE");
    server_.sql(kDatabase, tell_plans(kDatabase));
    store_ = open_postgres_store({.url = url()});
    reader_ = store_->new_reader();
  }
  std::string url() const { return server_.url(kDatabase); }
  std::string log() const { return server_.log(); }
  int server_version() const { return std::stoi(server_.sql(kDatabase, "SHOW server_version_num")); }
  FilledDatabase& database() { return *database_; }
  Store& store() { return *store_; }
  StoreReader& reader() { return *reader_; }
  void close() {
    reader_.reset();
    store_.reset();
  }

  template <class C>
  Done<C> apply(C command) {
    return test::apply(*store_, std::move(command));
  }
  // A new event of now, with a delivery to each.
  NewEvent event(const std::vector<EndpointSeq>& endpoints) {
    NewEvent made = new_event(endpoints);
    made.event->id = EventId{ids_.next()};
    made.event->created_at = clock_.wall();
    return made;
  }
  RecordOutcome now(RecordOutcome outcome) {
    outcome.at = clock_.wall();
    return outcome;
  }
  // Waits until this daemon owns all partitions.
  void own_everything() {
    for (int i = 0; i < 200 && !store_->ownership().partitions.all(); ++i)
      store_->wait_for_changes(Millis(100));
    REQUIRE(store_->ownership().partitions.all());
  }
  Time wall() const { return clock_.wall(); }

 private:
  PrivatePostgres server_;
  SystemClock clock_;
  UuidGenerator ids_{clock_};
  std::unique_ptr<FilledDatabase> database_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreReader> reader_;
};

// One row, one for each daemon, or one for each of the 256 partitions of endpoints; counted by days, of which there are few.
bool is_small(const std::string& table) {
  const std::set<std::string> small{"directory",       "sweep",   "installation", "member",
                                    "partition_owner", "counter", "event_seq"};
  return small.contains(table) || table.starts_with("pg_");
}

bool changes_history(const std::string& query) {
  for (const char* change :
       {"UPDATE event AS", "UPDATE finished AS", "UPDATE attempt AS", "DELETE FROM finished AS"}) {
    if (query.find(change) != query.npos) return true;
  }
  return false;
}

void list(Filled& filled) {
  StoreReader& reader = filled.reader();
  FilledDatabase& database = filled.database();
  const EventSeq half = database.events / 2, ended = half + (51 - half % 50) % 50,
                 waits = database.events - 5;
  const Page page{50, ""};
  for (const auto& until : {std::optional<Time>(), std::optional(database.time_of(half))}) {
    EventFilter events;
    events.until = until;
    CHECK(reader.events(events, page)->rows.size() == 50);
    events.unmatched = true;
    CHECK(reader.events(events, page)->next);
    DeliveryFilter deliveries;
    deliveries.until = until;
    for (const auto& state : {std::optional<DeliveryState>(), std::optional(DeliveryState::kDead)}) {
      deliveries.state = state;
      const auto rows = reader.deliveries(deliveries, page);
      REQUIRE(rows->rows.size() == 50);
      CHECK(reader.deliveries(deliveries, {50, *rows->next})->rows.size() == 50);
    }
    deliveries.endpoint = database.endpoint_id(52);
    CHECK_FALSE(reader.deliveries(deliveries, {5, ""})->rows.empty());
    deliveries.error = "any";
    CHECK_FALSE(reader.deliveries(deliveries, {5, ""})->rows.empty());
  }
  DeliveryFilter filter;
  filter.endpoint = database.endpoint_id(1 + waits % FilledDatabase::kEndpoints);
  filter.state = DeliveryState::kPending;
  CHECK_FALSE(reader.deliveries(filter, page)->rows.empty());
  filter = {};
  filter.event = database.id_of(ended);
  CHECK(reader.deliveries(filter, page)->rows.size() == 1);
  for (const EventSeq event : {ended, waits}) {
    CHECK(reader.event(database.id_of(event), true));
    const DeliveryKey key{event, 1 + event % FilledDatabase::kEndpoints};
    CHECK(reader.delivery(key));
    CHECK(reader.attempts(key).size() == (event == ended ? 1 : 0));
  }
  reader.event_types({}, page);
  reader.event_types({.tenant = ""}, page);
  reader.endpoints({}, page);
  reader.endpoints("", page);
  CHECK(reader.all_endpoints().endpoints.size() == FilledDatabase::kEndpoints);
  CHECK(reader.endpoint(database.endpoint_id(7)));
  reader.failing_endpoints(100);
  reader.secret_keys();
  reader.batches(page);
  reader.running_batches();
  reader.rejected_outbox(page);
  reader.rejected_row(2);
  CHECK(reader.outbox(100, 1 << 20).size() == 100);
  reader.source_place("shop");
  reader.unfinished_fan_outs(0, 100);
}

void ask_for_status(Filled& filled) {
  StoreReader& reader = filled.reader();
  const Time now = filled.wall();
  CHECK(reader.status().events >= filled.database().events);
  CHECK(reader.oldest_due(0, 20).size() == 20);
  CHECK(reader.counts(7, 100).deliveries.pending > 0);
  CHECK(reader.delivery_counts(0, 100).size() == 100);
  CHECK_FALSE(reader.expired(now, {}, 100).empty());
  const Time day = start_of(kRollupHour, now) - std::chrono::hours(24);
  reader.failures({.by = FailuresBy::kError, .since = day, .until = now});
  reader.series({}, day, now, kRollupMinute);
  reader.series(filled.database().endpoint_id(7), start_of(kRollupHour, now) - std::chrono::hours(72), now,
                kRollupHour);
}

void deliver(Filled& filled) {
  std::vector<EventSeq> held;
  for (int i = 0; i < 3; ++i) {
    const DueWindow window = filled.reader().due(8, 8, 1 << 20, held);
    REQUIRE_FALSE(window.deliveries.empty());
    for (const DueDelivery& due : window.deliveries) held.push_back(due.key.event);
    std::ranges::sort(held);
  }
  std::vector<Command> outcomes;
  outcomes.reserve(held.size());
  for (std::size_t i = 0; i < held.size(); ++i) {
    const DeliveryKey key{held[i], 8};
    outcomes.emplace_back(filled.now(i % 3 == 0   ? failed(key, 1, Millis(5000))
                                     : i % 3 == 1 ? died(key, 1)
                                                  : delivered(key, 1)));
  }
  const Applied applied = apply_all(filled.store(), outcomes);
  for (const auto& answer : applied.answers) CHECK(answer);
}

void accept(Filled& filled) {
  for (int round = 0; round < 2; ++round) {
    std::vector<Command> commands;
    for (int i = 0; i < 40; ++i) {
      NewEvent made = filled.event({EndpointSeq{10} + i, EndpointSeq{100} + i});
      if (i % 4 == 1) made = keyed(std::move(made), "k" + std::to_string(i % 7));
      if (i % 4 == 2) made = with_key(std::move(made), "once" + std::to_string(i), 'a');
      if (i % 4 == 3) made.outbox_row = 1 + 2 * (i + 40 * round);
      commands.emplace_back(accepting({std::move(made)}));
    }
    const Applied applied = apply_all(filled.store(), commands);
    for (const auto& answer : applied.answers) CHECK(answer);
  }
  NewEvent wide = filled.event({1});
  wide.more_after = 1;
  wide.deliveries = 3;
  CHECK(filled.apply(accepting({wide})));
  CHECK(filled.apply(ExpandEvent{.event = wide.event,
                                 .endpoints = {{.endpoint = 2}, {.endpoint = 3}},
                                 .more_after = {},
                                 .matched = filled.reader().all_endpoints().version}));
}

// So often that counts move on (counter_rows.h).
void count(Filled& filled) {
  for (int i = 0; i < postgresql::CounterRows::kMaxVersions; ++i)
    CHECK(filled.apply(accepting({filled.event({1})})));
}

void operate(Filled& filled) {
  FilledDatabase& database = filled.database();
  const Time now = filled.wall();
  const EventSeq half = database.events / 2, dead = half + (51 - half % 50) % 50;
  const DeliveryKey key{dead, 1 + dead % FilledDatabase::kEndpoints};
  CHECK(filled.apply(ChangeDelivery{key, DeliveryState::kPending, now}));
  CHECK(filled.apply(ChangeDelivery{key, DeliveryState::kDiscarded, now}));
  CHECK(filled.apply(ReplayEvent{database.id_of(dead + 1), {5, 6}, now}));
  CHECK(filled.apply(ErasePayload{.id = database.id_of(dead + 2), .at = now}));
  Endpoint endpoint = new_endpoint();
  endpoint.name = "shop";
  const auto made = filled.apply(CreateEndpoint{shared(endpoint)});
  REQUIRE(made);
  CHECK(filled.apply(SetEndpointState{(*made)->id, now, EndpointState::kPaused, ""}));
  CHECK(filled.apply(SetFailingSince{.endpoint = (*made)->seq, .since = now, .recovered_from = {}}));
  CHECK(filled.apply(RemoveEndpoint{database.endpoint_id(900), now}));
  CHECK(filled.apply(DiscardRemoved{.limit = 50, .at = now}));
  CHECK(filled.apply(RejectOutboxRow{4001, now, "no"}));
  CHECK(filled.apply(ResolveOutboxRow{2, true}));
  OperatorBatch batch;
  batch.id = BatchId{EventId(database.id_of(1)).uuid};
  batch.action = BatchAction::kRetry;
  batch.filter.state = DeliveryState::kDead;
  batch.rate = {.count = 100, .per = std::chrono::seconds(1)};
  batch.reason = "again";
  batch.who = "uid 0";
  batch.created_at = now;
  const auto created = filled.apply(CreateBatch{std::make_shared<const OperatorBatch>(batch)});
  REQUIRE(created);
  const auto rows = filled.reader().batch_deliveries(**created, {50, ""});
  REQUIRE(rows->rows.size() == 50);
  auto step = std::make_shared<BatchStep>();
  for (const DeliveryRow& row : rows->rows) step->keys.push_back(row.delivery.key);
  step->to = *rows->next;
  step->at = now;
  CHECK(filled.apply(StepBatch{batch.id, step}));
  OperatorBatch replay = **created;
  replay.filter = {};
  replay.filter.endpoint = database.endpoint_id(8);
  CHECK(filled.reader().batch_events(replay, half, 50).events.size() == 50);
  replay.filter.endpoint.reset();
  CHECK(filled.reader().batch_deliveries(replay, {50, ""})->next);
}

void keep_house(Filled& filled) {
  const Time now = filled.wall();
  CHECK(filled.apply(CountTypes{.limit = 200}));
  CHECK(filled.apply(PrunePayloads{.before = now - 29 * kDay, .at = now, .after = 0, .limit = 100}));
  for (std::optional<DeliveryKey> after = DeliveryKey{}; after;) {
    const auto pruned = filled.apply(Prune{.delivered_before = now - 29 * kDay,
                                           .dead_before = now - 29 * kDay,
                                           .at = now,
                                           .limit = 200,
                                           .after = *after});
    REQUIRE(pruned);
    after = pruned->next;
    if (after == DeliveryKey{}) break;
  }
}

}  // namespace

TEST_CASE("every statement finds what it reads by an index, in few partitions, whatever there is") {
  Filled filled;
  filled.own_everything();
  for (int i = 0; i < 2; ++i) {
    list(filled);
    ask_for_status(filled);
  }
  accept(filled);
  count(filled);
  deliver(filled);
  operate(filled);
  keep_house(filled);
  filled.store().wait_for_changes(Millis(500));
  filled.close();

  const auto plans = read_plans(filled.log());
  CHECK(plans.size() > 150);
  // A server before 14 looks into the partition of every day when it changes history: what operators do over again or erase.
  const bool prunes_changes = filled.server_version() >= 140000;
  const std::int64_t days_of_block = 65'536 * FilledDatabase::kDays / filled.database().events;
  // A list that found little goes on, in windows of 2, 16 and 128 blocks, and with up to 4,000 rows at once.
  const std::int64_t days_of_window = std::max<std::int64_t>(
      18, std::int64_t{128} * 65'536 * FilledDatabase::kDays / filled.database().events);
  std::set<std::string> seen;
  for (const ExecutedPlan& plan : plans) {
    seen.insert(plan.query);
    CAPTURE(plan.query);
    for (const std::string& table : plan.scanned_whole()) {
      CAPTURE(table);
      CHECK(is_small(table));
    }
    const bool may_go_on = plan.query.find("OR day >= 1000000)") != plan.query.npos &&
                           plan.query.find("LIMIT") != plan.query.npos;
    const bool looks_everywhere = !prunes_changes && changes_history(plan.query);
    const auto most_partitions =
        looks_everywhere ? std::size_t{FilledDatabase::kDays} + 4
                         : static_cast<std::size_t>(days_of_block + (may_go_on ? days_of_window : 4));
    for (const auto& read : plan.read()) {
      const std::string& table = read.first;
      if (table == "idempotency") continue;  // by hash: a batch of keys may need all eight
      CAPTURE(table);
      CHECK(read.second.size() <= most_partitions);
    }
    CHECK(plan.buffers() <= (may_go_on || looks_everywhere ? 8 * kMaxBuffers : kMaxBuffers));
    CHECK(plan.most_filtered() <= kMaxFiltered);
  }
  MESSAGE(plans.size() << " plans of " << seen.size() << " statements");
}
