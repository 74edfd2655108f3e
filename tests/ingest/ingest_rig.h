// Ingest and FanOut over a real SQLite store in a folder of its own, which a restart keeps; all on one thread. The
// delivery side is a list of what it heard of.
#pragma once

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <functional>
#include <optional>
#include <utility>

#include "ingest/fan_out.h"
#include "ingest/ingest.h"
#include "ingest/operational_events.h"
#include "store/sqlite/sqlite_store.h"
#include "support/manual_executor.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

namespace outboxd::test {

inline EventDraft new_draft(const std::string& type = "order.paid") {
  EventDraft draft;
  draft.event.type = type;
  draft.event.payload = "{}";
  return draft;
}

struct IngestLimits {
  std::size_t deliveries_at_once = 1000;
  std::size_t step = 500;
  std::size_t remembered = 32;
};

class IngestRig {
 public:
  explicit IngestRig(const IngestLimits& limits = {}) : limits_(limits) { running_.emplace(*this); }

  // As a restart of the daemon does. The fan-out begins when it is told to.
  void restart() {
    running_.reset();
    running_.emplace(*this);
  }
  void start_fan_out() {
    running_->fans_out = true;
    fan_out().start();
  }
  // Commits, one batch after another, until nothing waits; and what follows of it.
  void run() {
    while (commits().step() || running_->executor.step()) {
    }
  }
  // Submits, and commits at once.
  template <class C>
  Result<typename C::Answer> commit(C command) {
    std::optional<Result<typename C::Answer>> answer;
    commits().submit(std::move(command),
                     [&](const C&, Result<typename C::Answer> result) { answer = std::move(result); });
    while (commits().step()) {
    }
    REQUIRE(answer);
    return std::move(*answer);
  }

  EndpointPtr add_endpoint(const Endpoint& endpoint = new_endpoint()) {
    return commit(CreateEndpoint{std::make_shared<const Endpoint>(endpoint)}).value();
  }
  Result<std::vector<AcceptedEvent>> accept(std::vector<EventDraft> drafts) {
    std::optional<Result<std::vector<AcceptedEvent>>> done;
    ingest().accept(std::move(drafts), [&](auto result) { done = std::move(result); });
    run();
    REQUIRE(done);
    return std::move(*done);
  }
  // What is in the SQL outbox, once.
  void ingest_rows() {
    bool done = false;
    ingest().ingest_rows(reader().outbox(100, 1 << 20), [&] { done = true; });
    run();
    CHECK(done);
  }
  void produce(const std::string& sql,
               bool checked = true) const {  // false: as a row was before it was checked at once
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((folder_ / "outbox.db").c_str(), &db) == SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, checked ? 1 : 0, nullptr);
    CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
  }

  // The deliveries that may be attempted, in the order of their facts; there are so many.
  const std::vector<DueDelivery>& ready(std::size_t count) {
    run();
    CHECK(ready_.size() == count);
    return ready_;
  }
  std::vector<EventRow> events() { return reader().events({}, {250, ""})->rows; }  // newest first

  Store& store() { return *running_->store; }
  GroupCommit& commits() { return running_->commits; }
  EndpointDirectory& directory() { return running_->directory; }
  FanOut& fan_out() { return running_->fan_out; }
  Ingest& ingest() { return running_->ingest; }
  OperationalEvents& operational_events() { return running_->operational_events; }
  StoreReader& reader() { return *running_->reader; }
  telemetry::Metrics metrics;
  std::function<void()> between_commit_and_facts = [] {};  // once, at the next commit

 private:
  struct Running {
    explicit Running(IngestRig& rig)
        : store(open(rig)),
          commits(store->writer(), store->ownership().token, rig.clock_, {},
                  [](const std::string& what) { FAIL(what); }),
          executor(rig.clock_),
          fan_out(executor, *store, commits, directory,
                  {Millis(7), rig.limits_.step, rig.limits_.remembered}),
          ingest(commits, directory, rig.clock_, rig.ids_, rig.metrics,
                 {{}, kDay, Millis(7), rig.limits_.deliveries_at_once}),
          operational_events(ingest, directory, rig.clock_),
          reader(store->new_reader()) {
      directory.load(reader->all_endpoints());
      commits.tell([this, &rig](Facts facts) { hear(rig, facts); });
    }
    void hear(IngestRig& rig, Facts& facts) {
      std::exchange(rig.between_commit_and_facts, [] {})();
      for (Fact& fact : facts) {
        if (const auto* changed = std::get_if<EndpointChanged>(&fact)) directory.hear(*changed);
        if (const auto* waits = std::get_if<FanOutWaits>(&fact); waits && fans_out) fan_out.hear(*waits);
        if (auto* ready = std::get_if<DeliveryReady>(&fact)) rig.ready_.push_back(std::move(ready->delivery));
      }
    }
    static std::unique_ptr<Store> open(const IngestRig& rig) {
      SqliteOptions options;
      options.path = rig.folder_ / "outbox.db";
      options.clock = &rig.clock_;
      return open_sqlite_store(options);
    }

    std::unique_ptr<Store> store;
    GroupCommit commits;
    EndpointDirectory directory;
    ManualExecutor executor;
    FanOut fan_out;
    Ingest ingest;
    OperationalEvents operational_events;
    std::unique_ptr<StoreReader> reader;
    bool fans_out = false;
  };

  const IngestLimits limits_;
  TemporaryFolder folder_;
  ManualClock clock_{kNow};
  UuidGenerator ids_{clock_};
  std::vector<DueDelivery> ready_;
  std::optional<Running> running_;
};

}  // namespace outboxd::test
