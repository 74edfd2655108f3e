// What this daemon is to the others that share the store: its token, the partitions it owns, and until when it may rely
// on that. The member's thread (participant.h) says what the session with the server has found, the daemon's threads ask, the
// writer's transactions prove; what becomes of a partition is decided here and told as facts, in one order.
//
//   held      its lock is held and its row names our token
//   owned     the daemon was told so: it sends and records for it
//   leaving   the daemon was told that it lost it, and has not let go of it yet: it may still record
//
// A partition is owned again, and the daemon gets a new token, only when nothing is leaving. So no outcome that was made
// under one token is ever recorded under the next.
//
// Trust: at most kTrust after the begin of the last transaction that committed and found our member's row there, nothing
// is sent any more and what is under way is aborted. Whoever takes over has fenced that row before, so it knows that
// kTrust later nothing can arrive from here. A read proves nothing: a primary that was cut off from its synchronous
// standby still answers reads.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <utility>

#include "common/mutex.h"
#include "common/partition.h"
#include "store/errors.h"
#include "store/facts.h"
#include "store/postgresql/boot_time.h"

namespace outboxd::postgresql {

inline constexpr Millis kTrust{4000};

class Standing {
 public:
  explicit Standing(BootNow now = boot_now) : now_(std::move(now)) {}
  Standing(const Standing&) = delete;

  // For the writer, at the begin of each transaction. Its first statement is
  //     SELECT 1 FROM member WHERE token = $1 AND NOT fenced FOR SHARE
  // If that finds no row (or there is no token yet), outcomes are refused and all else is carried out. An outcome of a
  // partition that is not in `records` is refused too.
  struct Now {
    std::string token;     // member.token; "": there is none yet
    int slot = 0;          // member.slot, with a token
    PartitionSet records;  // owned, or leaving
    BootTime begun{};      // for committed()
  };
  Now now() const;
  // The transaction found its row and was committed for certain.
  void committed(const Now& begun) { prove(begun.token, begun.begun); }
  // It found no row: somebody has taken over.
  void found_fenced(std::string_view token);

  // For the daemon (store.h).
  bool may_send() const { return now_().count() < trusted_until_.load(std::memory_order_relaxed); }
  PartitionSet owned() const;
  // Owned, as far as wait() has said so to whoever waits; all that is owned while nobody has ever waited.
  PartitionSet told() const;
  int members() const { return members_; }  // as last seen; at least this one
  bool is_in_session() const { return session_lives_; }
  std::string why_out() const;          // "": it is in session, or has not tried yet
  int joins() const { return joins_; }  // so far; with each, the server may have become another one
  void release(const PartitionSet& partitions);
  // Adds facts that somebody else has found. Wakes whoever waits.
  void tell(Facts facts);
  Facts wait(Millis timeout);  // for facts, `timeout`, or interrupt(); one thread
  void interrupt();
  // From now on, wait() throws StoreError (kFailed).
  void fail(const std::string& why);

  // For the member's thread.
  void see_members(int count) { members_ = count; }
  void join(const std::string& token, int slot, BootTime begun);  // REQUIRES: is_clear()
  void prove(std::string_view token, BootTime begun);
  bool was_fenced() const;  // the current token
  // These were locked and belong to our token now. What is not released yet is announced when it is.
  void hold(const PartitionSet& partitions, Millis ordered_after);
  PartitionSet held() const;
  void give_up(const PartitionSet& partitions, bool abort);
  // Those taken from an owner who may still be sending. They are not given back as if nobody were: the next one would not
  // wait.
  PartitionSet unsettled() const;
  PartitionSet given_up() const;  // and let go of by the daemon: to be given back, then no_longer_hold()
  void no_longer_hold(const PartitionSet& partitions);
  // Or found that there is none to be had.
  void lose_session(const std::string& why);
  bool is_clear() const;  // nothing is held, owned or leaving
  // Sleeps until `until`, something was released, a transaction found our row fenced, or wake_member().
  void sleep_member(BootTime until);
  void wake_member();

 private:
  Facts take_facts() OUTBOXD_REQUIRES(mutex_);
  void lose(const PartitionSet& partitions, bool abort) OUTBOXD_REQUIRES(mutex_);
  void announce() OUTBOXD_REQUIRES(mutex_);
  void expire() OUTBOXD_REQUIRES(mutex_);
  BootTime trust_ends() const { return BootTime(trusted_until_.load(std::memory_order_relaxed)); }

  const BootNow now_;
  std::atomic<int> members_{1}, joins_{0};
  std::atomic<bool> session_lives_{false};
  std::atomic<BootTime::rep> trusted_until_{0};  // 0: nothing is trusted
  mutable Mutex mutex_;
  CondVar facts_came_, member_wanted_;
  std::string token_ OUTBOXD_GUARDED_BY(mutex_);
  std::string why_out_ OUTBOXD_GUARDED_BY(mutex_);
  int slot_ OUTBOXD_GUARDED_BY(mutex_) = 0;
  bool in_session_ OUTBOXD_GUARDED_BY(mutex_) = false;
  bool fenced_ OUTBOXD_GUARDED_BY(mutex_) = false;
  BootTime proven_ OUTBOXD_GUARDED_BY(mutex_){0};  // the begin of the last transaction that proved it
  PartitionSet held_ OUTBOXD_GUARDED_BY(mutex_), giving_ OUTBOXD_GUARDED_BY(mutex_);
  PartitionSet owned_ OUTBOXD_GUARDED_BY(mutex_), leaving_ OUTBOXD_GUARDED_BY(mutex_);
  PartitionSet aborted_ OUTBOXD_GUARDED_BY(mutex_);  // of those leaving
  std::array<BootTime, kPartitions> ordered_from_ OUTBOXD_GUARDED_BY(mutex_){};
  Facts facts_ OUTBOXD_GUARDED_BY(mutex_);
  PartitionSet told_ OUTBOXD_GUARDED_BY(mutex_);
  bool somebody_waits_ OUTBOXD_GUARDED_BY(mutex_) = false;
  bool interrupted_ OUTBOXD_GUARDED_BY(mutex_) = false;
  std::string failure_ OUTBOXD_GUARDED_BY(mutex_);
  bool member_wanted_now_ OUTBOXD_GUARDED_BY(mutex_) = false;
};

}  // namespace outboxd::postgresql
