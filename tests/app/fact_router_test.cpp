#include "app/fact_router.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "support/manual_executor.h"
#include "support/outcomes.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

using Names = std::vector<std::string>;

// A store whose reads are all refused for now, and counted: who wants to read again will.
class BusyReader final : public StoreReader {
 public:
  BusyReader(Names& reads, const bool& is_empty) : reads_(reads), is_empty_(is_empty) {}
  DueWindow due(EndpointSeq, int, std::size_t, std::span<const EventSeq>) override { refuse("due"); }
  std::vector<DueDelivery> expired(Time, const ExpiryPlace&, int) override { refuse("expired"); }
  std::vector<OldestDue> oldest_due(EndpointSeq, int) override { refuse("oldest_due"); }
  EndpointCounts counts(EndpointSeq, int) override { refuse("counts"); }
  std::vector<EndpointDeliveries> delivery_counts(EndpointSeq, int) override { refuse("delivery_counts"); }
  Endpoints all_endpoints() override { refuse("all_endpoints"); }
  std::optional<Endpoint> endpoint(const EndpointId&) override { refuse("endpoint"); }
  Result<Rows<Endpoint>> endpoints(const std::optional<std::string>&, const Page&) override {
    refuse("endpoints");
  }
  SecretKeys secret_keys() override { refuse("secret_keys"); }
  std::optional<EventRow> event(const EventId&, bool) override { refuse("event"); }
  Result<Rows<EventRow>> events(const EventFilter&, const Page&) override { refuse("events"); }
  Result<Rows<EventTypeRow>> event_types(const EventTypeFilter&, const Page&) override {
    refuse("event_types");
  }
  std::optional<DeliveryRow> delivery(DeliveryKey) override { refuse("delivery"); }
  Result<Rows<DeliveryRow>> deliveries(const DeliveryFilter&, const Page&) override { refuse("deliveries"); }
  std::vector<Attempt> attempts(DeliveryKey) override { refuse("attempts"); }
  std::optional<OperatorBatch> batch(const BatchId&) override { refuse("batch"); }
  Result<Rows<OperatorBatch>> batches(const Page&) override { refuse("batches"); }
  SourcePlace source_place(const std::string&) override { return {}; }
  std::vector<OperatorBatch> running_batches() override {
    if (is_empty_) return {};
    refuse("batches");
  }
  Result<Rows<DeliveryRow>> batch_deliveries(const OperatorBatch&, const Page&) override {
    refuse("batch_deliveries");
  }
  BatchEvents batch_events(const OperatorBatch&, EventSeq, int) override { refuse("batch_events"); }
  std::vector<UnfinishedFanOut> unfinished_fan_outs(EventSeq, int) override {
    if (is_empty_) return {};
    refuse("fan-outs");
  }
  std::vector<OutboxRow> outbox(int, std::size_t) override {
    if (is_empty_) return {};
    refuse("outbox");
  }
  Result<Rows<OutboxRow>> rejected_outbox(const Page&) override { refuse("rejected_outbox"); }
  std::optional<OutboxRow> rejected_row(std::int64_t) override { refuse("rejected_row"); }
  StoreStatus status() override { refuse("status"); }
  Failures failures(const FailureQuery&) override { refuse("failures"); }
  std::vector<RollupPoint> series(const std::optional<EndpointId>&, Time, Time, Millis) override {
    refuse("series");
  }

 private:
  [[noreturn]] void refuse(const char* read) {
    reads_.emplace_back(read);
    throw StoreError(StoreError::Kind::kBusy, "busy");
  }
  Names& reads_;
  const bool& is_empty_;
};

class FakeStore final : public Store, public StoreWriter {
 public:
  Names done;  // reads, and commands that were committed
  std::vector<PartitionSet> released;
  bool is_empty = false;  // then nothing that waits there is found, and no such read is counted

