#include "simulation/world.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <random>
#include <sstream>

#include "delivery/scheduler.h"
#include "simulation/store_model.h"

namespace outboxd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr int kMaxInFlight = 32;
constexpr int kMaxHeld = 160;
constexpr std::size_t kMaxHeldBytes = 4000;
constexpr int kWindow = 8;
constexpr int kMaxFetches = 4;
constexpr int kMaxExpired = 8;
constexpr Millis kTimeout = 5s;       // of an attempt
constexpr Millis kOperatorRace = 1s;  // within this, the scheduler hears of what an operator does
// How long a due delivery may wait for its attempt at an endpoint that answers promptly, while everything around it
// fails; the second bound is for an endpoint of which nothing is known yet, as after a start.
constexpr Millis kHealthyBound = 5s;
constexpr Millis kUnprovenBound = 90s;
// The same for a low priority, at an endpoint that gets more than it can take.
constexpr Millis kStarvationBound = 20s;
// How long a delivery may outlive its expiry, whatever holds it back. One that is being sent may end otherwise.
constexpr Millis kExpiryBound = 4s;
constexpr std::size_t kRemembered = 256;  // finished deliveries, for an operator to replay

const std::vector<Millis> kSchedule = {0s, 1s, 5s, 30s};

enum class Kind {
  kControl,
  kHealthy,
  kSlow,
  kHanging,
  kFailing,
  kFlapping,
  kLimiting,
  kOverloaded,
  kOrdered,
  kSkipping,
  kPaced,
  kCount
};

struct Subscriber {
  EndpointPtr endpoint;
  EndpointPtr told;  // as the scheduler was last told
  Kind kind = Kind::kHealthy;
  bool removed = false;
  bool gone_told = false;
  // what the checks remember
  int in_flight = 0;
  std::set<std::string> keys_in_flight;
  int failures = 0;      // in a row
  int life = 0;          // counts new beginnings: another receiver, or back in service
  int probes = 0;        // requests under way that were sent with the breaker open, in this life
  bool refused = false;  // by the address policy, the last time
  MonotonicTime closed_until{};
  MonotonicTime asked_until{};
  MonotonicTime even{};  // when the next send at exactly the rate is due
  std::optional<MonotonicTime> failing_from;
  std::optional<MonotonicTime> answered;  // when first, in this life of the daemon
  bool began_failing = false;             // it was failing at the start of this life, as stored
  bool flapped = false;
  std::deque<MonotonicTime> recent;  // kLimiting: the requests it counts
};

