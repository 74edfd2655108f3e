// How delivery is doing at every endpoint, read once for all who ask at about the same time: 50 viewers of the dashboard
// cost the loops and the store little more than one.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "api/context.h"
#include "common/mutex.h"
#include "delivery/delivery_engine.h"
#include "ingest/endpoint_directory.h"
#include "store/store.h"

namespace outboxd {

// How long the oldest due delivery of each endpoint with anything pending has been due; negative: it becomes due in that
// time.
using DueAges = std::unordered_map<EndpointSeq, Millis>;
DueAges read_due_ages(StoreReader& reader, const EndpointDirectory& directory);

struct DeliveryPicture {
  struct One {
    EndpointPtr endpoint;
    DeliveryCounts counts;
    std::optional<Millis> due_age;      // as in DueAges
    bool is_ours = true;                // false: another daemon's, whose lane is not known here
    bool is_failing_elsewhere = false;  // it is another daemon's, which has stored that
    const LaneStatus* lane = nullptr;   // of `loops`; null: nothing to tell of, or a loop did not answer
    std::array<std::int64_t, kWaitingFors> waiting{};
    // Of its pending deliveries those that are not due, or not first in their order, are all known.
    bool waiting_complete = true;
  };
  std::shared_ptr<const EngineStatus> loops;  // null: a loop did not answer in time
  Time at{};
  std::vector<One> endpoints;  // those that have deliveries or a lane, in no order
};

// Costs a few seeks for each endpoint that has anything pending, in short reads; nothing depends on the backlog. What
// they wait for is counted for the largest backlogs first, and for no longer than 50 ms.
DeliveryPicture take_picture(std::shared_ptr<const EngineStatus> loops, const EndpointDirectory& directory,
                             StoreReader& reader, const Clock& clock);

// The part of it that GET /v1/status shows, of all tenants or of one. Reads at most twenty endpoints.
api::DeliveryStatus status_of(const DeliveryPicture& picture, const std::optional<std::string>& tenant,
                              StoreReader& reader);

// The last picture, and who waits for the next one. A picture that took long is shown for ten times as long as that, and
// at most for a second, so however many ask, a tenth of a core does; one that took less than 10 ms is shown only to those
// who asked before the store was read for it, and so whoever changes something sees it at once. Thread safe.
class DeliveryPictures : public std::enable_shared_from_this<DeliveryPictures> {
 public:
  using Picture = std::shared_ptr<const DeliveryPicture>;
  // May throw StoreError. Called at most once, on a worker.
  using Make = std::function<Picture()>;
  using Asked = std::function<void(Make)>;
  // `begin` asks the loops, and then gives its callback what takes a picture.
  DeliveryPictures(const Clock& clock, std::function<void(Asked)> begin)
      : clock_(clock), begin_(std::move(begin)) {}

  // Any thread; never blocks. The callback may run at once, or later on another thread.
  void ask(Asked asked);

 private:
  class Promise;  // of whom has begun to those who wait
  void start_reading();
  void finish(const Picture& picture, std::chrono::nanoseconds took);

  const Clock& clock_;
  const std::function<void(Asked)> begin_;
  Mutex mutex_;
  Picture last_ OUTBOXD_GUARDED_BY(mutex_);
  MonotonicTime shown_until_ OUTBOXD_GUARDED_BY(mutex_){};  // last_
  bool being_taken_ OUTBOXD_GUARDED_BY(mutex_) = false;
  bool being_read_ OUTBOXD_GUARDED_BY(mutex_) = false;  // it is, from the store
  // For the one being taken: those who asked before it was being read, and since.
  std::vector<Asked> waiting_ OUTBOXD_GUARDED_BY(mutex_), late_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd
