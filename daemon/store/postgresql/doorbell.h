// How daemons tell each other of commits within milliseconds, besides looking for themselves (foreign_changes.h): NOTIFY on
// the channel outboxd, sent after the commit by a session of its own, because a NOTIFY inside a transaction takes a lock of
// the whole cluster until that transaction is on disk. A hint: one may be lost, and there may be nothing behind one.
//
// A producer that writes to the table outbox may ring as well, after its own commit, with an empty payload.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "common/partition.h"
#include "store/facts.h"

namespace outboxd::postgresql {

// What the writer has to tell others, until the thread that speaks to them takes it.
class Doorbell {
 public:
  static constexpr std::size_t kMaxPayload = 7000;  // bytes; NOTIFY takes 7,999
  // Endpoints that wait to be told of; of more the others are told by their own looking.
  static constexpr std::size_t kMaxWaiting = 20'000;

  Doorbell();  // throws StoreError
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;

  // Any thread. Of these facts of a commit of ours, what others must hear: those of endpoints that are not in `owned`, and
  // changes that everybody looks for.
  void ring(const Facts& facts, const PartitionSet& owned);
  void ring(EndpointSeq endpoint);  // something is due there

  // For the thread that speaks to the others.
  int fd() const { return fd_; }  // readable when there is something to take
  // The payload of the next NOTIFY, behind `sender`, which must be a word; empty: there is nothing more.
  std::string take(std::string_view sender);
  void wake();  // makes fd() readable
  void calm();  // until the next ring

  // What a payload says to whoever owns these partitions. `from`: its sender.
  struct Heard {
    std::string from;
    Facts facts;
  };
  static Heard read(std::string_view payload, const PartitionSet& owned);

 private:
  // An endpoint with something due; by an operator; or a delivery of it that is withdrawn (event not 0).
  struct Entry {
    EndpointSeq endpoint = 0;
    EventSeq event = 0;
    bool by_operator = false;
    auto operator<=>(const Entry&) const = default;
  };
  void add(const Entry& entry) OUTBOXD_REQUIRES(mutex_);

  const int fd_;
  Mutex mutex_;
  std::set<Entry> waiting_ OUTBOXD_GUARDED_BY(mutex_);
  bool look_ OUTBOXD_GUARDED_BY(mutex_) = false;  // something that they find by looking
};

}  // namespace outboxd::postgresql
