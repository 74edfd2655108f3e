// The real scheduler against a simulated disk, network and clock: random arrivals, failures, slow commits and
// slow fetches, restarts, pauses, discards and replays. Checked at every step: nothing is sent twice at a
// time, no limit is exceeded, nothing ends without a reason; at the end: every delivery has left `pending`.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <set>

#include "delivery/scheduler.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

constexpr int kEndpoints = 6;
constexpr int kMaxInFlight = 12;

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    for (EndpointSeq seq = 1; seq <= kEndpoints; ++seq) {
      auto endpoint = std::make_shared<Endpoint>();
      endpoint->seq = seq;
      if (chance(0.5)) endpoint->max_in_flight = 1 + pick(4);
      endpoints_[seq] = endpoint;
      failure_rate_[seq] = seq == 1 ? 0.9 : 0.1 * pick(5);
    }
    start();
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      disturb();
      advance(Millis(pick(400)));
    }
    for (auto& [seq, rate] : failure_rate_) rate = 0;
    for (const auto& [seq, endpoint] : endpoints_) set_state(seq, EndpointState::kActive);
    for (int step = 0; step < 20'000 && pending() > 0; ++step) advance(1s);
    CHECK(pending() == 0);
    CHECK(sends_ > 0);
  }

 private:
  struct Row {
    DueDelivery delivery;
    DeliveryState state = DeliveryState::kPending;
  };

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  int pick(int below) { return std::uniform_int_distribution<>(0, below - 1)(random_); }
  void later(Millis wait, std::function<void()> what) { todo_.emplace(now_ + wait, std::move(what)); }
  std::size_t pending() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        disk_, [](const auto& row) { return row.second.state == DeliveryState::kPending; }));
  }

  void start() {
    scheduler_ = std::make_unique<Scheduler>(Scheduler::Options{.max_in_flight = kMaxInFlight,
                                                                .retry_schedule = {0s, 1s, 5s, 30s},
                                                                .window = 4,
                                                                .max_held = 20,
                                                                .max_held_bytes = 200,
                                                                .max_fetches = 3,
                                                                .seed = random_()});
    for (const auto& [seq, endpoint] : endpoints_) scheduler_->put_endpoint(endpoint);
  }
  // kill -9: what was in memory and under way is gone, what was committed stays.
  void crash() {
    todo_.clear();
    sending_.clear();
    start();
  }

  void disturb() {
    if (chance(0.6)) {
      for (int n = pick(6); n > 0; --n) accept(1 + pick(kEndpoints));
    }
    if (chance(0.01)) crash();
    if (chance(0.02))
      set_state(1 + pick(kEndpoints), chance(0.5) ? EndpointState::kPaused : EndpointState::kActive);
    if (disk_.empty() || !chance(0.05)) return;
    auto& [key, row] = *std::next(disk_.begin(), pick(static_cast<int>(disk_.size())));
    if (row.state == DeliveryState::kPending) {
      row.state = DeliveryState::kDiscarded;
      later(Millis(0), [this, k = key] { scheduler_->withdraw(k); });
    } else {
      row.state = DeliveryState::kPending;
      row.delivery.attempts = 0;
      row.delivery.due_at = now_;
      later(Millis(0), [this, k = key, due = now_] { scheduler_->wake(k.endpoint, due); });
    }
  }

  void set_state(EndpointSeq seq, EndpointState state) {
    auto changed = std::make_shared<Endpoint>(*endpoints_[seq]);
    changed->state = state;
    endpoints_[seq] = changed;
    scheduler_->put_endpoint(changed);
  }

  void accept(EndpointSeq endpoint) {
    auto event = std::make_shared<Event>();
    event->seq = next_event_++;
    event->priority = pick(10);
    event->payload = std::string(static_cast<std::size_t>(pick(40)), 'x');
    const DueDelivery delivery{.key = {event->seq, endpoint},
                               .due_at = now_ + (chance(0.1) ? Millis(pick(5000)) : 0s),
                               .created_at = now_,
                               .event = event};
    disk_[delivery.key] = {delivery};
    later(Millis(pick(20)),
          [this, delivery] { scheduler_->offer(delivery, now_); });  // the commit's completion
  }

  void advance(Millis by) {
    const Time until = now_ + by;
    act();
    while (!todo_.empty() && todo_.begin()->first <= until) {
      now_ = std::max(now_, todo_.begin()->first);
      auto node = todo_.extract(todo_.begin());
      node.mapped()();
      act();
    }
    now_ = until;
    act();
  }

  void act() {
    Decisions decisions = scheduler_->next(now_);
    for (const auto& fetch : decisions.fetch) {
      later(Millis(pick(30)), [this, fetch] { read(fetch); });
    }
    for (const auto& next : decisions.send) send(next);
    for (const auto& outcome : decisions.record) commit(outcome);
    CHECK(static_cast<int>(sending_.size()) <= kMaxInFlight);
    CHECK(scheduler_->in_flight() == static_cast<int>(sending_.size()));
  }

  void read(const Decisions::Fetch& fetch) {
    DueWindow found;
    std::map<WindowOrder, DueDelivery> due;
    std::optional<Time> next;
    for (const auto& [key, row] : disk_) {
      if (key.endpoint != fetch.endpoint || row.state != DeliveryState::kPending) continue;
      if (row.delivery.due_at <= now_) {
        due[{row.delivery.event->priority, row.delivery.due_at, key.event}] = row.delivery;
      } else if (!next || row.delivery.due_at < *next) {
        next = row.delivery.due_at;
      }
    }
    for (const auto& [order, delivery] : due) {
      if (static_cast<int>(found.deliveries.size()) == fetch.limit) {
        next = now_;
        break;
      }
      found.deliveries.push_back(delivery);
    }
    found.next_due = next;
    later(Millis(pick(30)),
          [this, endpoint = fetch.endpoint, found] { scheduler_->fetched(endpoint, found, now_); });
  }

  void send(const Decisions::Send& next) {
    const DeliveryKey key = next.delivery.key;
    ++sends_;
    CHECK(sending_.insert(key).second);
    CHECK(endpoints_[key.endpoint]->state == EndpointState::kActive);
    if (const auto limit = endpoints_[key.endpoint]->max_in_flight) {
      CHECK(std::ranges::count_if(sending_, [&](DeliveryKey k) { return k.endpoint == key.endpoint; }) <=
            *limit);
    }
    later(Millis(1 + pick(2000)), [this, key, attempts = next.delivery.attempts] {
      sending_.erase(key);
      const bool fails = chance(failure_rate_[key.endpoint]);
      const int status = fails ? (chance(0.2) ? 503 : 500) : 200;
      auto ended = scheduler_->attempt_ended(
          key, {fails ? Outcome::kHttp5xx : Outcome::kSuccess, status, {}, ""}, now_);
      commit(ended.record);
    });
  }

  void commit(const RecordOutcome& outcome) {
    later(Millis(pick(200)), [this, outcome] {
      Row& row = disk_.at(outcome.key);
      if (row.state == DeliveryState::kPending) {
        row.state = outcome.state;
        row.delivery.due_at = outcome.due_at;
        ++row.delivery.attempts;
        if (outcome.state == DeliveryState::kDead) CHECK(outcome.reason);
      }
      later(Millis(pick(20)), [this, key = outcome.key] { scheduler_->recorded(key); });
    });
  }

  std::mt19937_64 random_;
  Time now_ = from_unix_millis(1'785'000'000'000);
  std::multimap<Time, std::function<void()>> todo_;
  std::map<EndpointSeq, EndpointPtr> endpoints_;
  std::map<EndpointSeq, double> failure_rate_;
  std::map<DeliveryKey, Row> disk_;
  std::set<DeliveryKey> sending_;
  std::unique_ptr<Scheduler> scheduler_;
  EventSeq next_event_ = 1;
  std::int64_t sends_ = 0;
};

}  // namespace

TEST_CASE("whatever happens, every delivery ends and no limit is exceeded") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Simulation(seed).run(400);
  }
}
