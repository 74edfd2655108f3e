#include "delivery/endpoint_health.h"

#include <algorithm>
#include <cmath>

namespace outboxd {
namespace {

constexpr double kSlackMs = 100;  // how much our own machine, when busy, may add to a good answer

bool is_trouble(Outcome outcome, int status) {
  return outcome != Outcome::kSuccess && (outcome != Outcome::kHttp4xx || status == 429);
}

}  // namespace

EndpointHealth::EndpointHealth(Time failing_since, Moment now)
    : congestion_window_(1),
      failures_(kTripAfter),
      failing_(Failing{failing_since, std::max(now.wall - failing_since, Millis(0)), now.mono, true}) {}

bool EndpointHealth::may_start(int sending, int configured, MonotonicTime now) const {
  if (now < paused_until_) return false;
  return is_open() ? !probing_ && sending < configured : sending < limit(configured);
}

int EndpointHealth::limit(int configured) const {
  return std::min(configured, static_cast<int>(congestion_window_));
}

bool EndpointHealth::started() {
  if (!is_open()) return false;
  probing_ = true;
  return true;
}

void EndpointHealth::try_now(MonotonicTime now) {
  if (!asked_) paused_until_ = std::min(paused_until_, now);
}

void EndpointHealth::begin_anew() {
  const bool stored = stored_before_ || (failing_ && failing_->stored);
  *this = EndpointHealth();
  stored_before_ = stored;
}

// Do answers take so much longer than the best ones that requests must be queueing at the endpoint?
bool EndpointHealth::is_queueing(Millis took) {
  const auto ms = static_cast<double>(took.count());
  if (min_rtt_ms_ < 0) smoothed_rtt_ms_ = min_rtt_ms_ = ms;
  smoothed_rtt_ms_ += (ms - smoothed_rtt_ms_) / 8;
  min_rtt_ms_ = std::min(ms, min_rtt_ms_ + (ms - min_rtt_ms_) / 4096);
  return smoothed_rtt_ms_ > 2 * min_rtt_ms_ + kSlackMs;
}

EndpointHealth::Change EndpointHealth::ended(const Attempted& attempted, int configured, Moment now) {
  if (attempted.probe) probing_ = false;
  trouble_ += ((is_trouble(attempted.outcome, attempted.status) ? 1 : 0) - trouble_) * kNews;
  smoothed_attempt_ms_ += (static_cast<double>(attempted.took.count()) - smoothed_attempt_ms_) / 8;
  prompt_ = smoothed_attempt_ms_ < static_cast<double>(kSlow.count());
  return attempted.outcome == Outcome::kSuccess ? succeeded(attempted, configured) : failed(attempted, now);
}

EndpointHealth::Change EndpointHealth::succeeded(const Attempted& attempted, int configured) {
  if (is_queueing(attempted.took)) {
    congestion_window_ = std::max(1.0, congestion_window_ - 0.1);
  } else {
    congestion_window_ += congestion_window_ < slow_start_threshold_ ? 1 : 1 / congestion_window_;
    congestion_window_ = std::min(congestion_window_, std::max(1.0, static_cast<double>(configured)));
  }
  Change change;
  if (is_open() && failing_) change.recovered = failing_->since;
  if (stored_before_ || (failing_ && failing_->stored)) change.failing_since.emplace();
  stored_before_ = false;
  failing_.reset();
  failures_ = 0;
  pauses_ = 0;
  slowed_ = false;
  if (!asked_) paused_until_ = {};
  return change;
}

EndpointHealth::Change EndpointHealth::failed(const Attempted& attempted, Moment now) {
  const bool was_open = is_open();
  ++failures_;
  if (!failing_) failing_ = Failing{now.wall, Millis(0), now.mono, false};
  if (is_trouble(attempted.outcome, attempted.status) && attempted.sent_at >= last_cut_) {
    congestion_window_ = std::max(1.0, congestion_window_ * (1 - trouble_ / 2));
    slow_start_threshold_ = std::max(2.0, congestion_window_);
    last_cut_ = now.mono;
  }
  Change change;
  const bool trips = is_open() && !was_open;
  if (attempted.asked) {
    paused_until_ = std::max(paused_until_, now.mono + *attempted.asked);
    asked_ = true;
  } else if (trips || attempted.probe || (attempted.slow_down && trouble_ >= kOverloaded)) {
    pause(attempted, now.mono);
  }
  if ((attempted.asked || attempted.slow_down) && !slowed_ && paused_until_ > now.mono) {
    slowed_ = true;
    change.slowed_for = std::chrono::ceil<Millis>(paused_until_ - now.mono);
  }
  if (is_open() && !failing_->stored) {
    failing_->stored = true;
    change.failing_since.emplace(failing_->since);
  }
  change.disable = is_open() && attempted.disable_after &&
                   failing_->before + (now.mono - failing_->from) >= *attempted.disable_after;
  return change;
}

// Answers to requests that went out together are one piece of news, so a running pause is not extended.
void EndpointHealth::pause(const Attempted& attempted, MonotonicTime now) {
  if (now < paused_until_) return;
  const Millis wait =
      std::min({kFirstPause * (1 << std::min(pauses_, 16)), kMaxPause, attempted.longest_pause});
  ++pauses_;
  asked_ = false;
  paused_until_ =
      now + Millis(std::llround(static_cast<double>(wait.count()) * (1 + 0.1 * attempted.jitter)));
}

}  // namespace outboxd
