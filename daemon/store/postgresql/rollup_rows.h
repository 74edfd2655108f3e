// The table of the roll-up (store/rollup_counting.h). Each slot has rows of its own, so that no daemon waits for another;
// what is meant is their sum.
#pragma once

#include <string>
#include <vector>

#include "store/postgresql/connection.h"
#include "store/rollup_counting.h"

namespace outboxd::postgresql {

class RollupRows final : public RollupTable {
 public:
  explicit RollupRows(Connection& db);

  // A transaction begins: what the last one has gathered is dropped. The slot says whose rows put() writes, and own_rows()
  // reads. When it changes, nothing may be in memory (RollupCounting::forget).
  void begin(int slot) {
    slot_ = slot;
    gathered_.clear();
  }
  // The commit is near: adds what put() has gathered.
  void ask(Pipeline& last);

  std::vector<RollupRow> rows(Millis span, Time at) override;
  std::vector<RollupRow> own_rows(Millis span, Time at) override;
  void put(Millis span, Time at, const std::vector<Groups::value_type*>& groups) override;
  std::optional<Time> next(Millis span, Time from, Time before) override;
  std::int64_t erase(Millis span, Time at) override;
  Time rolled_up() override;
  void set_rolled_up(Time until) override;

 private:
  // What is put for each of many groups, by columns.
  struct Columns {
    Columns(Millis span, Time at, const std::vector<Groups::value_type*>& groups);
    void add(const RollupKey& key, const RollupCounts& counts);

    Millis span;
    Time at;
    std::vector<std::int64_t> endpoint, status, accepted, attempts, failed, delivered, dead;
    std::vector<std::optional<std::int64_t>> first_at, last_at;
    std::vector<std::string> type, outcome, reason, latency_kept, duration_kept, last_error;
    std::vector<Bytes> latency, duration;
  };
  void write_gathered();

  Connection& db_;
  int slot_ = -1;
  std::vector<Columns> gathered_;
  Statement put_, of_span_, next_, erase_, rolled_up_, set_rolled_up_;
};

}  // namespace outboxd::postgresql
