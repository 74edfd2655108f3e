// One SQLite store shared by several daemons: behaves like a store on a server, with the real store doing the work.
//
// Each daemon has its own token and owns partitions. What it commits, the others hear of as hints, without what only
// its memory has. Partitions change hands politely, once their owner has let go of them, or rudely: then the old
// owner's token is fenced, and what it records next is refused. A commit may end in kUnknown, whether it was carried
// out or not.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "store/sqlite/sqlite_store.h"
#include "store/store.h"

namespace outboxd::simulation {

inline constexpr int kMaxDaemons = 2;
inline constexpr int kNobody = -1;

class SharedStore {
 public:
  // Watches what the store does. `number` counts commits.
  struct Watch {
    virtual ~Watch() = default;
    virtual void committed(int daemon, std::int64_t number, const Batch& batch, const Applied& applied) = 0;
    // The machine failed during the commit: the store has all of the batch, or nothing.
    virtual void uncertain(const Batch& batch) = 0;
    virtual void violation(const std::string& what) = 0;
  };
  struct Faults {
    double unknown = 0;    // probability per commit
    double busy_read = 0;  // probability per read
  };
  struct Hint {
    std::int64_t commit = 0;
    Facts facts;
  };

  SharedStore(SqliteOptions options, Watch& watch, std::mt19937_64& random);
  ~SharedStore();
  SharedStore(const SharedStore&) = delete;

  void open();  // throws StoreError
  void close();
  bool is_open() const { return real_ != nullptr; }
  Store& real() { return *real_; }
  Faults& faults() { return faults_; }
  std::int64_t commits() const { return commits_; }
  std::int64_t failed_commits() const { return failed_commits_; }  // failed, to be tried again

  // A daemon joins, with a new token. It gets back what it owned before, unless another daemon owns it now.
  std::unique_ptr<Store> join(int daemon);
  void leave(int daemon);  // the daemon is down
  bool is_up(int daemon) const { return up_.at(index(daemon)); }
  bool is_fenced(int daemon) const { return fenced_.at(index(daemon)); }
  int owner_of(Partition partition) const { return owner_.at(index(partition)); }
  PartitionSet owned_by(int daemon) const;
  bool is_moving(int daemon) const;  // it was told to give partitions up, and has not yet

  // Politely: the partitions are promised to the new owner and become its own once the old one, which is told, releases
  // them.
  void promise(const PartitionSet& partitions, int from, int to, bool abort);
  // Rudely, or from a daemon that is down: at once.
  void take(const PartitionSet& partitions, int to);
  void fence(int daemon) { fenced_.at(index(daemon)) = true; }

  void hint(int daemon, Hint hint) { hints_.at(index(daemon)).push_back(std::move(hint)); }
  bool has_hint(int daemon) const { return !hints_.at(index(daemon)).empty(); }
  Hint take_hint(int daemon);

 private:
  class Member;
  class MemberReader;
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  Applied apply(int daemon, const Batch& batch);
  void check_owner(int daemon, const Batch& batch);
  void tell_others(int daemon, const Facts& facts);
  void tell_itself(int daemon, const Facts& facts);
  void release(int daemon, const PartitionSet& partitions);
  bool chance(double p) { return p > 0 && static_cast<double>(random_() >> 11) * 0x1p-53 < p; }

  const SqliteOptions options_;
  Watch& watch_;
  std::mt19937_64& random_;
  Faults faults_;
  std::unique_ptr<Store> real_;
  std::int64_t commits_ = 0, failed_commits_ = 0;
  std::int64_t joins_ = 0;
  std::array<bool, kMaxDaemons> up_{}, fenced_{};
  std::array<int, kPartitions> owner_{};
  std::array<int, kPartitions> promised_{};  // to whom; kNobody: not promised
  std::array<std::deque<Hint>, kMaxDaemons> hints_;
};

}  // namespace outboxd::simulation
