// The session with the server that makes this daemon a member: it holds an advisory lock for the member's slot and one for
// each partition. The server frees them when it ends the session: because the client's end is gone (in milliseconds), or
// because it was silent for kMaxSilence, as a stopped process is, whose kernel still answers every probe.
#pragma once

#include <string>

#include "store/postgresql/connection.h"
#include "store/postgresql/participant.h"

namespace outboxd::postgresql {

struct MemberSessionOptions {
  std::string url;
  std::string name;
  std::function<void()> on_error = {};
};

class ServerSession final : public MemberSession {
 public:
  static constexpr Millis kMaxSilence{6000};
  // Servers before 14 know no idle_session_timeout, and a session may hang in a statement: then another member ends the
  // session of one that has not proven for so long that it is there.
  static constexpr Millis kMaxUnproven{8000};
  static constexpr Millis kForgotten = std::chrono::hours(1);  // rows of members that were fenced

  explicit ServerSession(const MemberSessionOptions& options);

  Joined join(const std::string& former, const PartitionSet& unsettled) override;
  Heartbeat heartbeat() override;
  std::vector<MemberView> look() override;
  Taken take(const std::vector<Partition>& wanted) override;
  void give_back(const PartitionSet& partitions) override;
  void leave(const PartitionSet& unsettled) override;

 private:
  void check_home();
  void check_commit();
  int lock_slot();
  std::vector<std::int64_t> lock(const std::vector<Partition>& wanted);
  void unlock(const std::vector<std::int64_t>& partitions);
  Taken own(const std::vector<std::int64_t>& locked);

  const std::string name_;
  Connection db_;
  std::string token_;
  Statement begin_{db_, "BEGIN"}, commit_{db_, "COMMIT"}, rollback_{db_, "ROLLBACK"};
  Statement foreign_home_, free_former_, fence_former_, forget_, free_slot_, lock_slot_, insert_;
  Statement heartbeat_, members_, owners_, fence_dead_, terminate_;
  Statement lock_, unlock_, guard_, owners_before_, fence_owners_, own_, give_back_;
  Statement leave_, delete_;
};

}  // namespace outboxd::postgresql
