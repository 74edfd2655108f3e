// How an endpoint is doing, learned from the outcome of each attempt, and what follows from it. Pure.
//
// How many at a time: TCP's answer (RFC 5681), with the cut of data centre TCP (RFC 8257). From 5, one more for
// each success until the first trouble; from there one more a round trip. Trouble costs half of the share that it
// has among recent answers, once for all requests that were under way together: an endpoint of which everything
// fails loses half of the allowance each time, one of which every twentieth request meets a bad backend keeps it.
// Trouble is a timeout, a refused connection, a 5xx, a 429; any other 4xx is about that one event. (What the address
// policy refused counts too: the endpoint's name may answer with another address soon, and until then one probe at a
// time is enough.) Besides, as
// delay-based control does it (TCP Vegas): while successes take more than twice what they take at best, and
// 100 ms, a tenth less each round trip, for then requests queue at the endpoint, and more of them would only
// queue longer. (Postfix counts failures alone, and so piles up on a site that is merely slow.)
//
// Pauses: for as long as Retry-After asks, at once. Else, after a 429, 502, 503 or 504 while more than half of the
// recent answers are trouble, and when the breaker opens: nothing at all for 1 s, then 2 s, 4 s ... up to 5 min,
// but never longer than the longest wait of the endpoint's own retry schedule.
//
// The breaker: 5 failures in a row open it. Then, after each pause, one request at a time (a probe) until one
// succeeds.
//
// ServiceClass: see ReadyQueue for what it earns.
//
// Failing for 5 days: disable it. Counted on the monotonic clock, so that a clock set forward disables nobody.
#pragma once

#include <chrono>
#include <optional>

#include "common/attempt.h"
#include "delivery/moment.h"
#include "delivery/ready_queue.h"

namespace outboxd {

inline constexpr int kInitialWindow = 5;
inline constexpr int kTripAfter = 5;
inline constexpr double kNews = 1.0 / 32;  // the weight of one answer in the share of trouble
inline constexpr double kOverloaded =
    0.5;  // from this share on a 503 and its like is believed to be about all
inline constexpr Millis kFirstPause = std::chrono::seconds(1);
inline constexpr Millis kMaxPause = std::chrono::minutes(5);
inline constexpr Millis kSlow = std::chrono::seconds(1);
inline constexpr Millis kDisableAfter = std::chrono::hours(24 * 5);

class EndpointHealth {
 public:
  struct Attempted {
    Outcome outcome = Outcome::kConnect;
    int status = 0;
    Millis took{0};
    MonotonicTime sent_at{};
    bool probe = false;
    bool slow_down = false;       // the answer speaks of too many requests, or of no backend
    std::optional<Millis> asked;  // for this long
    Millis longest_pause{0};      // the longest wait of the endpoint's schedule
    double jitter = 0;            // in [-1, 1]
  };
  struct Change {
    bool disable = false;
    std::optional<Time> recovered;  // it had been failing since then, and long enough to open the breaker
    // To be stored: failing since (the value), or not any more (no value in it).
    std::optional<std::optional<Time>> failing_since;
  };

  EndpointHealth() = default;
  // As it was stored, by an earlier life of the daemon: failing, so it begins with a probe.
  EndpointHealth(Time failing_since, Moment now);

  // `configured`: the endpoint's configured limit.
  bool may_start(int sending, int configured, MonotonicTime now) const;
  int limit(int configured) const;  // while the breaker is closed
  MonotonicTime paused_until() const { return paused_until_; }
  bool is_open() const { return failures_ >= kTripAfter; }
  ServiceClass service_class() const {
    return is_open() ? ServiceClass::kFailing : prompt_ ? ServiceClass::kPrompt : ServiceClass::kUnproven;
  }
  int failures() const { return failures_; }  // in a row

  bool started();  // a request; true: it is the probe
  Change ended(const Attempted& attempted, int configured, Moment now);
  void abandoned(bool probe) { probing_ = probing_ && !probe; }  // nothing is known of it
  // Somebody who knows better (an operator's retry, an edited endpoint): do not wait for a pause of our own.
  void try_now(MonotonicTime now);
  // It is another receiver now, or back in service: nothing is known of it.
  void begin_anew();

 private:
  Change succeeded(const Attempted& attempted, int configured);
  Change failed(const Attempted& attempted, Moment now);
  void pause(const Attempted& attempted, MonotonicTime now);
  bool is_queueing(Millis took);

  struct Failing {
    Time since;
    Millis before{0};  // of it, before `from`
    MonotonicTime from;
    bool stored = false;
  };

  double congestion_window_ = kInitialWindow;
  double slow_start_threshold_ = 1e9;  // from here on it grows by one a round trip only
  double trouble_ = 0;                 // its share among recent answers, smoothed
  MonotonicTime last_cut_{};           // a request sent before it is no news
  double smoothed_attempt_ms_ = 0;     // of an attempt, smoothed
  double smoothed_rtt_ms_ = 0;         // of a success, smoothed
  double min_rtt_ms_ = -1;             // the least of a success, forgotten slowly; below 0: none seen yet
  int failures_ = 0;
  int pauses_ = 0;      // in a row
  bool asked_ = false;  // the pause was asked for: a success does not end it
  bool probing_ = false;
  bool prompt_ = false;
  MonotonicTime paused_until_{};
  std::optional<Failing> failing_;
  bool stored_before_ = false;  // that it failed, and then it began anew
};

}  // namespace outboxd
