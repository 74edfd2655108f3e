// Many daemons over one store, in virtual time: the real Participant, Standing and shares over a server of variables. They
// come, leave, are killed, stopped, cut off from the server, or lose their session. At every step it is checked that
// nobody records for a partition of another, and that never two send what is in order.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ownership/fake_cluster.h"

namespace outboxd::postgresql {

class Churn {
 public:
  static constexpr Millis kStep{100};

  explicit Churn(std::uint64_t seed);
  ~Churn();

  void add(int daemons);
  enum class Fault { kLeaves, kIsKilled, kIsStopped, kIsCutOff, kLosesSession };
  // Happens to a random daemon, and to one that runs. Who is stopped or cut off is so for `duration`.
  void strike(Fault fault, Millis duration = {});
  void pass(Millis duration);
  // Until every partition has an owner and all shares are fair, at most for `limit`; how long that took.
  std::optional<Millis> settle(Millis limit);

  int members() const;                  // that run
  int moves() const { return moves_; }  // partitions that a daemon was told it owns, so far
  void count_anew() {
    moves_ = 0;
    gaps_.clear();
  }
  int held_by_last_struck() const { return held_by_last_struck_; }
  Millis random_millis(Millis below) {
    return Millis(std::uniform_int_distribution<Millis::rep>(0, below.count() - 1)(random_));
  }
  const std::vector<std::string>& broken() const { return broken_; }  // promises, at most a few
  // How long partitions had nobody who sends, each time one had not.
  const std::vector<Millis>& gaps() const { return gaps_; }

 private:
  struct Daemon;
  class CutSession;
  void step();
  void step(Daemon& daemon);
  void write(Daemon& daemon);
  void hear(Daemon& daemon);
  void end_silent_sessions();
  void check();
  void complain(const std::string& what);

  std::mt19937_64 random_;
  FakeCluster cluster_;
  BootTime time_ = std::chrono::hours(1);
  std::vector<std::unique_ptr<Daemon>> daemons_;
  std::vector<std::pair<BootTime, std::unique_ptr<MemberSession>>>
      lost_sessions_;  // that the server still has; last heard of
  std::array<std::optional<BootTime>, kPartitions> without_sender_{};
  std::vector<Millis> gaps_;
  std::vector<std::string> broken_;
  int moves_ = 0, names_ = 0, held_by_last_struck_ = 0;
};

}  // namespace outboxd::postgresql
