#include "app/delivery_picture.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "api/waiting.h"
#include "app/delivery_view.h"
#include "store/errors.h"

namespace outboxd {
namespace {

constexpr int kEndpointsAtOnce = 250;  // in one read, which takes a millisecond or two
constexpr int kCountsAtOnce = 1'000;   // rows of one table
constexpr Millis kQuick{10};
constexpr Millis kMaxShown = std::chrono::seconds(1);
constexpr int kShownFor = 10;        // times as long as it took
constexpr Millis kCountingTime{50};  // of what all pending deliveries wait for
// Deliveries of one endpoint that are not due, and that are not first in their order; more than these are counted among
// those that the lane holds back.
constexpr int kMaxCounted = 10'000;
constexpr std::size_t kWorstEndpoints = 10;
constexpr int kMaxFailing = 1'000;  // of other daemons
// Below this a due delivery is simply on its way, and no reason to look at its endpoint.
constexpr Millis kLate = std::chrono::seconds(1);

using One = DeliveryPicture::One;
using Lane = api::DeliveryStatus::Lane;

class PictureBuilder {
 public:
  explicit PictureBuilder(const EndpointDirectory& directory) : directory_(directory) {}

  // Null: the endpoint is gone.
  One* at(EndpointSeq seq) {
    if (const auto known = places_.find(seq); known != places_.end()) return &all_[known->second];
    const EndpointPtr endpoint = directory_.find(seq);
    if (!endpoint) return nullptr;
    places_.emplace(seq, all_.size());
    return &all_.emplace_back(One{.endpoint = endpoint, .counts = {}, .due_age = {}});
  }
  std::vector<One>& all() { return all_; }

