#include "store/postgresql/participant.h"

#include <algorithm>
#include <exception>

#include "telemetry/log.h"

namespace outboxd::postgresql {
namespace {

PartitionSet set_of(const std::vector<Partition>& partitions) {
  PartitionSet set;
  for (const Partition partition : partitions) set.set(static_cast<std::size_t>(partition));
  return set;
}

}  // namespace

BootTime Participant::step() {
  try {
    if (session_ && standing_.was_fenced()) drop_session("another daemon has taken over");
    if (!session_) join();
    if (session_) go_on();
  } catch (const std::exception& error) {
    drop_session(error.what());
  }
  if (!session_) return join_at_;
  BootTime next = std::min(heartbeat_at_, look_at_);
  if (giving_.any()) next = std::min(next, abort_at_);
  return next;
}

// Whatever was recorded under the former token has been, or never will be, when the daemon has let go of everything.
void Participant::join() {
  if (now_() < join_at_ || !standing_.is_clear()) {
    join_at_ = std::max(join_at_, now_() + kFirstBackoff);
    return;
  }
  session_ = open_();
  const BootTime begun = now_();
  MemberSession::Joined joined = session_->join(token_, standing_.unsettled());
  token_ = std::move(joined.token);
  standing_.join(token_, joined.slot, begun);
  heartbeat_at_ = begun + kHeartbeat;
  look_at_ = {};
  backoff_ = Millis(0);
  if (!why_out_.empty()) log::info("joined the daemons that share the store again", {{"member", token_}});
  why_out_.clear();
}

void Participant::go_on() {
  if (now_() >= heartbeat_at_) beat();
  if (session_) give_back();
  if (session_ && now_() >= look_at_) look();
  if (session_) abort_overdue();
}

// The time is taken before the server is asked: what it then finds was true not before.
void Participant::beat() {
  const BootTime begun = now_();
  switch (session_->heartbeat()) {
    case MemberSession::Heartbeat::kFenced:
      standing_.found_fenced(token_);
      return drop_session("another daemon has taken over");
    case MemberSession::Heartbeat::kNotNow:
      heartbeat_at_ = now_() + kSoon;
      return;
    case MemberSession::Heartbeat::kProven:
      standing_.prove(token_, begun);
      heartbeat_at_ = begun + kHeartbeat;
  }
}

void Participant::look() {
  look_at_ = now_() + kLook;
  std::vector<MemberView> members = session_->look();
  standing_.see_members(static_cast<int>(members.size()));
  for (MemberView& member : members) {
    if (member.token == token_) member.held = standing_.held();
  }
  const ShareChange change = next_share_change(token_, members);
  if (!change.claim.empty()) take(change.claim);
  const PartitionSet giving = set_of(change.give_up) & ~giving_ & ~standing_.unsettled();
  if (giving.none()) return;
  if (giving_.none()) abort_at_ = now_() + kPatience;
  giving_ |= giving;
  standing_.give_up(giving, false);
}

void Participant::take(const std::vector<Partition>& wanted) {
  const MemberSession::Taken taken = session_->take(wanted);
  if (taken.uncleanly.any()) {
    log::warn("took over partitions whose daemon was lost",
              {{"partitions", static_cast<std::int64_t>(taken.uncleanly.count())}});
  }
  if (taken.cleanly.any()) standing_.hold(taken.cleanly, Millis(0));
  if (taken.uncleanly.any()) standing_.hold(taken.uncleanly, kTrust);
}

void Participant::give_back() {
  const PartitionSet free = standing_.given_up();
  if (free.none()) return;
  session_->give_back(free);
  standing_.no_longer_hold(free);
  giving_ &= ~free;
}

void Participant::abort_overdue() {
  if (giving_.none() || now_() < abort_at_) return;
  standing_.give_up(giving_, true);
  abort_at_ = now_() + kPatience;
}

void Participant::drop_session(const std::string& why) {
  if (why != why_out_) {  // at first a connection is lost; why there is no new one comes after that
    log::warn("this daemon owns no partitions until it has joined the others again", {{"error", why}});
    why_out_ = why;
  }
  session_.reset();
  standing_.lose_session(why);
  giving_.reset();
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kMaxBackoff);
  join_at_ = now_() + backoff_;
}

void Participant::leave() noexcept {
  if (!session_) return;
  try {
    session_->leave(standing_.unsettled());
  } catch (const std::exception& error) {
    log::warn("could not leave the daemons that share the store, they will find out",
              {{"error", error.what()}});
  }
  session_.reset();
}

}  // namespace outboxd::postgresql