  StoreWriter& writer() override { return *this; }
  std::unique_ptr<StoreReader> new_reader() override { return std::make_unique<BusyReader>(done, is_empty); }
  Ownership ownership() const override { return {}; }
  Facts wait_for_changes(Millis) override { return {}; }
  void interrupt() override {}
  void release(const PartitionSet& partitions) override { released.push_back(partitions); }

  Applied apply(const Batch& batch) override {
    Applied applied;
    for (const Command* command : batch.commands) {
      if (std::holds_alternative<DiscardRemoved>(*command)) {
        note("sweep", Discarded{}, applied);
      } else if (std::holds_alternative<Prune>(*command)) {
        note("prune", Pruned{}, applied);
      } else if (std::holds_alternative<CountTypes>(*command)) {
        note("count types", TypesCounted{}, applied);
      } else if (std::holds_alternative<AnnounceEvent>(*command)) {
        note("announce", Accepted{}, applied);
      } else {
        FAIL("an unexpected command");
      }
    }
    return applied;
  }
  void maintain() override {}

 private:
  void note(const char* command, AnyAnswer answer, Applied& applied) {
    done.emplace_back(command);
    applied.answers.emplace_back(std::move(answer));
  }
};

class FakeDelivery final : public DeliverySide {
 public:
  explicit FakeDelivery(const EndpointDirectory& directory) : directory_(directory) {}

  std::vector<Facts> heard;
  std::vector<std::size_t> endpoints_known;  // to the directory, at each of these
  PartitionSet owned, disowned;
  Millis ordered_after{0};
  bool aborted = false;
  Disowned disowned_done;

  void hear(Facts facts) override {
    heard.push_back(std::move(facts));
    endpoints_known.push_back(directory_.all().size());
  }
  void own(const PartitionSet& partitions, Millis after) override {
    owned |= partitions;
    ordered_after = after;
  }
  void disown(const PartitionSet& partitions, bool abort, Disowned done) override {
    disowned |= partitions;
    aborted = abort;
    disowned_done = std::move(done);
  }

 private:
  const EndpointDirectory& directory_;
};

constexpr EndpointSeq kShop = 7, kOps = 8;
constexpr Millis kLong = std::chrono::minutes(2);  // every pause and every interval is over

EndpointPtr endpoint(EndpointSeq seq, const std::string& tenant = "") {
  auto made = std::make_shared<Endpoint>();
  made->seq = seq;
  made->id.uuid.bytes[15] = static_cast<std::uint8_t>(seq);
  made->tenant = tenant;
  return made;
}

struct Rig {
  ManualClock clock{from_unix_millis(1'785'000'000'000)};
  UuidGenerator ids{clock};
  telemetry::Metrics metrics;
  FakeStore store;
  GroupCommit commits{store, {}, clock, {}, [](const std::string& what) { FAIL(what); }};
  ManualExecutor executor{clock};
  EndpointDirectory directory;
  FakeDelivery delivery{directory};
  api::AttemptFeed attempts;
  Ingest ingest{commits, directory, clock, ids, metrics, {}};
  OperationalEvents operational_events{ingest, directory, clock};
  FanOut fan_out{executor, store, commits, directory, {}};
  OutboxReader outbox{executor, store, ingest};
  RemovedEndpoints removed_endpoints{commits, clock, executor};
  Retention retention{commits, clock, metrics, executor};
  TypeCounts type_counts{commits, executor};
  Batches batches{executor, store, commits, clock, metrics, nullptr};
  BacklogWatch backlog{executor, store, 1, nullptr};
  FactRouter router{{.directory = directory,
                     .delivery = delivery,
                     .attempts = attempts,
                     .operational_events = operational_events,
                     .fan_out = fan_out,
                     .outbox = outbox,
                     .removed_endpoints = removed_endpoints,
                     .retention = retention,
                     .type_counts = type_counts,
                     .batches = batches,
                     .backlog = backlog},
                    store};

