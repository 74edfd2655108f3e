#include "store/commit_pacing.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace outboxd {
namespace {

constexpr double kKept = 7.0 / 8;  // of what was learned, with each commit: about the last eight count
// After so long without a command, what was learned says nothing about the next one.
constexpr CommitPacing::Duration kStale = std::chrono::milliseconds(100);

double seconds(CommitPacing::Duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

void CommitPacing::submitted(MonotonicTime at) {
  if (waiting_++ > 0) {
    ++joined_;
    return;
  }
  if (at - seen_until_ > kStale) busy_seconds_ = companions_ = peak_ = 0;
  seen_until_ = at;
}

void CommitPacing::answered(std::size_t count, MonotonicTime at) {
  if (count == 0) return;
  peak_ = std::max(peak_ * kKept, static_cast<double>(waiting_));
  waiting_ -= std::min(count, waiting_);
  busy_seconds_ = (busy_seconds_ + seconds(std::max(at - seen_until_, Duration(0)))) * kKept;
  companions_ = (companions_ + static_cast<double>(std::exchange(joined_, 0))) * kKept;
  seen_until_ = at;
}

bool CommitPacing::delays() const {
  return companions_ > 0 &&
         companions_ * seconds(longest_delay_) >= static_cast<double>(kCompany) * busy_seconds_;
}

std::size_t CommitPacing::enough() const {
  return std::min(kEnough, static_cast<std::size_t>(std::ceil(peak_)));
}

}  // namespace outboxd
