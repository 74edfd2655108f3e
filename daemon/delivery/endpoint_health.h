// The health of an endpoint, learned from the outcome of each attempt, and its consequences. Pure.
//
// How many at a time: like TCP congestion control (RFC 5681), with the proportional cut of data centre TCP (RFC 8257).
// The allowance starts at 5 and grows by one per success until the first trouble, then by one per round trip. Trouble
// is a timeout, a refused connection, a 5xx or a 429; any other 4xx concerns only its own event. A denial by the
// address policy counts as trouble too: the endpoint's name may soon resolve to another address, and until then one
// probe at a time is enough. Trouble cuts the allowance by half of the share of trouble among recent answers, once for
// all requests that were under way together: an endpoint where everything fails loses half each time, while one where
// every twentieth request meets a bad backend keeps nearly all of it. In addition, as in delay-based congestion control
// (TCP Vegas): while successes take longer than twice their best time plus 100 ms, the allowance shrinks by a tenth per
// round trip, because requests are queueing at the endpoint and more of them would only queue longer. (Postfix counts
// only failures, and so piles up on a site that is merely slow.)
//
// Pauses: when Retry-After asks for one, at once and for that long. Otherwise, after a 429, 502, 503 or 504 while at
// least half of the recent answers are trouble, and when the breaker opens: nothing is sent for 1 s, then 2 s, 4 s ...
// up to 5 min, but never longer than the longest wait of the endpoint's own retry schedule.
//
// The breaker: 5 failures in a row open it. From then on, after each pause, one request at a time (a probe) is sent
// until one succeeds.
//
// ServiceClass: see ReadyQueue for its effect.
//
// An endpoint that has failed for its disable_after (5 days by default) is disabled. While the daemon runs, the time is counted on the monotonic
// clock, so that setting the clock forward disables nobody.
#pragma once

#include <chrono>
#include <optional>

#include "common/attempt.h"
#include "common/endpoint.h"
#include "delivery/moment.h"
#include "delivery/ready_queue.h"

namespace outboxd {

inline constexpr int kInitialWindow = 5;
inline constexpr int kTripAfter = 5;
inline constexpr double kNews = 1.0 / 32;  // the weight of one answer in the share of trouble
// From this share of trouble on, a 503 and its like is taken to concern the whole endpoint.
inline constexpr double kOverloaded = 0.5;
inline constexpr Millis kFirstPause = std::chrono::seconds(1);
inline constexpr Millis kMaxPause = std::chrono::minutes(5);
inline constexpr Millis kSlow = std::chrono::seconds(1);

class EndpointHealth {
 public:
  struct Attempted {
    Outcome outcome = Outcome::kConnect;
    int status = 0;
    Millis took{0};
    MonotonicTime sent_at{};
    bool probe = false;
    bool slow_down = false;       // the status means too many requests, or no backend
    std::optional<Millis> asked;  // the pause that the answer asked for
    Millis longest_pause{0};      // the longest wait of the endpoint's retry schedule
    std::optional<Millis> disable_after = kDefaultDisableAfter;  // absent: never
    double jitter = 0;                                           // in [-1, 1]
  };
  struct Change {
    bool disable = false;
    // Set when the endpoint had been failing since this time, long enough to open the breaker.
    std::optional<Time> recovered;
    // To be stored: since when it has been failing, or (outer value set, inner empty) that this is over.
    std::optional<std::optional<Time>> failing_since;
    // It was paused for this long because its answers ask for less; set once until it succeeds again.
    std::optional<Millis> slowed_for;
  };

  EndpointHealth() = default;
  // An endpoint that an earlier run of the daemon stored as failing: it begins with a probe.
  EndpointHealth(Time failing_since, Moment now);

  // `configured` is the endpoint's configured limit of requests at a time.
  bool may_start(int sending, int configured, MonotonicTime now) const;
  int limit(int configured) const;  // while the breaker is closed
  MonotonicTime paused_until() const { return paused_until_; }
  bool was_asked() const { return asked_; }  // the pause is the one that an answer asked for
  bool is_open() const { return failures_ >= kTripAfter; }
  ServiceClass service_class() const {
    return is_open() ? ServiceClass::kFailing : prompt_ ? ServiceClass::kPrompt : ServiceClass::kUnproven;
  }
  int failures() const { return failures_; }  // in a row

  bool started();  // a request was started; true: it is the probe
  Change ended(const Attempted& attempted, int configured, Moment now);
  void abandoned(bool probe) { probing_ = probing_ && !probe; }  // aborted: its result is unknown
  // Ends a pause of our own, because someone knows better (an operator's retry, an edited endpoint).
  void try_now(MonotonicTime now);
  // Forgets everything, because the receiver has changed or is back in service.
  void begin_anew();

 private:
  Change succeeded(const Attempted& attempted, int configured);
  Change failed(const Attempted& attempted, Moment now);
  void pause(const Attempted& attempted, MonotonicTime now);
  bool is_queueing(Millis took);

  struct Failing {
    Time since;
    Millis before{0};  // the part of the failing time that lies before `from`
    MonotonicTime from;
    bool stored = false;
  };

  double congestion_window_ = kInitialWindow;
  double slow_start_threshold_ = 1e9;  // above this it grows only by one per round trip
  double trouble_ = 0;                 // the share of trouble among recent answers, smoothed
  MonotonicTime last_cut_{};           // the result of a request sent before this time is no news
  double smoothed_attempt_ms_ = 0;     // duration of an attempt, smoothed
  double smoothed_rtt_ms_ = 0;         // duration of a success, smoothed
  double min_rtt_ms_ = -1;  // shortest duration of a success, slowly forgotten; below 0: none seen yet
  int failures_ = 0;
  int pauses_ = 0;       // in a row
  bool slowed_ = false;  // slowed_for was set, and no success has come since
  bool asked_ = false;   // the answer asked for the pause: a success does not end it
  bool probing_ = false;
  bool prompt_ = false;
  MonotonicTime paused_until_{};
  std::optional<Failing> failing_;
  bool stored_before_ = false;  // stored as failing before begin_anew()
};

}  // namespace outboxd