  Rig() {
    directory.load({.endpoints = {*endpoint(kShop), *endpoint(kOps, std::string(kOpsTenant))}, .version = 1});
  }
  void keep_house() {
    store.is_empty = true;
    fan_out.start();
    outbox.start();
    batches.start();
    run();
    store.is_empty = false;
  }
  void run() {
    while (commits.step() || executor.step()) {
    }
  }
  // What was read and committed in that time.
  Names done_in(Millis time) {
    store.done.clear();
    clock.advance(time);
    run();
    return store.done;
  }
};

// Who heard of it, of a daemon that keeps house.
Names told(Fact fact) {
  Rig rig;
  rig.keep_house();
  const std::size_t kind = fact.index();
  const EndpointPtr before = rig.directory.find(kShop);
  rig.router.route({std::move(fact)});
  Names names;
  if (rig.directory.find(kShop) != before) names.emplace_back("directory");
  if (!rig.attempts.latest({}, 1).rows.empty()) names.emplace_back("attempts");
  rig.run();
  names.insert(names.end(), rig.store.done.begin(), rig.store.done.end());
  if (rig.delivery.heard.size() == 1 && rig.delivery.heard[0].size() == 1 &&
      rig.delivery.heard[0][0].index() == kind)
    names.emplace_back("delivery");
  CHECK(rig.delivery.heard.size() <= 1);
  CHECK((rig.delivery.owned | rig.delivery.disowned).none());
  return names;
}

OutcomeRecorded outcome(DeliveryState state) {
  Recorded now{.state = state, .reason = {}, .due_at = {}, .moved = true};
  if (state == DeliveryState::kDead) now.reason = DeadReason::kExhausted;
  return outcome_recorded(endpoint(kShop)->id, Attempt{}, now);
}

}  // namespace

TEST_CASE("each fact reaches those whom the table names, and nobody else") {
  CHECK(told(DeliveryReady{}) == Names{"delivery"});
  CHECK(told(DueOnDisk{.endpoint = kShop}) == Names{"delivery"});
  CHECK(told(DeliveryWithdrawn{}) == Names{"delivery"});
  CHECK(told(outcome(DeliveryState::kDelivered)) == Names{"attempts", "delivery"});
  CHECK(told(outcome(DeliveryState::kDead)) == Names{"attempts", "announce", "delivery"});
  CHECK(told(EndpointChanged{.endpoint = kShop, .now = endpoint(kShop), .version = 2}) ==
        Names{"directory", "delivery"});
  CHECK(told(EndpointChanged{.endpoint = kShop, .now = endpoint(kShop), .version = 2, .disabled = true}) ==
        Names{"directory", "announce", "delivery"});
  CHECK(told(EndpointChanged{.endpoint = kShop, .now = nullptr, .version = 2}) ==
        Names{"directory", "sweep", "delivery"});
  CHECK(told(EndpointFailing{.endpoint = kShop, .failing_since = {}, .error = {}}) == Names{"announce"});
  CHECK(told(EndpointRecovered{.endpoint = kShop}) == Names{"announce"});
  const auto batch = [](BatchState state) {
    OperatorBatch made;
    made.state = state;
    return BatchChanged{std::make_shared<const OperatorBatch>(std::move(made))};
  };
  CHECK(told(batch(BatchState::kRunning)) == Names{"batches"});
  CHECK(told(batch(BatchState::kFinished)) == Names{"announce", "batches"});
  CHECK(told(BatchChanged{}) == Names{"batches"});
  CHECK(told(FanOutWaits{}) == Names{"fan-outs"});
  CHECK(told(OutboxRowsWait{}) == Names{"outbox"});
  CHECK(told(DueTimesMoved{}) == Names{"delivery"});
}

