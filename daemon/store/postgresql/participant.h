// This daemon as one of those that share the store: joins them, proves every kHeartbeat that it is there, claims its fair
// share of the partitions, gives up what exceeds it, and joins anew under a new token whenever its session with the server
// is lost or somebody has fenced it. A state machine: it is told the time, and speaks to the server through MemberSession.
//
//            join               look: shares say what to claim and what to give up
//   ┌─────┐ ──────▶ ┌─────────┐ ◀───────────────┐
//   │ out │         │ member  │ ────────────────┘
//   └─────┘ ◀────── └─────────┘
//      ▲     session lost, or fenced: everything held is lost, what is under way may end within the trust window
//      └── not before the daemon has let go of everything (standing.h)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/postgresql/shares.h"
#include "store/postgresql/standing.h"

namespace outboxd::postgresql {

// A session with the server, whose locks are held as long as it lasts. Used by one thread. Every call may throw
// StoreError; whatever it says, the session is then of no use any more.
class MemberSession {
 public:
  struct Joined {
    std::string token;
    int slot = 0;
  };
  struct Taken {
    PartitionSet cleanly;    // whoever owned them before gave them back
    PartitionSet uncleanly;  // the former owner is fenced, and was not seen to let go
  };

  virtual ~MemberSession() = default;
  // Makes a member of this session, committed. `former` is the token that this daemon had before, "" for none: it is
  // fenced and what it owned is given back, for nothing is under way for it any more; but not what is unsettled.
  virtual Joined join(const std::string& former, const PartitionSet& unsettled) = 0;
  // Commits. kNotNow: a transaction of this daemon's writer is under way, which proves as much when it commits.
  enum class Heartbeat { kProven, kNotNow, kFenced };
  virtual Heartbeat heartbeat() = 0;
  // The members whose session lives, this one too, and what their rows say they own.
  virtual std::vector<MemberView> look() = 0;
  // Those of the wanted partitions that are free, each locked and its row ours. Their former owners are fenced. Throws
  // kFenced if this member is.
  virtual Taken take(const std::vector<Partition>& wanted) = 0;
  virtual void give_back(const PartitionSet& partitions) = 0;
  // Gives back everything but what is unsettled, and takes the member's row away.
  virtual void leave(const PartitionSet& unsettled) = 0;
};
using OpenSession = std::function<std::unique_ptr<MemberSession>()>;  // throws StoreError

class Participant {
 public:
  static constexpr Millis kHeartbeat{1500};
  static constexpr Millis kLook{1000};
  static constexpr Millis kSoon{100};  // when a heartbeat was not possible
  // So long may what is under way for a partition that is given up take to end; then it is aborted.
  static constexpr Millis kPatience{5000};
  static constexpr Millis kFirstBackoff{100}, kMaxBackoff{2000};

  Participant(OpenSession open, Standing& standing, BootNow now)
      : open_(std::move(open)), standing_(standing), now_(std::move(now)) {}

  // Does what is due. Returns when something is due again, if nothing wakes it before (Standing::sleep_member).
  BootTime step();
  // The last call: nothing is under way any more. Never throws; what cannot be given back now is taken from us later.
  void leave() noexcept;

 private:
  void join();
  void go_on();
  void beat();
  void look();
  void take(const std::vector<Partition>& wanted);
  void give_back();
  void abort_overdue();
  void drop_session(const std::string& why);

  const OpenSession open_;
  Standing& standing_;
  const BootNow now_;
  std::unique_ptr<MemberSession> session_;
  std::string token_;    // the last one, also when the session is lost
  std::string why_out_;  // "": it is in
  BootTime heartbeat_at_{}, look_at_{}, join_at_{};
  Millis backoff_{0};
  PartitionSet giving_;
  BootTime abort_at_{};  // what is still under way of them
};

}  // namespace outboxd::postgresql
