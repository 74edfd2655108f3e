#include "ownership/churn.h"

#include <algorithm>
#include <utility>

namespace outboxd::postgresql {
namespace {

constexpr Millis kSilence{6000};         // then the server ends a session
constexpr Millis kLongestRequest{2000};  // under way when a partition is lost, and not aborted
constexpr Millis kLongestCommit{200};
constexpr std::size_t kFewBroken = 5;

}  // namespace

struct Churn::Daemon {
  std::string name;
  BootTime stopped_until{}, cut_until{};
  BootTime next{}, heard_from{};
  int session = 0;
  std::unique_ptr<Standing> standing;
  std::unique_ptr<Participant> member;
  PartitionSet owned;
  std::array<BootTime, kPartitions> in_order_from{}, lets_go_at{};
  PartitionSet letting_go;
  // The writer's transaction under way.
  std::optional<Standing::Now> writes;
  BootTime commits_at{}, writes_at{};

  bool is_stopped(BootTime now) const { return now < stopped_until; }
};

// The session as the daemon has it: calls fail while the daemon is cut off, and the server hears nothing.
class Churn::CutSession final : public MemberSession {
 public:
  CutSession(Churn& churn, Daemon& daemon) : churn_(churn), daemon_(daemon) {
    check();
    inner_ = churn.cluster_.opener()();
    daemon.session = churn.cluster_.next_session;
  }
  // A server that cannot be reached does not hear of the end.
  ~CutSession() override {
    if (is_cut())
      static_cast<void>(churn_.lost_sessions_.emplace_back(daemon_.heard_from, std::move(inner_)));
  }

  Joined join(const std::string& former, const PartitionSet& unsettled) override {
    check();
    return inner_->join(former, unsettled);
  }
  Heartbeat heartbeat() override {
    check();
    return inner_->heartbeat();
  }
  std::vector<MemberView> look() override {
    check();
    return inner_->look();
  }
  Taken take(const std::vector<Partition>& wanted) override {
    check();
    return inner_->take(wanted);
  }
  void give_back(const PartitionSet& partitions) override {
    check();
    inner_->give_back(partitions);
  }
  void leave(const PartitionSet& unsettled) override {
    check();
    inner_->leave(unsettled);
  }

 private:
  bool is_cut() const { return churn_.time_ < daemon_.cut_until; }
  void check() {
    if (is_cut()) throw StoreError(StoreError::Kind::kBusy, "nothing comes back");
    daemon_.heard_from = churn_.time_;
  }

