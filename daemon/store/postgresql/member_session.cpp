#include "store/postgresql/member_session.h"

#include <random>
#include <unordered_map>

#include "common/text.h"
#include "store/postgresql/member_statements.h"
#include "telemetry/log.h"

namespace outboxd::postgresql {
namespace {

constexpr Millis kStatementTimeout{3000};  // a heartbeat that takes longer comes too late

// Never a counter: those repeat themselves after a failover that lost commits, and after a restore.
std::string new_token() {
  std::random_device random;
  std::string bytes(16, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return hex_encode(bytes);
}

std::vector<std::int64_t> numbers_of(const PartitionSet& partitions) {
  std::vector<std::int64_t> numbers;
  numbers.reserve(partitions.count());
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (partitions.test(i)) numbers.push_back(static_cast<std::int64_t>(i));
  }
  return numbers;
}

bool is_lock_timeout(const ServerFailure& failure) {
  return failure.sqlstate == "55P03";
}

}  // namespace

ServerSession::ServerSession(const MemberSessionOptions& options)
    : name_(options.name),
      db_({.url = options.url,
           .purpose = "member",
           .statement_timeout = kStatementTimeout,
           .idle_session_timeout = kMaxSilence,
           .on_error = options.on_error}),
      foreign_home_(db_, sql::kForeignHome),
      free_former_(db_, sql::kFreeFormer),
      fence_former_(db_, sql::kFenceFormer),
      forget_(db_, sql::kForgetMembers),
      free_slot_(db_, sql::kFreeSlot),
      lock_slot_(db_, sql::kLockSlot),
      insert_(db_, sql::kInsertMember),
      heartbeat_(db_, sql::kHeartbeat),
      members_(db_, sql::kMembers),
      owners_(db_, sql::kOwners),
      fence_dead_(db_, sql::kFenceDead),
      terminate_(db_, sql::kTerminate),
      lock_(db_, sql::kLockPartitions),
      unlock_(db_, sql::kUnlockPartitions),
      guard_(db_, sql::kGuard),
      owners_before_(db_, sql::kOwnersBefore),
      fence_owners_(db_, sql::kFenceOwners),
      own_(db_, sql::kOwnPartitions),
      give_back_(db_, sql::kGiveBack),
      leave_(db_, sql::kGiveBackAll),
      delete_(db_, sql::kDeleteMember) {
  db_.execute("SET lock_timeout = '1s'");  // it has heartbeats to send
}

// A name, or a pooler, may lead to a copy one day while the daemon runs.
void ServerSession::check_home() {
  Cursor home(foreign_home_);
  if (home.next())
    throw StoreError(StoreError::Kind::kBusy,
                     "the database is a copy of one that was made on another server (" + home.text(0) +
                         "), which may still send: point the daemon at the original again, or, if that is "
                         "gone for good, run 'outboxctl db adopt'");
}

// A commit that the server stopped waiting for succeeds with a warning. If the standby does not have it and becomes the
// primary, it never was.
void ServerSession::check_commit() {
  if (db_.take_warning())
    throw StoreError(StoreError::Kind::kBusy, "a standby may not have got what was committed");
}

// The slot of a member that was fenced is free, but its session may yet live and hold the lock: then the next one.
int ServerSession::lock_slot() {
  for (int after = -1;;) {
    Cursor free(free_slot_, after);
    free.next();
    const int slot = free.number(0);
    Cursor locked(lock_slot_, slot);
    locked.next();
    if (locked.boolean(0)) return slot;
    after = slot;
  }
}

MemberSession::Joined ServerSession::join(const std::string& former, const PartitionSet& unsettled) {
  check_home();
  token_ = new_token();
  begin_.run();
  if (!former.empty()) {
    Pipeline(db_).add(free_former_, former, numbers_of(unsettled)).add(fence_former_, former).run();
  }
  const int slot = lock_slot();
  Pipeline(db_)
      .add(forget_, static_cast<std::int64_t>(kForgotten.count()))
      .add(insert_, token_, slot, name_)
      .add(commit_)
      .run();
  check_commit();
  return {token_, slot};
}

// A transaction of the writer holds the row until its commit.
MemberSession::Heartbeat ServerSession::heartbeat() {
  try {
    heartbeat_.run(token_);
    check_commit();
    return heartbeat_.changes() == 1 ? Heartbeat::kProven : Heartbeat::kFenced;
  } catch (const ServerFailure& failure) {
    if (!is_lock_timeout(failure)) throw;
    return Heartbeat::kNotNow;
  }
}

// A member without a session, of which nothing is left to take, is fenced here; who takes something from it fences it then.
std::vector<MemberView> ServerSession::look() {
  Pipeline both(db_);
  both.add(members_, static_cast<std::int64_t>(kMaxUnproven.count())).add(owners_);
  both.run();
  std::unordered_map<std::string, PartitionSet> owned;
  for (Cursor owner = both.rows(1); owner.next();)
    owned[owner.text(1)].set(static_cast<std::size_t>(owner.integer(0)));
  std::vector<MemberView> views;
  std::vector<std::string> dead;
  std::vector<std::int64_t> hanging;
  for (Cursor member = both.rows(0); member.next();) {
    MemberView view{.token = member.text(0), .held = {}, .leaving = false};
    if (const auto its = owned.find(view.token); its != owned.end()) view.held = its->second;
    const bool lives = !member.is_null(1);
    if (lives && member.boolean(2) && view.token != token_) hanging.push_back(member.integer(1));
    if (!lives && view.held.none()) dead.push_back(view.token);
    if (lives) views.push_back(std::move(view));
  }
  if (!dead.empty()) fence_dead_.run(dead);
  if (!hanging.empty()) {
    log::warn("ending the session of a daemon that does not answer",
              {{"sessions", static_cast<std::int64_t>(hanging.size())}});
    Cursor terminated(terminate_, hanging);
  }
  return views;
}

std::vector<std::int64_t> ServerSession::lock(const std::vector<Partition>& wanted) {
  const std::vector<std::int64_t> numbers(wanted.begin(), wanted.end());
  std::vector<std::int64_t> locked;
  locked.reserve(numbers.size());
  for (Cursor tried(lock_, numbers); tried.next();) {
    if (tried.boolean(1)) locked.push_back(tried.integer(0));
  }
  return locked;
}

void ServerSession::unlock(const std::vector<std::int64_t>& partitions) {
  Cursor unlocked(unlock_, partitions);
}

// A former owner that is in the middle of a transaction holds its row: it is waited for, but not for long, because this
// member has heartbeats to send. Until then the partitions stay free.
MemberSession::Taken ServerSession::take(const std::vector<Partition>& wanted) {
  const std::vector<std::int64_t> locked = lock(wanted);
  if (locked.empty()) return {};
  try {
    return own(locked);
  } catch (const ServerFailure& failure) {
    if (!is_lock_timeout(failure)) throw;
    rollback_.run();
    unlock(locked);
    return {};
  }
}

MemberSession::Taken ServerSession::own(const std::vector<std::int64_t>& locked) {
  Pipeline first(db_);
  first.add(begin_).add(guard_, token_).add(owners_before_, locked).add(fence_owners_, locked, token_);
  first.add(own_, locked, token_);
  first.run();
  if (first.rows(1).size() == 0) {
    rollback_.run();
    throw StoreError(StoreError::Kind::kFenced, "another daemon has taken over");
  }
  Taken taken;
  for (Cursor row = first.rows(2); row.next();) {
    const bool clean = row.is_null(1) || row.view(1) == token_;
    (clean ? taken.cleanly : taken.uncleanly).set(static_cast<std::size_t>(row.integer(0)));
  }
  commit_.run();
  check_commit();
  return taken;
}

void ServerSession::give_back(const PartitionSet& partitions) {
  const std::vector<std::int64_t> numbers = numbers_of(partitions);
  give_back_.run(numbers, token_);
  check_commit();
  unlock(numbers);
}

void ServerSession::leave(const PartitionSet& unsettled) {
  Pipeline(db_)
      .add(begin_)
      .add(leave_, token_, numbers_of(unsettled))
      .add(delete_, token_)
      .add(commit_)
      .run();
}

}  // namespace outboxd::postgresql
