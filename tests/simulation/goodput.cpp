#include "simulation/goodput.h"

#include <array>
#include <cstdio>
#include <queue>
#include <random>

#include "delivery/scheduler.h"

namespace outboxd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Millis kLength = 30s;
constexpr int kRefill = 64;

// How many requests the endpoint handles at a time, and how long an answer takes.
struct Pace {
  int at_a_time;
  Millis fastest, slowest;
};
constexpr std::array<Pace, 2> kPaces = {{{1, 1ms, 3ms}, {32, 20ms, 80ms}}};

enum class Failure { kInternal, kBadGateway, kUnavailable, kGatewayTimeout, kTooMany, kRefused, kCount };
constexpr std::array<double, 3> kShares = {0.01, 0.05, 1};
constexpr double kRare = 0.05;  // up to this share, failures are those of one bad backend
constexpr int kMostAtAll = 20;  // requests at most, when everything fails

int status_of(Failure failure) {
  constexpr std::array kStatus = {500, 502, 503, 504, 429, 0};
  return kStatus.at(static_cast<std::size_t>(failure));
}

AttemptReport report_of(Failure failure, Millis took) {
  const int status = status_of(failure);
  const Outcome outcome = status == 0     ? Outcome::kConnect
                          : status == 429 ? Outcome::kHttp4xx
                                          : Outcome::kHttp5xx;
  return {outcome, status, {}, "", took};
}

struct Goodput {
  int requests = 0, successes = 0;
};

// The lane never runs dry: a delivery that ends is replaced by a fresh one.
class Run {
 public:
  Run(const Pace& pace, Failure failure, double share, std::uint64_t seed)
      : pace_(pace),
        failure_(failure),
        share_(share),
        random_(seed),
        scheduler_({.max_in_flight_per_endpoint = pace.at_a_time, .seed = seed}) {}

  Goodput go() {
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->seq = 1;
    scheduler_.put_endpoint(endpoint, now_);
    const MonotonicTime end = now_.mono + kLength;
    turn();
    while (now_.mono < end) {
      const MonotonicTime answer = under_way_.empty() ? end : under_way_.top().at;
      pass_until(std::min({answer, wake_.value_or(end), end}));
      while (!under_way_.empty() && under_way_.top().at <= now_.mono) finish_one();
      turn();
    }
    return done_;
  }

 private:
  struct UnderWay {
    MonotonicTime at;
    DeliveryKey key;
    Millis took;
    bool operator<(const UnderWay& other) const { return at > other.at; }  // the earliest on top
  };

  void pass_until(MonotonicTime then) {
    const auto time = std::chrono::ceil<Millis>(std::max(then, now_.mono) - now_.mono);
    now_.wall += time;
    now_.mono += time;
  }

  void finish_one() {
    const UnderWay one = under_way_.top();
    under_way_.pop();
    const bool fails = std::uniform_real_distribution<>(0, 1)(random_) < share_;
    done_.successes += !fails;
    scheduler_.attempt_ended(
        one.key,
        fails ? report_of(failure_, one.took) : AttemptReport{Outcome::kSuccess, 200, {}, "", one.took},
        now_);
    scheduler_.hear(OutcomeRecorded{.key = one.key}, now_);
  }

  // The disk always has as many deliveries as the lane asks for.
  DueWindow window(int limit) {
    DueWindow found;
    for (int i = 0; i < std::min(limit, kRefill); ++i) {
      auto event = std::make_shared<Event>();
      event->seq = ++events_;
      found.deliveries.push_back({.key = {event->seq, 1},
                                  .due_at = now_.wall,
                                  .created_at = now_.wall,
                                  .sequence_key = {},
                                  .event = event});
    }
    found.next_due_in = Millis(0);
    return found;
  }

  void turn() {
    for (Decisions decisions = scheduler_.next(now_);; decisions = scheduler_.next(now_)) {
      wake_ = decisions.wake_at;
      for (const auto& sent : decisions.send) {
        const Millis took(std::uniform_int_distribution<std::int64_t>(pace_.fastest.count(),
                                                                      pace_.slowest.count())(random_));
        under_way_.push({now_.mono + took, sent.delivery.key, took});
        ++done_.requests;
      }
      if (decisions.find_expired) scheduler_.expired({}, now_);
      for (const auto& fetch : decisions.fetch) scheduler_.fetched(fetch.endpoint, window(fetch.limit), now_);
      if (decisions.fetch.empty()) return;
    }
  }

  const Pace pace_;
  const Failure failure_;
  const double share_;
  std::mt19937_64 random_;
  Scheduler scheduler_;
  Moment now_{from_unix_millis(1'785'000'000'000), MonotonicTime(1h)};
  std::priority_queue<UnderWay> under_way_;
  std::optional<MonotonicTime> wake_;
  EventSeq events_ = 0;
  Goodput done_;
};

std::string line(const Pace& pace, Failure failure, double share, const Goodput& g) {
  std::array<char, 120> text{};
  std::snprintf(text.data(), text.size(),
                "%2d at a time, %5.1f %% of %3d: %6d requests, %6d successes in 30 s\n", pace.at_a_time,
                share * 100, status_of(failure), g.requests, g.successes);
  return text.data();
}

}  // namespace

void check_goodput(std::uint64_t seed) {
  std::size_t rest = seed;
  const auto choose = [&rest](std::size_t count) {
    const std::size_t chosen = rest % count;
    rest /= count;
    return chosen;
  };
  const auto failure = static_cast<Failure>(choose(static_cast<std::size_t>(Failure::kCount)));
  const double share = kShares.at(choose(kShares.size()));
  const Pace& pace = kPaces.at(choose(kPaces.size()));
  const Goodput got = Run(pace, failure, share, seed).go();
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw Violation(std::string(what) + ": " + line(pace, failure, share, got));
  };
  if (share <= kRare) {
    const Goodput plain = Run(pace, Failure::kInternal, share, seed + 1).go();
    require(got.successes >= plain.successes / 2, "a few of these cost much more than as many 500s");
    const Goodput healthy = Run(pace, Failure::kInternal, 0, seed + 2).go();
    require(got.successes >= healthy.successes / 2, "a few failures cost half of the throughput");
  }
  if (share >= 1)
    require(got.requests <= kMostAtAll, "goes on sending to an endpoint that answers nothing else");
}

std::string goodput_table() {
  std::string text;
  for (const Pace& pace : kPaces) {
    for (const double share : {0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0}) {
      for (const Failure failure : {Failure::kInternal, Failure::kUnavailable, Failure::kRefused})
        text += line(pace, failure, share, Run(pace, failure, share, 1).go());
    }
  }
  return text;
}

}  // namespace outboxd::simulation
