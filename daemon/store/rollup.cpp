#include "store/rollup.h"

#include <algorithm>
#include <numeric>

#include "common/text.h"
#include "store/store.h"

namespace outboxd {

void Histogram::record(Millis duration) {
  const auto* limit = std::lower_bound(kLimits.begin(), kLimits.end(), duration.count());
  ++counts_[static_cast<std::size_t>(limit - kLimits.begin())];
}

Histogram& Histogram::operator+=(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  return *this;
}

std::optional<Millis> Histogram::quantile(double share) const {
  const auto all = std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
  if (all == 0) return std::nullopt;
  const double wanted = share * static_cast<double>(all);
  double below = 0;
  for (std::size_t i = 0; i < kLimits.size(); ++i) {
    const auto here = static_cast<double>(counts_[i]);
    if (here > 0 && below + here >= wanted) {
      const double from = i == 0 ? 0 : static_cast<double>(kLimits[i - 1]);
      const double length = static_cast<double>(kLimits[i]) - from;
      return Millis(static_cast<std::int64_t>(from + length * (wanted - below) / here + 0.5));
    }
    below += here;
  }
  return Millis(kLimits.back());  // and longer
}

std::string Histogram::encode() const {
  std::string bytes;
  const auto used = std::find_if(counts_.rbegin(), counts_.rend(), [](std::int64_t n) { return n != 0; });
  for (auto count = counts_.begin(); count != used.base(); ++count) {
    auto rest = static_cast<std::uint64_t>(*count);
    for (; rest >= 0x80; rest >>= 7) bytes += static_cast<char>(0x80 | (rest & 0x7f));
    bytes += static_cast<char>(rest);
  }
  return bytes;
}

std::optional<Histogram> Histogram::decode(std::string_view bytes) {
  constexpr int kMaxBits = 62;  // so that a sum of some does not overflow
  Histogram read;
  auto* count = read.counts_.begin();
  int shift = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (count == read.counts_.end() || shift + 7 > kMaxBits) return std::nullopt;
    *count |= static_cast<std::int64_t>(byte & 0x7f) << shift;
    const bool ends = byte < 0x80;
    shift = ends ? 0 : shift + 7;
    count += ends ? 1 : 0;
  }
  if (shift != 0) return std::nullopt;
  return read;
}

void RollupCounts::note_failure(Time at, std::string_view error) {
  first_at = std::min(first_at.value_or(at), at);
  last_at = std::max(last_at.value_or(at), at);
  if (error.empty()) return;
  std::size_t length = 0;
  while (length < error.size()) {
    const std::size_t next = std::max<std::size_t>(1, utf8_sequence_length(error.substr(length)));
    if (length + next > kMaxRollupError) break;
    length += next;
  }
  last_error.assign(error.substr(0, length));
}

RollupCounts& RollupCounts::operator+=(const RollupCounts& other) {
  accepted += other.accepted;
  attempts += other.attempts;
  failed += other.failed;
  delivered += other.delivered;
  dead += other.dead;
  latency += other.latency;
  duration += other.duration;
  const bool newer = other.last_at && (!last_at || *other.last_at >= *last_at);
  if (!other.last_error.empty() && (newer || last_error.empty())) last_error = other.last_error;
  if (newer) last_at = other.last_at;
  if (other.first_at && (!first_at || *other.first_at < *first_at)) first_at = other.first_at;
  return *this;
}

std::string_view to_string(FailuresBy by) {
  switch (by) {
    case FailuresBy::kError:
      return "error";
    case FailuresBy::kEndpoint:
      return "endpoint";
    case FailuresBy::kType:
      return "type";
    case FailuresBy::kStatus:
      return "status";
    case FailuresBy::kReason:
      break;
  }
  return "reason";
}

std::optional<FailuresBy> parse_failures_by(std::string_view word) {
  for (const auto by : {FailuresBy::kError, FailuresBy::kEndpoint, FailuresBy::kType, FailuresBy::kStatus,
                        FailuresBy::kReason}) {
    if (word == to_string(by)) return by;
  }
  return std::nullopt;
}

EndpointRates endpoint_rates(StoreReader& reader, const EndpointId& endpoint, Time now) {
  const Time since = start_of(kRollupMinute, now - kRatesOver);
  RollupCounts sum;
  for (const RollupPoint& minute : reader.series(endpoint, since, now, kRollupMinute)) sum += minute.counts;
  const double seconds = std::chrono::duration<double>(now - since).count();
  return {.accepted_per_second = static_cast<double>(sum.accepted) / seconds,
          .delivered_per_second = static_cast<double>(sum.delivered) / seconds,
          .failed_per_second = static_cast<double>(sum.failed) / seconds,
          .latency_p50 = sum.latency.quantile(0.5),
          .latency_p95 = sum.latency.quantile(0.95),
          .duration_p50 = sum.duration.quantile(0.5),
          .duration_p95 = sum.duration.quantile(0.95)};
}

}  // namespace outboxd