 private:
  const EndpointDirectory& directory_;
  std::unordered_map<EndpointSeq, std::size_t> places_;
  std::vector<One> all_;
};

void add_counts(PictureBuilder& builder, StoreReader& reader) {
  EndpointSeq after = 0;
  for (int found = kCountsAtOnce; found == kCountsAtOnce;) {
    const auto page = reader.delivery_counts(after, kCountsAtOnce);
    for (const EndpointDeliveries& one : page) {
      after = one.endpoint;
      if (One* const place = builder.at(one.endpoint)) place->counts = one.counts;
    }
    found = static_cast<int>(page.size());
  }
}

void count_waiting(One& one, const EndpointCounts& counts, const api::Lanes& lanes) {
  for (const auto& [what, count] : api::count_waiting(counts, *one.endpoint, lanes))
    one.waiting.at(static_cast<std::size_t>(what)) = count;
}

// Those of the largest backlogs are counted as long as there is time; the others are all taken for due.
void add_waiting(std::vector<One>& all, const api::Lanes& lanes, StoreReader& reader, const Clock& clock) {
  std::vector<One*> pending;
  pending.reserve(all.size());
  for (One& one : all) {
    if (one.counts.pending > 0) pending.push_back(&one);
  }
  std::ranges::sort(pending, std::greater(), [](const One* one) { return one->counts.pending; });
  const MonotonicTime end = clock.monotonic() + kCountingTime;
  for (One* const one : pending) {
    EndpointCounts counts;
    counts.deliveries = one->counts;
    if (one->endpoint->state == EndpointState::kActive) {
      const bool in_time = clock.monotonic() < end;
      if (in_time) counts = reader.counts(one->endpoint->seq, kMaxCounted);
      one->waiting_complete = in_time && api::is_known(one->endpoint->seq, lanes) &&
                              counts.blocked < kMaxCounted && counts.later < kMaxCounted;
    }
    count_waiting(*one, counts, lanes);
  }
}

bool is_late(const One& one) {
  return one.due_age && *one.due_age >= kLate;
}

int failures_of(const One& one) {
  return one.lane ? one.lane->failures : 0;
}

bool is_worse(const One* a, const One* b) {
  const auto seconds_due = [](const One* one) {
    return std::chrono::floor<std::chrono::seconds>(is_late(*one) ? *one->due_age : Millis(0));
  };
  if (seconds_due(a) != seconds_due(b)) return seconds_due(a) > seconds_due(b);
  if (failures_of(*a) != failures_of(*b)) return failures_of(*a) > failures_of(*b);
  return a->endpoint->id < b->endpoint->id;
}

bool fails_worse(const One* a, const One* b) {
  if (failures_of(*a) != failures_of(*b)) return failures_of(*a) > failures_of(*b);
  if (a->counts.pending != b->counts.pending) return a->counts.pending > b->counts.pending;
  return a->endpoint->id < b->endpoint->id;
}

Lane lane_of(const One& one, Time at, StoreReader& reader) {
  Lane lane;
  lane.endpoint = one.endpoint->id;
  if (is_late(one)) lane.oldest_due_age = one.due_age;
  lane.backlog = one.counts.pending;
  if (const auto stored = reader.endpoint(one.endpoint->id)) lane.failing_since = stored->failing_since;
  lane.is_ours = one.is_ours;
  if (one.lane == nullptr) return lane;
  lane.holds = holds_of(*one.lane, at);
  lane.in_flight = one.lane->sending;
  lane.consecutive_failures = one.lane->failures;
  if (one.lane->failures > 0 && one.lane->last_failure) {
    lane.last_error = one.lane->last_failure->error;
    lane.last_status = one.lane->last_failure->status;
  }
  return lane;
}

template <class Less>
std::vector<Lane> worst_of(std::vector<const One*> some, Less less, Time at, StoreReader& reader) {
  const std::size_t count = std::min(kWorstEndpoints, some.size());
  std::partial_sort(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count), some.end(), less);
  std::vector<Lane> lanes;
  lanes.reserve(count);
  for (std::size_t i = 0; i < count; ++i) lanes.push_back(lane_of(*some[i], at, reader));
  return lanes;
}

void add_to(api::DeliveryStatus& status, const One& one) {
  if (one.due_age && *one.due_age >= Millis(0))
    status.oldest_due_age = std::max(status.oldest_due_age.value_or(Millis(0)), *one.due_age);
  for (std::size_t i = 0; i < one.waiting.size(); ++i) status.waiting.at(i) += one.waiting.at(i);
  status.waiting_complete = status.waiting_complete && one.waiting_complete;
  status.deliveries.pending += one.counts.pending;
  status.deliveries.delivered += one.counts.delivered;
  status.deliveries.dead += one.counts.dead;
  status.deliveries.discarded += one.counts.discarded;
  if (one.lane && status.in_flight) *status.in_flight += one.lane->sending;
}

}  // namespace

DueAges read_due_ages(StoreReader& reader, const EndpointDirectory& directory) {
  DueAges ages;
  EndpointSeq after = 0;
  for (int found = kEndpointsAtOnce; found == kEndpointsAtOnce;) {
    const auto page = reader.oldest_due(after, kEndpointsAtOnce);
    for (const OldestDue& one : page) {
      after = one.endpoint;
      if (directory.find(one.endpoint)) ages[one.endpoint] = one.age;
    }
    found = static_cast<int>(page.size());
  }
  return ages;
}

DeliveryPicture take_picture(std::shared_ptr<const EngineStatus> loops, const EndpointDirectory& directory,
                             StoreReader& reader, const Clock& clock) {
  DeliveryPicture picture{.loops = std::move(loops), .at = clock.wall(), .endpoints = {}};
  PictureBuilder builder(directory);
  add_counts(builder, reader);
  for (const auto& [seq, age] : read_due_ages(reader, directory)) {
    if (One* const one = builder.at(seq)) one->due_age = age;
  }
  if (picture.loops) {
    for (const LaneStatus& lane : picture.loops->lanes) {
      if (One* const one = builder.at(lane.endpoint->seq)) one->lane = &lane;
    }
  }
  const api::Lanes lanes = lanes_of(picture.loops.get(), picture.at);
  for (const FailingEndpoint& failing : reader.failing_endpoints(kMaxFailing)) {
    One* const one = builder.at(failing.endpoint);
    if (one != nullptr) one->is_failing_elsewhere = lanes && !api::is_known(failing.endpoint, lanes);
  }
  for (One& one : builder.all()) one.is_ours = !lanes || api::is_known(one.endpoint->seq, lanes);
  add_waiting(builder.all(), lanes, reader, clock);
  picture.endpoints = std::move(builder.all());
  return picture;
}