  Churn& churn_;
  Daemon& daemon_;
  std::unique_ptr<MemberSession> inner_;
};

Churn::Churn(std::uint64_t seed) : random_(seed) {}

// Sessions end in the cluster, and some in lost_sessions_.
Churn::~Churn() {
  daemons_.clear();
  lost_sessions_.clear();
}

void Churn::add(int daemons) {
  for (int i = 0; i < daemons; ++i) {
    auto added = std::make_unique<Daemon>();
    Daemon& daemon = *added;
    const BootNow now = [this] { return time_; };
    daemon.name = std::to_string(++names_);
    daemon.standing = std::make_unique<Standing>(now);
    daemon.member = std::make_unique<Participant>(
        [this, &daemon]() -> std::unique_ptr<MemberSession> {
          return std::make_unique<CutSession>(*this, daemon);
        },
        *daemon.standing, now);
    daemon.next = time_ + random_millis(Participant::kLook);
    daemons_.push_back(std::move(added));
  }
}

int Churn::members() const {
  return static_cast<int>(
      std::ranges::count_if(daemons_, [this](const auto& d) { return !d->is_stopped(time_); }));
}

void Churn::strike(Fault fault, Millis duration) {
  std::vector<std::size_t> running;
  running.reserve(daemons_.size());
  for (std::size_t i = 0; i < daemons_.size(); ++i) {
    if (!daemons_[i]->is_stopped(time_) && time_ >= daemons_[i]->cut_until && daemons_[i]->owned.any())
      running.push_back(i);
  }
  if (running.empty()) return;
  const std::size_t which =
      running[std::uniform_int_distribution<std::size_t>(0, running.size() - 1)(random_)];
  Daemon& daemon = *daemons_[which];
  held_by_last_struck_ = static_cast<int>(daemon.standing->held().count());
  switch (fault) {
    case Fault::kIsStopped:
      daemon.stopped_until = time_ + duration;
      return;
    case Fault::kIsCutOff:
      daemon.cut_until = time_ + duration;
      return;
    case Fault::kLosesSession:
      return cluster_.end_session(daemon.session);
    case Fault::kLeaves:
      // As a daemon stops: what is under way ends first, and is recorded.
      if (daemon.writes) cluster_.members[daemon.writes->token].is_writing = false;
      daemon.member->leave();
      break;
    case Fault::kIsKilled:
      if (daemon.writes) cluster_.members[daemon.writes->token].is_writing = false;
      break;
  }
  daemons_.erase(daemons_.begin() + static_cast<std::ptrdiff_t>(which));
}

void Churn::pass(Millis duration) {
  for (const BootTime end = time_ + duration; time_ < end; time_ += kStep) step();
}

std::optional<Millis> Churn::settle(Millis limit) {
  const BootTime began = time_;
  for (; time_ < began + limit; time_ += kStep) {
    step();
    PartitionSet owned;
    std::size_t least = kPartitions, most = 0;
    for (const auto& daemon : daemons_) {
      owned |= daemon->owned;
      least = std::min(least, daemon->owned.count());
      most = std::max(most, daemon->owned.count());
    }
    if (owned.all() && most - least <= 1) return std::chrono::ceil<Millis>(time_ - began);
  }
  return std::nullopt;
}

void Churn::step() {
  end_silent_sessions();
  for (const auto& daemon : daemons_) {
    if (!daemon->is_stopped(time_)) step(*daemon);
  }
  check();
}

void Churn::step(Daemon& daemon) {
  write(daemon);
  const bool wakes = daemon.standing->was_fenced() && daemon.standing->is_in_session();
  if (time_ >= daemon.next || wakes) daemon.next = daemon.member->step();
  hear(daemon);
  PartitionSet let_go;
  for (std::size_t p = 0; p < kPartitions; ++p)
    let_go.set(p, daemon.letting_go.test(p) && time_ >= daemon.lets_go_at[p]);
  if (let_go.none() || daemon.writes) return;
  daemon.letting_go &= ~let_go;
  daemon.standing->release(let_go);
  daemon.next = time_;
}

// Transactions of the writer, one after the other. What is in one is for any of the partitions that may be recorded for.
void Churn::write(Daemon& daemon) {
  const bool is_cut = time_ < daemon.cut_until;
  if (!daemon.writes && time_ >= daemon.writes_at && !is_cut) {
    const Standing::Now now = daemon.standing->now();
    daemon.writes_at = time_ + kStep + random_millis(std::chrono::seconds(1));
    const auto row = cluster_.members.find(now.token);
    if (now.token.empty() || row == cluster_.members.end()) return;
    if (row->second.fenced) return daemon.standing->found_fenced(now.token);
    row->second.is_writing = true;
    daemon.writes = now;
    daemon.commits_at = time_ + random_millis(kLongestCommit);
  }
  if (!daemon.writes || time_ < daemon.commits_at) return;
  FakeCluster::Row& row = cluster_.members[daemon.writes->token];
  const bool is_rolled_back = !row.is_writing || is_cut;  // by the server, while the daemon was stopped
  row.is_writing = false;
  const Standing::Now wrote = *std::exchange(daemon.writes, std::nullopt);
  if (is_rolled_back) return;
  if (row.fenced) complain(daemon.name + " records though it is fenced");
  for (std::size_t p = 0; p < kPartitions; ++p) {
    if (wrote.records.test(p) && cluster_.owner[p] != wrote.token && !cluster_.owner[p].empty())
      complain(daemon.name + " records for a partition of another daemon");
  }
  daemon.standing->committed(wrote);
}

void Churn::hear(Daemon& daemon) {
  for (const Fact& fact : daemon.standing->wait(Millis(0))) {
    if (const auto* ours = std::get_if<PartitionsOwned>(&fact)) {
      daemon.owned |= ours->partitions;
      moves_ += static_cast<int>(ours->partitions.count());
      for (std::size_t p = 0; p < kPartitions; ++p) {
        if (ours->partitions.test(p)) daemon.in_order_from[p] = time_ + ours->ordered_after;
      }
    }
    if (const auto* lost = std::get_if<PartitionsLost>(&fact)) {
      daemon.owned &= ~lost->partitions;
      daemon.letting_go |= lost->partitions;
      for (std::size_t p = 0; p < kPartitions; ++p) {
        if (lost->partitions.test(p))
          daemon.lets_go_at[p] = time_ + (lost->abort ? Millis(0) : random_millis(kLongestRequest));
      }
    }
  }
}

// Of those that are stopped or cut off; and what they left open is rolled back.
void Churn::end_silent_sessions() {
  for (const auto& daemon : daemons_) {
    if (time_ < daemon->heard_from + kSilence) continue;
    cluster_.end_session(daemon->session);
    if (daemon->writes) cluster_.members[daemon->writes->token].is_writing = false;
  }
  std::erase_if(lost_sessions_, [this](const auto& lost) { return time_ >= lost.first + kSilence; });
}

void Churn::check() {
  PartitionSet senders, in_order;
  for (const auto& daemon : daemons_) {
    if (daemon->is_stopped(time_) || !daemon->standing->may_send()) continue;
    senders |= daemon->owned;
    for (std::size_t p = 0; p < kPartitions; ++p) {
      if (!daemon->owned.test(p) || time_ < daemon->in_order_from[p]) continue;
      if (in_order.test(p)) complain("two send what is in order");
      in_order.set(p);
    }
  }
  for (std::size_t p = 0; p < kPartitions; ++p) {
    std::optional<BootTime>& since = without_sender_[p];
    if (senders.test(p) && since)
      gaps_.push_back(std::chrono::ceil<Millis>(time_ - *std::exchange(since, std::nullopt)));
    if (!senders.test(p) && !since) since = time_;
  }
}

void Churn::complain(const std::string& what) {
  if (broken_.size() < kFewBroken) broken_.push_back(what + " at " + std::to_string(time_.count()));
}

}  // namespace outboxd::postgresql