TEST_CASE_FIXTURE(Rig, "delivery hears of a batch in order and at once, when the directory knows all of it") {
  router.route({DeliveryWithdrawn{}, EndpointChanged{.endpoint = 21, .now = endpoint(21), .version = 2},
                FanOutWaits{}, DueOnDisk{.endpoint = 21},
                EndpointChanged{.endpoint = 22, .now = endpoint(22), .version = 3}});
  REQUIRE(delivery.heard.size() == 1);
  const Facts& heard = delivery.heard[0];
  REQUIRE(heard.size() == 4);
  CHECK(std::holds_alternative<DeliveryWithdrawn>(heard[0]));
  CHECK(std::get<EndpointChanged>(heard[1]).endpoint == 21);
  CHECK(std::holds_alternative<DueOnDisk>(heard[2]));
  CHECK(std::get<EndpointChanged>(heard[3]).endpoint == 22);
  CHECK(delivery.endpoints_known == std::vector<std::size_t>{4});
}

TEST_CASE_FIXTURE(Rig, "retention hears that the clock jumped") {
  router.route({DueTimesMoved{.by_far = true}});
  retention.start();
  run();
  CHECK(done_in(kLong).empty());
  CHECK(done_in(Retention::kHold) == Names{"prune"});
}

TEST_CASE_FIXTURE(Rig, "who owns the first partition keeps house, and who loses it stops") {
  const PartitionSet first = PartitionSet().set(kHousekeepingPartition);
  router.route({PartitionsOwned{first}});
  CHECK(delivery.owned == first);
  auto done = done_in(Millis(0));
  std::ranges::sort(done);
  CHECK(done == Names{"batches", "fan-outs", "outbox", "status", "sweep"});
  done = done_in(Retention::kPause);
  CHECK(done == Names{"prune"});
  done = done_in(kLong);
  std::ranges::sort(done);
  CHECK(done == Names{"batches", "count types", "fan-outs", "outbox", "prune", "status"});

  router.route({PartitionsLost{.partitions = first, .abort = true}});
  CHECK(delivery.disowned == first);
  CHECK(delivery.aborted);
  CHECK(done_in(kLong).empty());
  router.route({PartitionsOwned{first}});
  done = done_in(Millis(0));
  std::ranges::sort(done);
  CHECK(done == Names{"batches", "fan-outs", "outbox", "status", "sweep"});
}

TEST_CASE_FIXTURE(Rig, "who does not own the first partition leaves fan-outs, outbox and batches alone") {
  router.route({FanOutWaits{}, OutboxRowsWait{}, BatchChanged{}});
  run();
  CHECK(store.done.empty());
}

TEST_CASE_FIXTURE(Rig, "nobody hears of a change of an endpoint that a later one has overtaken") {
  router.route({EndpointChanged{.endpoint = kShop, .now = nullptr, .version = 3}});
  router.route({EndpointChanged{.endpoint = kShop, .now = endpoint(kShop), .version = 2}});
  CHECK(directory.find(kShop) == nullptr);
  CHECK(delivery.heard.size() == 1);
  run();
}

TEST_CASE_FIXTURE(Rig, "other partitions are the delivery side's alone") {
  const PartitionSet others = PartitionSet().set().reset(kHousekeepingPartition);
  router.route({PartitionsOwned{others, Millis(4000)}});
  run();
  CHECK(delivery.owned == others);
  CHECK(delivery.ordered_after == Millis(4000));
  CHECK(done_in(kLong).empty());

  router.route({PartitionsOwned{PartitionSet().set(kHousekeepingPartition)}});
  run();
  router.route({PartitionsLost{.partitions = others}});
  CHECK_FALSE(delivery.aborted);
  CHECK_FALSE(done_in(kLong).empty());
  CHECK(delivery.heard.empty());
}

TEST_CASE_FIXTURE(Rig, "lost partitions are released when nothing is under way for them any more") {
  const PartitionSet lost = PartitionSet().set(3);
  router.route({PartitionsLost{.partitions = lost}});
  CHECK(store.released.empty());
  delivery.disowned_done(lost);
  CHECK(store.released == std::vector{lost});
}