api::DeliveryStatus status_of(const DeliveryPicture& picture, const std::optional<std::string>& tenant,
                              StoreReader& reader) {
  api::DeliveryStatus status;
  if (picture.loops) status.in_flight = 0;
  std::vector<const One*> worst, failing;
  for (const One& one : picture.endpoints) {
    if (tenant && one.endpoint->tenant != *tenant) continue;
    add_to(status, one);
    const bool fails = failures_of(one) > 0 || one.is_failing_elsewhere;
    if (is_late(one) || fails) worst.push_back(&one);
    if (fails) failing.push_back(&one);
  }
  // What is not an endpoint's counts too: tests, and deliveries of an endpoint that was removed a moment ago.
  if (!tenant && picture.loops) status.in_flight = picture.loops->in_flight;
  status.worst_endpoints = worst_of(std::move(worst), is_worse, picture.at, reader);
  status.failing_endpoints = worst_of(std::move(failing), fails_worse, picture.at, reader);
  return status;
}

// Kept, or, when its holder is gone (its request was given up, or the store refused), broken.
class DeliveryPictures::Promise {
 public:
  explicit Promise(std::shared_ptr<DeliveryPictures> pictures) : pictures_(std::move(pictures)) {}
  ~Promise() {
    if (pictures_) pictures_->finish(nullptr, {});
  }
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;
  void start_reading() { pictures_->start_reading(); }
  void keep(const Picture& picture, std::chrono::nanoseconds took) {
    std::exchange(pictures_, nullptr)->finish(picture, took);
  }

 private:
  std::shared_ptr<DeliveryPictures> pictures_;
};

void DeliveryPictures::ask(Asked asked) {
  Picture recent;
  {
    const MutexLock lock(mutex_);
    if (last_ && clock_.monotonic() < shown_until_) {
      recent = last_;
    } else if (being_taken_) {
      (being_read_ ? late_ : waiting_).push_back(std::move(asked));
      return;
    } else {
      being_taken_ = true;
    }
  }
  if (recent) return asked([recent] { return recent; });
  const auto promise = std::make_shared<Promise>(shared_from_this());
  begin_([&clock = clock_, promise, asked = std::move(asked)](Make make) {
    asked([&clock, promise, make = std::move(make)] {
      promise->start_reading();
      const MonotonicTime began = clock.monotonic();
      Picture picture = make();
      promise->keep(picture, clock.monotonic() - began);
      return picture;
    });
  });
}

void DeliveryPictures::start_reading() {
  const MutexLock lock(mutex_);
  being_read_ = true;
}

void DeliveryPictures::finish(const Picture& picture, std::chrono::nanoseconds took) {
  std::vector<Asked> waiting, late;
  {
    const MutexLock lock(mutex_);
    being_taken_ = being_read_ = false;
    waiting.swap(waiting_);
    // What they ask about may have changed since it was read.
    if (picture && took < kQuick) late.swap(late_);
    std::ranges::move(late_, std::back_inserter(waiting));
    late_.clear();
    if (picture) {
      last_ = picture;
      const auto shown = took < kQuick ? std::chrono::nanoseconds(0) : kShownFor * took;
      shown_until_ = clock_.monotonic() + std::min<std::chrono::nanoseconds>(shown, kMaxShown);
    }
  }
  for (const Asked& asked : waiting) {
    asked([picture] {
      if (!picture) throw StoreError(StoreError::Kind::kBusy, "the one who was to take the picture gave up");
      return picture;
    });
  }
  for (Asked& asked : late) ask(std::move(asked));
}

}  // namespace outboxd
