// A store at work, the same work for the same seed: events accepted over the API and from the SQL outbox, outcomes of every kind, an
// operator's hand, endpoints that come and go, retention, checkpoints, restarts. Each step is one transaction; after its acknowledgement
// the whole content of the database is noted, so that a database found later can be told to be that after so many steps, or after none.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/clock.h"
#include "store/sqlite/sqlite_store.h"

namespace outboxd::faults {

// SHA-256 over every row of every table.
std::string content_of(const std::string& path);

class Workload {
 public:
  Workload(std::string path, std::uint64_t seed);
  ~Workload();

  // One step; throws what the store throws. The step counts, and is marked in the recording, when it has returned.
  void step();
  // Opens the store again, after a clean stop or as if the process had been killed. No step.
  void restart(bool clean_stop);
  // Between steps: the content after the last one.
  void note_content() { contents_.push_back(content_of(options_.path)); }

  // The store has said that it failed, and not a producer's own connection.
  bool store_failed() const { return store_failed_; }
  // After that: is another event acknowledged?
  bool still_accepts();

  // [0]: before the first step.
  const std::vector<std::string>& contents() const { return contents_; }
  std::int64_t steps() const { return steps_; }

 private:
  void apply(const std::vector<Command>& commands);
  void accept();
  void take_in_outbox();
  void record_outcomes();
  void operate();
  void change_endpoints();
  void prune();
  void insert_as_producer();

  NewEvent new_event();
  AcceptEvents accepting() const;
  EndpointSeq some_endpoint();
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  Uuid next_uuid();

  SqliteOptions options_;
  ManualClock clock_;
  std::mt19937_64 random_;
  std::uint64_t uuids_ = 0;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreReader> reader_;
  Endpoints endpoints_;
  std::vector<EventId> events_;
  std::vector<std::string> contents_;
  std::int64_t steps_ = 0;
  bool store_failed_ = false;
};

}  // namespace outboxd::faults
