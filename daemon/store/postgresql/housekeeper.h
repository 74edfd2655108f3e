// What has to be done with whole tables now and then, and outside of transactions: makes the partitions of the next days,
// removes those of days of which nothing is left, and has partitions vacuumed in which payloads were erased. Belongs to the
// Writer of the daemon that owns partition 0.
//
// It has a connection of its own, open only while there is work, and never waits for it: a detached partition waits for
// every transaction that may read it, an analyst's too.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

class Housekeeper {
 public:
  static constexpr int kDaysAhead = 3;

  explicit Housekeeper(ConnectionOptions options);

  void vacuum(const std::set<int>& days);
  // Goes on with what is under way, and begins what is due. Cheap when there is nothing. `today`: by the database's clock.
  void run(int today);
  bool is_idle() const { return !db_ && tasks_.empty(); }

 private:
  // Statements that are sent one after the other; if one fails the rest of the task is left for another time.
  struct Task {
    std::vector<std::string> statements;
    bool lists_partitions = false;  // its rows are partitions to be removed
    std::size_t next = 0;
  };
  using SteadyTime = std::chrono::steady_clock::time_point;

  void connect();
  void plan(int today);
  std::string list_of_partitions(int before) const;
  void remove_those_of(const PGresult* rows);
  bool work();  // true: there was something to do, and there may be more
  void send();
  void fail(const std::string& why);

  const ConnectionOptions options_;
  std::optional<Connection> db_;
  std::deque<Task> tasks_;
  bool under_way_ = false;
  SteadyTime plan_at_{}, connect_at_{};
};

}  // namespace outboxd::postgresql
