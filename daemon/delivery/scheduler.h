// Decides which delivery is attempted next, and what its outcome means. A pure state machine: no clock, no
// I/O, no thread of its own. It is told the time and what happened; next() answers what to send, to record,
// to fetch and to disable. One thread uses it.
//
// How it is fair: lanes with something to send stand in one queue and send one delivery in turn; a lane never
// has more requests under way than it has earned (learn()), and all together never more than max_in_flight.
// What bounds what: window and max_held_bytes bound memory, max_fetches the reads under way, max_in_flight
// the sockets. Every step costs O(log n) at worst, whatever the backlog.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include "delivery/lane.h"
#include "delivery/retry_policy.h"

namespace outboxd {

// What the sender reported, as far as the decision needs it.
struct AttemptReport {
  Outcome outcome = Outcome::kConnect;
  int status = 0;
  std::optional<std::string> retry_after;
  std::string error;
};

struct Decisions {
  struct Send {
    EndpointPtr endpoint;
    DueDelivery delivery;
  };
  struct Fetch {
    EndpointSeq endpoint;
    int limit;
    std::size_t max_bytes;
  };
  std::vector<Send> send;
  std::vector<RecordOutcome> record;  // without an attempt: expired before one was made
  std::vector<Fetch> fetch;
  std::optional<Time> wake_at;  // call next() again then, if nothing happens before
};

struct LaneStatus {
  EndpointPtr endpoint;
  int sending = 0;
  int failures = 0;
  std::string last_error;
  Time oldest_due = kNever;  // of what is in memory
};

class Scheduler {
 public:
  struct Options {
    int max_in_flight = 4096;
    int max_in_flight_per_endpoint = 32;
    std::vector<Millis> retry_schedule = default_retry_schedule();
    int window = 64;                         // deliveries of one lane in memory, besides those under way
    int max_held = 65'536;                   // deliveries in memory, all lanes
    std::size_t max_held_bytes = 64u << 20;  // their payloads
    std::size_t max_fetch_bytes = 1u << 20;  // payload of one fetch (one delivery may be larger)
    int max_fetches = 64;                    // asked for and not answered yet
    std::uint64_t seed = 1;                  // of the jitter
  };
  explicit Scheduler(Options options);

  // What happened. `now` never matters beyond comparison with due times.
  void put_endpoint(const EndpointPtr& endpoint);  // new or changed
  void remove_endpoint(EndpointSeq endpoint);
  void offer(DueDelivery delivery, Time now);  // committed as pending a moment ago
  void wake(EndpointSeq endpoint, Time due);   // something on disk became due then (a replay)
  void withdraw(DeliveryKey key);              // an operator discarded it; too late if it is being sent
  void fetched(EndpointSeq endpoint, DueWindow found, Time now);
  // The attempt of a delivery from Decisions::send ended. Answers what to record (the caller adds the
  // attempt), and whether to disable.
  struct Ended {
    RecordOutcome record;
    bool disable_endpoint = false;
  };
  Ended attempt_ended(DeliveryKey key, const AttemptReport& report, Time now);
  void recorded(DeliveryKey key);  // that record, or one of Decisions::record, is committed
  void abandoned(
      DeliveryKey key);  // the request was aborted and nothing is known of it: still pending on disk
  void drain() { draining_ = true; }  // from now on neither sends nor fetches

  Decisions next(Time now);

  int in_flight() const { return sending_; }
  int held() const { return held_; }
  std::size_t held_bytes() const { return held_bytes_; }
  // The lanes that fail or hold something, for status and metrics. O(lanes).
  std::vector<LaneStatus> lanes() const;

 private:
  Lane* find(EndpointSeq endpoint);
  int limit_of(const Lane& lane) const;
  bool may_send(const Lane& lane, Time now) const;
  bool has_room() const;
  bool hold(Lane& lane, DueDelivery delivery, Time now);  // false: to be left on disk
  void release(Lane& lane, EventSeq event);
  void touch(Lane& lane);
  void leave_on_disk(Lane& lane, Time due);
  void consider(Lane& lane, Time now);  // puts the lane into the queues it belongs in now
  void set_wake(Lane& lane, std::optional<Time> when);
  void send_some(Time now, Decisions& decisions);
  void send_one(Lane& lane, Time now, Decisions& decisions);
  void fetch_some(Time now, Decisions& decisions);
  void learn(Lane& lane, const AttemptReport& report, const Verdict& verdict) const;
  void drop_window(Lane& lane);

  Options options_;
  std::mt19937_64 random_;
  bool draining_ = false;
  std::unordered_map<EndpointSeq, std::unique_ptr<Lane>> lanes_;
  std::deque<EndpointSeq> to_send_;   // round robin
  std::deque<EndpointSeq> to_fetch_;  // first come, first served
  std::set<std::pair<Time, EndpointSeq>> wakeups_;
  std::vector<EndpointSeq> dirty_;  // to be considered at the next next(): something about them changed
  int sending_ = 0;
  int fetching_ = 0;
  int held_ = 0;
  std::size_t held_bytes_ = 0;
};

}  // namespace outboxd
