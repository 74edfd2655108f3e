// Ingest and FanOut over a real SQLite store in a folder of its own, which a restart keeps. The delivery loop
// is a list of what it was offered.
#pragma once

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>

#include "ingest/ingest.h"
#include "store/sqlite/sqlite_store.h"
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

  EndpointPtr add_endpoint(Endpoint endpoint = new_endpoint()) {
    std::promise<EndpointPtr> made;
    directory().create(std::move(endpoint),
                       [&](const Result<EndpointPtr>& result) { made.set_value(*result); });
    return made.get_future().get();
  }
  Result<std::vector<AcceptedEvent>> accept(std::vector<EventDraft> drafts) {
    std::promise<Result<std::vector<AcceptedEvent>>> done;
    ingest().accept(std::move(drafts), [&](auto result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  }
  // What is in the SQL outbox, once.
  void adopt() {
    std::promise<void> done;
    ingest().adopt(reader().outbox(100, 1 << 20), [&] { done.set_value(); });
    done.get_future().wait();
  }
  void produce(const std::string& sql,
               bool judged = true) const {  // false: as a row was before it was judged at once
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((folder_ / "outbox.db").c_str(), &db) == SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, judged ? 1 : 0, nullptr);
    CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
  }

  // Waits until so many deliveries were offered in all; answers them.
  std::vector<DueDelivery> offered(std::size_t count) {
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return offered_.size() >= count; }));
    return offered_;
  }
  std::vector<EventRow> events() { return reader().events({}, {250, ""})->rows; }  // newest first

  Store& store() { return *running_->store; }
  GroupCommit& commits() { return running_->commits; }
  EndpointDirectory& directory() { return running_->directory; }
  FanOut& fan_out() { return running_->fan_out; }
  Ingest& ingest() { return running_->ingest; }
  StoreReader& reader() { return *running_->reader; }
  telemetry::Metrics metrics;

 private:
  struct Running {
    explicit Running(IngestRig& rig)
        : store(open(rig)),
          commits(store->writer(), {}, [](const std::string& what) { FAIL(what); }),
          directory(commits),
          fan_out(*store, commits, directory, {Millis(7), rig.limits_.step, rig.limits_.remembered},
                  [&rig](std::vector<DueDelivery> fresh) { rig.take(std::move(fresh)); }),
          ingest(commits, directory, fan_out, rig.clock_, rig.ids_, rig.metrics,
                 {{}, kDay, Millis(7), rig.limits_.deliveries_at_once},
                 [&rig](std::vector<DueDelivery> fresh) { rig.take(std::move(fresh)); }),
          reader(store->new_reader()) {
      directory.load(reader->all_endpoints());
      commits.start();
    }
    ~Running() {
      fan_out.stop();
      commits.drain();
    }
    static std::unique_ptr<Store> open(const IngestRig& rig) {
      SqliteOptions options;
      options.path = rig.folder_ / "outbox.db";
      return open_sqlite_store(options);
    }

    std::unique_ptr<Store> store;
    GroupCommit commits;
    EndpointDirectory directory;
    FanOut fan_out;
    Ingest ingest;
    std::unique_ptr<StoreReader> reader;
  };

  void take(std::vector<DueDelivery> fresh) {
    const std::lock_guard lock(mutex_);
    for (auto& delivery : fresh) offered_.push_back(std::move(delivery));
    changed_.notify_all();
  }

  const IngestLimits limits_;
  TemporaryFolder folder_;
  ManualClock clock_{kNow};
  UuidGenerator ids_{clock_};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<DueDelivery> offered_;  // guarded by mutex_
  std::optional<Running> running_;
};

}  // namespace outboxd::test