struct Ended {
  DeliveryKey key;
  bool in_breaker = false;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    const int extra = pick(14);
    const int count = static_cast<int>(Kind::kCount) + extra;
    for (int i = 0; i < count; ++i) {
      auto kind = static_cast<Kind>(i);
      if (i >= static_cast<int>(Kind::kCount))
        kind = chance(0.5) ? Kind::kHanging : static_cast<Kind>(1 + pick(static_cast<int>(Kind::kCount) - 1));
      if (i >= static_cast<int>(Kind::kCount) && kind == Kind::kFlapping)
        kind = Kind::kHanging;  // see kHealthyBound
      add_subscriber(kind);
    }
    start();
  }

  Report run(std::int64_t steps) {
    schedule_arrival();
    schedule_disturbance();
    while (report_.steps < steps) step();
    heal();
    return report_;
  }

 private:
  // ---- time and chance

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  int pick(int below) { return std::uniform_int_distribution<>(0, below - 1)(random_); }
  Millis some(Millis most) { return Millis(pick(static_cast<int>(most.count()) + 1)); }
  Time wall() const { return Time(wall_offset_ + std::chrono::floor<Millis>(mono_.time_since_epoch())); }
  Moment now() const { return {wall(), mono_}; }
  [[noreturn]] void fail(const std::string& what, std::optional<DeliveryKey> key = {}) const {
    std::ostringstream text;
    text << what << ", at step " << report_.steps << ", " << mono_.time_since_epoch() / 1ms << " ms";
    if (key) {
      text << ", event " << key->event << ", endpoint " << key->endpoint << " of kind "
           << static_cast<int>(subscribers_.at(static_cast<std::size_t>(key->endpoint) - 1).kind);
    }
    throw Violation(text.str());
  }
  void require(bool holds, const char* what, std::optional<DeliveryKey> key = {}) const {
    if (!holds) fail(what, key);
  }

  struct Happening {
    MonotonicTime at;
    std::uint64_t order;
    bool outlives_crash;
    std::function<void()> what;
    bool operator<(const Happening& other) const {  // for a heap with the earliest on top
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  void later(Millis wait, std::function<void()> what, bool outlives_crash = false) {
    at(mono_ + wait, std::move(what), outlives_crash);
  }
  void at(MonotonicTime when, std::function<void()> what, bool outlives_crash = false) {
    todo_.push_back({when, ++order_, outlives_crash, std::move(what)});
    std::ranges::push_heap(todo_, std::less<>());
  }

  void step() {
    require(!todo_.empty(), "nothing will ever happen again");
    std::ranges::pop_heap(todo_, std::less<>());
    Happening happening = std::move(todo_.back());
    todo_.pop_back();
    mono_ = std::max(mono_, happening.at);
    newest_wall_ = std::max(newest_wall_, wall());
    happening.what();
    act();
  }

  // ---- the daemon's life

  void start() {
    scheduler_ = std::make_unique<Scheduler>(Scheduler::Options{.max_in_flight = kMaxInFlight,
                                                                .max_in_flight_per_endpoint = 8,
                                                                .retry_schedule = kSchedule,
                                                                .window = kWindow,
                                                                .max_held = kMaxHeld,
                                                                .max_held_bytes = kMaxHeldBytes,
                                                                .max_fetches = kMaxFetches,
                                                                .max_expired = kMaxExpired,
                                                                .max_sends = 3,
                                                                .seed = random_()});
    wake_for_.reset();
    last_commit_ = began_ = mono_;
    newest_wall_ = wall();
    for (auto& subscriber : subscribers_) {
      if (!subscriber.removed) tell(subscriber, subscriber.endpoint, true);
    }
  }

  void tell(Subscriber& subscriber, const EndpointPtr& endpoint, bool starting = false) {
    const bool inactive =
        subscriber.told && (subscriber.told->state != EndpointState::kActive || subscriber.gone_told);
    const bool resumed = !starting && inactive && endpoint->state == EndpointState::kActive;
    subscriber.gone_told = false;
    const bool moved = !starting && subscriber.told && subscriber.told->url != endpoint->url;
    if (subscriber.told && subscriber.told->rate_limit != endpoint->rate_limit) subscriber.even = {};
    subscriber.told = endpoint;
    subscriber.closed_until = {};
    if (resumed || moved) {
      ++subscriber.life;
      subscriber.probes = 0;
      subscriber.refused = false;
      subscriber.failures = 0;
      subscriber.asked_until = {};
      subscriber.failing_from.reset();
      subscriber.began_failing = false;
    }
    scheduler_->put_endpoint(endpoint, now());
  }

  // kill -9: what was in memory and under way is lost, what was committed stays.
  void crash() {
    ++report_.crashes;
    std::erase_if(todo_, [](const Happening& h) { return !h.outlives_crash; });
    std::ranges::make_heap(todo_, std::less<>());
    sending_.clear();
    recording_.clear();
    waiting_since_.clear();
    for (auto& s : subscribers_) {
      s.in_flight = s.probes = 0;
      s.keys_in_flight.clear();
      s.failures = s.endpoint->failing_since ? kTripAfter : 0;
      s.closed_until = s.asked_until = s.even = {};
      s.refused = false;
      s.failing_from.reset();
      s.answered.reset();
      s.began_failing = s.endpoint->failing_since.has_value();
    }
    start();
    store_.for_each_pending([this](const Row& row) { expect_soon(row.delivery); });
  }

  void act() {
    ++report_.steps;
    Decisions decisions = scheduler_->next(now());
    for (const auto& fetch : decisions.fetch) {
      ++fetching_;
      later(some(20ms), [this, fetch] { read(fetch); });
    }
    for (const auto& sent : decisions.send) send(sent);
    for (const auto& unsent : decisions.unsent) {
      check_unsent(unsent);
      commit_outcome(unsent.record, false);
    }
    if (decisions.find_expired) {
      later(some(20ms), [this, wanted = *decisions.find_expired] { find_expired(wanted); });
    }
    require(scheduler_->in_flight() == static_cast<int>(sending_.size()), "in_flight() is wrong");
    const int slack = kMaxFetches * 4 * kWindow;
    require(scheduler_->held() - scheduler_->in_flight() <= kMaxHeld + slack,
            "more deliveries in memory than allowed");
    require(scheduler_->held_bytes() <= kMaxHeldBytes + static_cast<std::size_t>(slack) * 40,
            "more bytes in memory than allowed");
    if (decisions.wake_at && (!wake_for_ || *decisions.wake_at < *wake_for_)) {
      wake_for_ = std::max(*decisions.wake_at, mono_);
      at(*wake_for_, [this, when = *wake_for_] {
        if (wake_for_ == when) wake_for_.reset();
      });
    }
    if (report_.steps % 64 == 0) {
      check_waiting();
      check_expiry();
    }
  }

  // ---- the store

  // Commits happen one after another, in the order of submission; their completions follow a little later, in order.
  void commit(std::function<void()> change, std::function<void()> completion) {
    const Millis slow = chance(0.01) ? some(300ms) : some(5ms);
    last_commit_ = std::max(last_commit_, mono_) + slow;
    at(last_commit_, [this, change = std::move(change), completion = std::move(completion)]() mutable {
      change();
      last_completion_ = std::max(last_completion_, mono_) + some(2ms);
      at(last_completion_, std::move(completion));
    });
  }

  void read(const Decisions::Fetch& fetch) {
    const Time when = wall();
    auto found = std::make_shared<DueWindow>(store_.due(fetch.endpoint, when, fetch.limit, fetch.held));
    later(some(chance(0.02) ? 200ms : 20ms), [this, endpoint = fetch.endpoint, found] {
      --fetching_;
      scheduler_->fetched(endpoint, std::move(*found), now());
    });
  }

  void find_expired(const Decisions::FindExpired& wanted) {
    auto found =
        std::make_shared<std::vector<DueDelivery>>(store_.expired(wall(), wanted.after, wanted.limit));
    later(some(chance(0.02) ? 200ms : 20ms),
          [this, found] { scheduler_->expired(std::move(*found), now()); });
  }

  void expect_soon(const DueDelivery& d) {
    const Subscriber& s = of(d.key);
    if (s.kind == Kind::kControl) waiting_since_[d.key] = mono_;
    if (s.kind == Kind::kOverloaded && d.event->priority < 5) waiting_since_[d.key] = mono_;
  }

  // Measured from the last start of the daemon or step of the clock, because nobody could know of it before.
  void check_expiry() const {
    const Millis patience = std::chrono::floor<Millis>(mono_ - began_) - kExpiryBound;
    if (patience < 0ms) return;
    for (const auto& d : store_.expired(wall() - kExpiryBound, {}, 1000)) {
      if (sending_.contains(d.key) || recording_.contains(d.key) || of(d.key).removed) continue;
      fail("a delivery outlives its expiry", d.key);
    }
  }

  void check_waiting() {
    for (const auto& [key, since] : waiting_since_) {
      const Subscriber& s = of(key);
      const Time due = store_.due_of(store_.at(key));
      if (s.removed || due > wall()) continue;
      // Counts from the last step of the clock at the earliest: before it the delivery may not have been due.
      const MonotonicTime waits =
          std::max({since, mono_ - (wall() - due), s.answered.value_or(since), began_});
      const bool overloaded = s.kind == Kind::kOverloaded;
      const Millis bound = !s.answered ? kUnprovenBound : overloaded ? kStarvationBound : kHealthyBound;
      if (mono_ - waits > bound)
        fail(overloaded ? "a low priority starves" : "a healthy lane waits too long", key);
    }
  }

  void remember(DeliveryKey key) {
    finished_.push_back(key);
    if (finished_.size() > kRemembered) finished_.pop_front();
  }

  // As the writer does with times that were decided before the clock was set back.
  Time reckoned(Time due, Time at) const { return due - std::max(at - wall(), Millis(0)); }

  void commit_outcome(const RecordOutcome& outcome, bool attempted) {
    const auto fact = std::make_shared<OutcomeRecorded>(OutcomeRecorded{.key = outcome.key});
    recording_.insert(outcome.key);
    commit([this, outcome, fact, attempted] { apply_outcome(outcome, attempted, *fact); },
           [this, fact] {
             recording_.erase(fact->key);
             scheduler_->hear(*fact, now());
           });
  }

  void apply_outcome(const RecordOutcome& outcome, bool attempted, OutcomeRecorded& fact) {
    Row* row = store_.find(outcome.key);
    if (row == nullptr || row->state != DeliveryState::kPending) return;  // an operator was faster
    if (attempted) ++row->delivery.attempts, ++row->delivery.attempts_ever;
    const bool overruled = outcome.reason == DeadReason::kExpired && !row->delivery.expires_at;
    if (overruled && !attempted) {
      fact.due_in = Millis(0);
      return;
    }
    if (outcome.state == DeliveryState::kPending || overruled) {
      store_.postpone(outcome.key, reckoned(outcome.at + outcome.due_in, outcome.at));
      fact.due_in = store_.due_of(*row) - wall();
      return;
    }
    fact.promoted = store_.leave_pending(outcome.key, outcome.state);
    ++(outcome.state == DeliveryState::kDead ? report_.dead : report_.delivered);
    waiting_since_.erase(outcome.key);
    remember(outcome.key);
  }

  // ---- producers

  void add_subscriber(Kind kind) {
    auto e = std::make_shared<Endpoint>();
    e->seq = static_cast<EndpointSeq>(subscribers_.size()) + 1;
    if (chance(0.3) && kind != Kind::kControl) e->max_in_flight = 1 + pick(4);
    if (chance(0.3)) e->retry_schedule = std::vector<Millis>{0s, 300ms, 2s};
    switch (kind) {
      case Kind::kFlapping:
        e->max_in_flight = 2;
        break;
      case Kind::kOverloaded:
        e->max_in_flight = 1;
        break;
      case Kind::kOrdered:
        e->ordering = chance(0.7) ? Ordering::kKey : Ordering::kEndpoint;
        break;
      case Kind::kSkipping:
        e->ordering = Ordering::kKey;
        e->on_failure_in_order = OnFailureInOrder::kSkip;
        break;
      case Kind::kPaced:
        e->rate_limit = chance(0.5) ? RateLimit{20, 1s} : RateLimit{40, 1min};
        break;
      default:
        break;
    }
    Subscriber& added = subscribers_.emplace_back();
    added.endpoint = e;
    added.kind = kind;
  }

  Subscriber& of(DeliveryKey key) { return subscribers_[static_cast<std::size_t>(key.endpoint) - 1]; }
  const Subscriber& of(DeliveryKey key) const {
    return subscribers_[static_cast<std::size_t>(key.endpoint) - 1];
  }

  void schedule_arrival() {
    later(
        Millis(1 + pick(30)),
        [this] {
          if (healing_) return;
          const int n = chance(0.02) ? 20 : 1;
          Subscriber& s =
              chance(0.25)
                  ? overloaded()
                  : subscribers_[static_cast<std::size_t>(pick(static_cast<int>(subscribers_.size())))];
          for (int i = 0; i < n; ++i) accept(s);
          schedule_arrival();
        },
        true);
  }

  Subscriber& overloaded() { return subscribers_[static_cast<std::size_t>(Kind::kOverloaded)]; }

  void accept(Subscriber& s) {
    if (s.removed) return;
    auto event = std::make_shared<Event>();
    event->seq = next_event_++;
    event->priority = s.kind == Kind::kOverloaded ? (chance(0.02) ? pick(5) : 9) : chance(0.3) ? pick(10) : 5;
    event->payload.assign(static_cast<std::size_t>(pick(40)), 'x');
    event->created_at = wall();
    if (s.endpoint->ordering != Ordering::kNone && chance(0.9))
      event->ordering_key = std::string(1, static_cast<char>('a' + pick(3)));
    const bool plain = s.kind == Kind::kControl || s.kind == Kind::kOverloaded;
    if (s.kind != Kind::kOverloaded && chance(0.05))
      event->deliver_at = wall() + some(chance(0.5) ? 5s : 600s);
    if (!plain && chance(0.1)) event->expires_at = not_before(*event) + some(chance(0.5) ? 2s : 60s);
    DueDelivery delivery{.key = {event->seq, s.endpoint->seq},
                         .due_at = not_before(*event),
                         .created_at = event->created_at,
                         .sequence_key = sequence_key_of(s.endpoint->ordering, event->ordering_key),
                         .expires_at = event->expires_at,
                         .event = event};
    const auto ready = std::make_shared<std::optional<DeliveryReady>>();
    commit(
        [this, delivery, ready] {
          if (of(delivery.key).removed) return;
          DueDelivery stored = delivery;
          stored.due_at = reckoned(delivery.due_at, delivery.created_at);
          stored.due_in = stored.due_at - wall();
          if (store_.insert(stored)) *ready = DeliveryReady{std::move(stored)};
          ++report_.accepted;
          expect_soon(delivery);
        },
        [this, ready] {
          if (*ready) scheduler_->hear(std::move(**ready), now());
        });
  }

  // ---- subscribers

  struct Answer {
    Outcome outcome = Outcome::kSuccess;
    int status = 200;
    std::optional<std::string> retry_after;
    Millis took{0};
  };

  Answer quick(int status) {
    const Outcome outcome = status < 300   ? Outcome::kSuccess
                            : status < 500 ? Outcome::kHttp4xx
                                           : Outcome::kHttp5xx;
    return {outcome, status, {}, 1ms + some(40ms)};
  }

  Answer answer(Subscriber& s) {
    if (healing_) return quick(200);
    switch (s.kind) {
      case Kind::kSlow:
        return {Outcome::kSuccess, 200, {}, 1s + some(3s)};
      case Kind::kHanging:
        return {Outcome::kTimeout, 0, {}, kTimeout};
      case Kind::kFailing:
        if (chance(0.02)) return quick(410);
        if (chance(0.1)) return {Outcome::kBlocked, 0, {}, 0ms};
        return quick(chance(0.5) ? 500 : chance(0.3) ? 400 : chance(0.3) ? 503 : 200);
      case Kind::kFlapping:
        if (chance(0.02)) s.flapped = !s.flapped;
        return s.flapped ? (chance(0.5) ? Answer{Outcome::kTimeout, 0, {}, kTimeout} : quick(502))
                         : quick(200);
      case Kind::kLimiting: {
        while (!s.recent.empty() && s.recent.front() + 1s <= mono_) s.recent.pop_front();
        s.recent.push_back(mono_);
        if (s.recent.size() <= 5) return quick(200);
        Answer refused = quick(chance(0.5) ? 429 : 503);
        refused.retry_after = std::to_string(1 + pick(20));
        return refused;
      }
      case Kind::kOrdered:
      case Kind::kSkipping:
        return quick(chance(0.2) ? 500 : 200);
      case Kind::kOverloaded:
        return {Outcome::kSuccess, 200, {}, 80ms + some(80ms)};
      default:
        return quick(200);
    }
  }

  static std::vector<Millis> schedule_of(const Subscriber& s) {
    return s.told->retry_schedule.value_or(kSchedule);
  }

  void check_unsent(const Decisions::Unsent& unsent) const {
    const DueDelivery& d = unsent.delivery;
    const bool over = d.expires_at && *d.expires_at <= wall();
    require(over || unsent.record.state == DeliveryState::kPending, "expired before its time", d.key);
    require(over || d.event->deliver_at.value_or(wall()) > wall(), "put off without a reason", d.key);
    require(!sending_.contains(d.key), "expired while it is being sent", d.key);
    require(!recording_.contains(d.key), "expired twice, or what had its outcome", d.key);
    const Row* row = store_.find(d.key);
    require(row == nullptr || row->state == DeliveryState::kPending || is_racing(d.key),
            "expired what had ended", d.key);
  }

  // An operator touched it a moment ago, and the scheduler may not have heard of that yet.
  bool is_racing(DeliveryKey key) const {
    const auto touched = touched_.find(key);
    return touched != touched_.end() && touched->second + kOperatorRace >= mono_;
  }

  void check_send(const Subscriber& s, const DueDelivery& d) const {
    const Row* row = store_.find(d.key);
    require(row != nullptr, "sent what does not exist", d.key);
    const bool racing = is_racing(d.key);
    require(row->state == DeliveryState::kPending || racing, "sent what is not pending", d.key);
    require(!sending_.contains(d.key), "sent twice at a time", d.key);
    require(static_cast<int>(sending_.size()) < kMaxInFlight, "more in flight than allowed", d.key);
    require(s.in_flight < s.told->max_in_flight.value_or(8), "more in flight to an endpoint than it allows",
            d.key);
    require(s.told->state == EndpointState::kActive && !s.gone_told, "sent to an endpoint that is not active",
            d.key);
    require(racing || store_.due_of(*row) <= newest_wall_, "sent before it was due", d.key);
    require(d.event->deliver_at.value_or(wall()) <= wall(), "sent before its deliver_at", d.key);
    require(d.expires_at.value_or(wall() + 1ms) > wall(), "sent after its expiry", d.key);
    require(d.attempts < static_cast<int>(schedule_of(s).size()), "more attempts than the schedule has",
            d.key);
    if (d.sequence_key) {
      require(!s.keys_in_flight.contains(*d.sequence_key), "two of one sequence key at a time", d.key);
      require(racing || key_touched(d) || store_.is_head(*row), "sent out of order", d.key);
    }
    require(mono_ >= s.asked_until, "sent before the time that Retry-After asked for", d.key);
    if (s.failures >= kTripAfter) {
      require(s.probes == 0, "two probes at a time", d.key);
      require(mono_ >= s.closed_until, "probed before the pause was over", d.key);
    }
    if (s.told->rate_limit) {
      const RateBucket bucket(*s.told->rate_limit);
      const auto interval = std::chrono::nanoseconds(s.told->rate_limit->per) / s.told->rate_limit->count;
      require(mono_ + interval * (bucket.burst() - 1) >= s.even, "sent faster than the rate limit", d.key);
    }
  }

  // An operator replayed or discarded another delivery of its sequence key a moment ago.
  bool key_touched(const DueDelivery& d) const {
    const auto it = key_touched_.find({d.key.endpoint, *d.sequence_key});
    return it != key_touched_.end() && it->second + kOperatorRace >= mono_;
  }

  void send(const Decisions::Send& sent) {
    const DueDelivery& d = sent.delivery;
    Subscriber& s = of(d.key);
    check_send(s, d);
    ++report_.attempts;
    ++s.in_flight;
    sending_.insert(d.key);
    waiting_since_.erase(d.key);
    if (d.sequence_key) s.keys_in_flight.insert(*d.sequence_key);
    const bool probe = s.failures >= kTripAfter;
    s.probes += probe;
    // Every failed probe is followed by a pause, so probes are at least the shortest pause apart.
    if (probe) s.closed_until = mono_ + std::min<Millis>(1s, std::ranges::max(schedule_of(s))) * 9 / 10;
    if (s.told->rate_limit) {
      s.even = std::max(s.even, mono_) +
               std::chrono::nanoseconds(s.told->rate_limit->per) / s.told->rate_limit->count;
    }
    const Answer a = answer(s);
    later(a.took, [this, d, a, probe, life = s.life, url = s.told->url] { ended(d, a, probe, life, url); });
  }

  void ended(const DueDelivery& d, const Answer& a, bool probe, int life, const std::string& url) {
    Subscriber& s = of(d.key);
    const bool former = s.told->url != url || (s.removed && s.gone_told);
    --s.in_flight;
    if (life == s.life) s.probes -= probe;
    sending_.erase(d.key);
    if (d.sequence_key) s.keys_in_flight.erase(*d.sequence_key);
    if (a.took < kSlow && !s.answered) s.answered = mono_;
    const Scheduler::Ended result =
        scheduler_->attempt_ended(d.key, {a.outcome, a.status, a.retry_after, "", a.took}, now());
    const std::vector<Millis> schedule = schedule_of(s);
    if (former) {
      require(!result.disable && !result.failing_since && !result.recovered,
              "what a former receiver answered changes the endpoint", d.key);
    } else if (a.outcome == Outcome::kSuccess) {
      s.failures = 0;
      s.closed_until = {};
      s.failing_from.reset();
    } else {
      ++s.failures;
      if (!s.failing_from) s.failing_from = mono_;
      if (a.retry_after) {
        s.asked_until = std::max(s.asked_until, mono_ + std::chrono::seconds(std::stoi(*a.retry_after)));
      }
    }
    if (!former) s.refused = a.outcome == Outcome::kBlocked;
    check_verdict(d, a, former, result, schedule);
    if (result.failing_since) store_failing_since(s, *result.failing_since);
    if (result.disable) disable(s, *result.disable);
    commit_outcome(result.record, true);
  }

  void check_verdict(const DueDelivery& d, const Answer& a, bool former, const Scheduler::Ended& result,
                     const std::vector<Millis>& schedule) {
    const RecordOutcome& r = result.record;
    const Subscriber& s = of(d.key);
    const auto made = static_cast<std::size_t>(d.attempts) + 1;
    if (a.outcome == Outcome::kSuccess)
      return require(r.state == DeliveryState::kDelivered, "a success is not delivered", d.key);
    require(r.state != DeliveryState::kDelivered, "a failure is delivered", d.key);
    const bool skips = d.sequence_key && s.told->on_failure_in_order == OnFailureInOrder::kSkip;
    require(!skips || (a.status == 410 && !former) || r.reason == DeadReason::kSkipped, "not skipped", d.key);
    if (r.state == DeliveryState::kDead) {
      require(r.reason.has_value(), "dead without a reason", d.key);
      require(r.reason != DeadReason::kGone || !former, "gone, by the word of a former receiver", d.key);
      const bool blocked = a.outcome == Outcome::kBlocked;
      require(r.reason != (blocked ? DeadReason::kExhausted : DeadReason::kBlocked),
              "dead for another reason", d.key);
      if (r.reason == DeadReason::kExhausted || r.reason == DeadReason::kBlocked)
        require(made >= schedule.size(), "dead before its schedule was used up", d.key);
      if (r.reason == DeadReason::kSkipped) require(skips, "skipped without need", d.key);
      return;
    }
    require(made < schedule.size(), "pending after the last attempt", d.key);
    const Millis wait = schedule[made];
    const Millis asked =
        a.retry_after && !former ? Millis(std::chrono::seconds(std::stoi(*a.retry_after))) : 0ms;
    require(r.due_in >= std::max(asked, wait * 9 / 10), "retried before its schedule", d.key);
    require(r.due_in <= std::max(asked, wait * 11 / 10 + 1ms), "retried later than its schedule", d.key);
  }

  // ---- operators, and what outboxd itself does to endpoints

  void change(Subscriber& s, const std::function<void(Endpoint&)>& edit) {
    auto changed = std::make_shared<Endpoint>(*s.endpoint);
    edit(*changed);
    s.endpoint = changed;
    const auto index = static_cast<std::size_t>(changed->seq) - 1;
    later(1ms + some(50ms), [this, index] {
      Subscriber& now_told = subscribers_[index];
      if (now_told.removed) return;
      tell(now_told, now_told.endpoint);
    });
  }

  void store_failing_since(Subscriber& s, std::optional<Time> since) {
    commit(
        [this, seq = s.endpoint->seq, since] {
          auto stored = std::make_shared<Endpoint>(*subscribers_[static_cast<std::size_t>(seq) - 1].endpoint);
          stored->failing_since = since;
          subscribers_[static_cast<std::size_t>(seq) - 1].endpoint = stored;
        },
        [] {});
  }

  void disable(Subscriber& s, const std::string& reason) {
    require(reason == "gone" || !s.failing_from || mono_ - *s.failing_from >= 24h * 5 || s.began_failing,
            "disabled although it failed for less than five days");
    s.gone_told = true;
    change(s, [](Endpoint& e) { e.state = EndpointState::kDisabled; });
    if (healing_) resume(s);
  }

  void resume(Subscriber& s) {
    change(s, [](Endpoint& e) {
      e.state = EndpointState::kActive;
      e.failing_since.reset();
    });
  }

  void schedule_disturbance() {
    later(
        some(200ms),
        [this] {
          if (healing_) return;
          disturb();
          schedule_disturbance();
        },
        true);
  }

  void disturb() {
    if (chance(0.004)) return crash();
    if (chance(0.01)) return step_wall();
    Subscriber& s = subscribers_[static_cast<std::size_t>(pick(static_cast<int>(subscribers_.size())))];
    const bool left_alone = s.kind == Kind::kControl || s.kind == Kind::kOverloaded || s.removed;
    if (!left_alone && chance(0.05)) {
      const bool active = chance(0.6);
      return change(s, [active](Endpoint& e) {
        e.state = active ? EndpointState::kActive : EndpointState::kPaused;
        if (active) e.failing_since.reset();
      });
    }
    if (!left_alone && chance(0.02)) return change(s, [this](Endpoint& e) { e.max_in_flight = 1 + pick(6); });
    if (!left_alone && chance(0.03)) {
      return change(s, [this](Endpoint& e) {
        e.url = std::to_string(report_.steps);  // a new one each time
        e.failing_since.reset();
      });
    }
    if (!left_alone && chance(0.001)) return remove(s);
    if (chance(0.02)) return change_policy();
    if (!finished_.empty() && chance(0.3))
      return replay(finished_[static_cast<std::size_t>(pick(static_cast<int>(finished_.size())))]);
    if (chance(0.1)) discard_one(s);
  }

  void change_policy() {
    for (Subscriber& s : subscribers_) {
      if (s.refused) s.closed_until = {};
    }
    scheduler_->policy_changed(now());
  }

  void step_wall() {
    ++report_.clock_steps;
    constexpr std::array<Millis, 4> kSteps = {Millis(1h), Millis(-1h), Millis(24h * 400), Millis(-24h * 400)};
    const Millis by = kSteps[static_cast<std::size_t>(pick(4))];
    wall_offset_ += by;
    newest_wall_ = std::max(newest_wall_, wall());
    latest_wall_ = std::max({latest_wall_, wall(), wall() - by});
    began_ = mono_;
    if (by < Millis(0)) return store_.clock_set_back(-by);
    later(some(250ms), [this] { scheduler_->hear(DueTimesMoved{}); });  // as the store would find out
  }

  void remove(Subscriber& s) {
    s.removed = true;
    later(some(50ms), [this, seq = s.endpoint->seq] {
      subscribers_[static_cast<std::size_t>(seq) - 1].gone_told = true;
      scheduler_->drop_endpoint(seq);
    });
    later(
        51ms + some(500ms), [this, seq = s.endpoint->seq] { report_.discarded += store_.discard_all(seq); },
        true);
  }

  void replay(DeliveryKey key) {
    commit(
        [this, key] {
          Row* row = store_.find(key);
          if (row == nullptr || row->state == DeliveryState::kPending || of(key).removed) return;
          touch(row->delivery);
          const auto demoted = store_.make_pending(key, wall());
          expect_soon(row->delivery);
          later(some(5ms), [this, key, demoted] {
            if (demoted) scheduler_->hear(DeliveryWithdrawn{*demoted});
            of(key).closed_until = {};
            scheduler_->hear(DueOnDisk{key.endpoint, Millis(0), true}, now());
          });
        },
        [] {});
  }

  void discard_one(const Subscriber& s) {
    const DueWindow due = store_.due(s.endpoint->seq, wall(), 3);
    if (due.deliveries.empty()) return;
    const DueDelivery chosen =
        due.deliveries[static_cast<std::size_t>(pick(static_cast<int>(due.deliveries.size())))];
    commit(
        [this, chosen] {
          Row* row = store_.find(chosen.key);
          if (row == nullptr || row->state != DeliveryState::kPending) return;
          touch(chosen);
          const bool promoted = store_.leave_pending(chosen.key, DeliveryState::kDiscarded);
          ++report_.discarded;
          waiting_since_.erase(chosen.key);
          remember(chosen.key);
          later(some(5ms), [this, key = chosen.key, promoted] {
            scheduler_->hear(DeliveryWithdrawn{key});
            if (!promoted) return;
            of(key).closed_until = {};
            scheduler_->hear(DueOnDisk{key.endpoint, Millis(0), true}, now());
          });
        },
        [] {});
  }

  void touch(const DueDelivery& d) {
    touched_[d.key] = mono_;
    if (d.sequence_key) key_touched_[{d.key.endpoint, *d.sequence_key}] = mono_;
  }

  // ---- the end

  // Every endpoint answers, every paused one is resumed, nothing new comes in: every delivery must end.
  void heal() {
    healing_ = true;
    for (auto& s : subscribers_) {
      if (!s.removed) resume(s);
    }
    const std::int64_t last = report_.steps + 2'000'000;
    const MonotonicTime began = mono_;
    bool clock_is_right = false;
    while (store_.pending() > 0 || !sending_.empty()) {
      if (report_.steps > last || todo_.empty()) {
        std::optional<DeliveryKey> stranded;
        store_.for_each_pending([&](const Row& row) { stranded = row.delivery.key; });
        fail("a delivery is stranded", stranded);
      }
      // After the clock was set back, a deliver_at could still wait for hours: set the clock right.
      if (!clock_is_right && mono_ - began > 2h) {
        clock_is_right = true;
        wall_offset_ += std::max(latest_wall_ - wall(), Millis(0));
        newest_wall_ = std::max(newest_wall_, wall());
        began_ = mono_;
        scheduler_->hear(DueTimesMoved{});
      }
      step();
    }
  }

  std::mt19937_64 random_;
  Report report_;
  MonotonicTime mono_{std::chrono::hours(1)};
  Millis wall_offset_{1'785'000'000'000};
  Time newest_wall_{};  // the latest in this life of the daemon
  Time latest_wall_{};  // the latest ever
  std::vector<Happening> todo_;
  std::uint64_t order_ = 0;
  std::optional<MonotonicTime> wake_for_;
  MonotonicTime last_commit_{}, last_completion_{};
  int fetching_ = 0;
  bool healing_ = false;
  std::vector<Subscriber> subscribers_;
  mutable StoreModel store_;
  std::unique_ptr<Scheduler> scheduler_;
  MonotonicTime began_{};  // when the daemon started or the clock was set, whichever was later
  std::set<DeliveryKey> sending_;
  std::set<DeliveryKey> recording_;  // their outcome is on its way to the store
  std::map<DeliveryKey, MonotonicTime> waiting_since_;
  std::map<DeliveryKey, MonotonicTime> touched_;
  std::map<std::pair<EndpointSeq, std::string>, MonotonicTime> key_touched_;
  std::deque<DeliveryKey> finished_;
  EventSeq next_event_ = 1;
};

}  // namespace

std::string Report::to_string() const {
  std::ostringstream text;
  text << steps << " steps, " << accepted << " deliveries, " << attempts << " attempts: " << delivered
       << " delivered, " << dead << " dead, " << discarded << " discarded; " << crashes << " crashes, "
       << clock_steps << " clock steps";
  return text.str();
}

Report run(std::uint64_t seed, std::int64_t steps) {
  return World(seed).run(steps);
}

}  // namespace outboxd::simulation
