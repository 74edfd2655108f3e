// Decides which delivery is attempted next, and what its outcome means. A pure state machine: no clock, no I/O, no
// thread of its own. It is told the time and what happened; next() returns what to send, to record and to fetch. Used
// by one thread. daemon/README.md describes it on one page.
//
// How it is fair: lanes with something to send stand in a ReadyQueue and send one delivery per turn. A lane has no more
// requests under way than its EndpointHealth allows, and all lanes together no more than max_in_flight; lanes of a
// lower service class leave a share of the slots and of the memory to those above them. What bounds what: max_held and
// max_held_bytes bound memory, a lane's window its part of it, max_fetches the reads under way, max_in_flight the
// sockets. Every step costs O(log n) at worst, whatever the backlog.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/retry_schedule.h"
#include "common/waiting.h"
#include "delivery/lane.h"
#include "delivery/moment.h"
#include "delivery/ready_queue.h"
#include "delivery/retry_policy.h"
#include "store/facts.h"

namespace outboxd {

// How often the disk is searched for expired deliveries; one that is about to be sent is checked as well.
inline constexpr Millis kExpiryInterval{1000};

// The part of the sender's result that the decision needs.
struct AttemptReport {
  Outcome outcome = Outcome::kConnect;
  int status = 0;
  std::optional<std::string> retry_after;
  std::string error;
  Millis took{0};
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
    std::vector<EventSeq> held;  // ascending: still pending on disk, but in memory already
  };
  std::vector<Send> send;
  // To be recorded without an attempt: damaged; expired; or postponed to a deliver_at still to come, because the clock
  // was set back or an operator replayed the delivery early.
  struct Unsent {
    EndpointPtr endpoint;
    DueDelivery delivery;
    RecordOutcome record;
  };
  std::vector<Unsent> unsent;
  std::vector<Fetch> fetch;
  // Search the disk, from `after` on, for expired pending deliveries, held back or not.
  struct FindExpired {
    ExpiryPlace after;
    int limit;
  };
  std::optional<FindExpired> find_expired;
  std::optional<MonotonicTime> wake_at;  // call next() again at this time, if nothing happens before
};

struct LaneStatus {
  EndpointPtr endpoint;
  int sending = 0;
  int failures = 0;   // in a row
  bool open = false;  // the circuit breaker
  std::optional<LastFailure> last_failure;
  // What those of its deliveries wait for that are due, first in their order and not under way; and for how long,
  // absent: for no set time.
  WaitingFor holds = WaitingFor::kSlot;
  std::optional<Millis> opens_in;
  std::vector<EventSeq> under_way;  // sent, or their outcome is not committed yet; in no order
};

class Scheduler {
 public:
  struct Options {
    int max_in_flight = 20'000;
    int max_in_flight_per_endpoint = 32;
    std::vector<Millis> retry_schedule = default_retry_schedule();
    int window = 64;  // deliveries of one lane in memory, besides those under way
    // Deliveries in memory besides those being sent, all lanes; about 1 KiB each besides the payload.
    int max_held = 16'384;
    std::size_t max_held_bytes = 32u << 20;  // payload bytes in memory, also of those being sent
    std::size_t max_fetch_bytes = 1u << 20;  // payload of one fetch (one delivery may be larger)
    int max_fetches = 16;                    // fetches requested and not answered yet
    int max_expired = 256;                   // expired deliveries read from disk and recorded at a time
    std::size_t max_sends = 32;  // per next(): results that came in must not wait for thousands of sends
    std::uint64_t seed = 1;      // of the jitter
  };
  explicit Scheduler(Options options);

  // Facts (store/facts.h), in the order of their commits:
  void hear(const EndpointChanged& fact, Moment now);
  void hear(DeliveryReady fact, Moment now);
  void hear(const DueOnDisk& fact, Moment now);
  void hear(const DeliveryWithdrawn& fact);  // too late if it is being sent
  void hear(const OutcomeRecorded& fact, Moment now);
  void hear(const DueTimesMoved& fact);
  // The endpoint is this daemon's to serve: a new one, or its current version. A version older than the known one is
  // ignored.
  void put_endpoint(const EndpointPtr& endpoint, Moment now);
  // The endpoint is no longer this daemon's to serve. Requests under way finish; their outcomes are recorded but say
  // nothing about the endpoint.
  void drop_endpoint(EndpointSeq endpoint);
  // The endpoints of these partitions that have a lane, including lanes that are leaving.
  std::vector<EndpointSeq> lanes_of(const PartitionSet& partitions) const;
  // Deliveries with a sequence key are not sent before that: those that a former owner sent may still arrive.
  void hold_ordered(const PartitionSet& partitions, MonotonicTime until);
  // Is nothing of these partitions left in memory?
  bool is_rid_of(const PartitionSet& partitions) const;

  void fetched(EndpointSeq endpoint, DueWindow found, Moment now);
  void expired(std::vector<DueDelivery> found, Moment now);  // the result of Decisions::find_expired
  // The attempt of a delivery from Decisions::send has ended. The caller adds the attempt to the record.
  struct Ended {
    RecordOutcome record;
    // To be stored: since when every attempt has failed, or (outer value set, inner empty) that this is over.
    std::optional<std::optional<Time>> failing_since;
    std::optional<std::string> disable;  // the reason: "gone", "failing"
    std::optional<Time> recovered;       // it recovered, and had been failing since this time
    std::optional<Millis> slowed_for;    // its answers asked for less, and now it is paused for this long
  };
  Ended attempt_ended(DeliveryKey key, const AttemptReport& report, Moment now);
  // The request was aborted and its result is unknown: the delivery is still pending on disk.
  void abandoned(DeliveryKey key);
  // No request can be made of it, whoever is there to receive it: it is dead without an attempt.
  RecordOutcome unsendable(DeliveryKey key, DeadReason reason, Moment now);
  void try_now(EndpointSeq endpoint, Moment now);  // ends a pause of our own: somebody has seen it answer
  void policy_changed(Moment now);    // the address policy changed: what it refused may be allowed now
  void drain() { draining_ = true; }  // from now on it neither sends nor fetches

  Decisions next(Moment now);

  int in_flight() const { return sending_; }
  int held() const { return held_; }
  std::size_t held_bytes() const { return held_bytes_; }
  // For status: the lanes that are failing, sending or held back; or only one lane, however it is. O(lanes), and what
  // they hold.
  std::vector<LaneStatus> lanes(Moment now, std::optional<EndpointSeq> only = {}) const;

 private:
  Lane* find(EndpointSeq endpoint);
  int max_in_flight_of(const Lane& lane) const;  // as configured
  int window_of(const Lane& lane) const;         // deliveries in memory
  const std::vector<Millis>& schedule_of(const Lane& lane) const;
  bool may_send(const Lane& lane, Moment now) const;
  bool has_room(ServiceClass service_class) const;
  std::optional<ServiceClass> worst_with_slots() const;
  std::optional<ServiceClass> worst_with_room() const;

  // memory
  bool is_known(const Lane& lane, EventSeq event) const;
  bool fits(const Lane& lane) const;
  bool admit(Lane& lane, DueDelivery delivery);  // false: left on disk
  void erase_held(Lane& lane, EventSeq event);
  void release(Lane& lane, EventSeq event);
  void leave_on_disk(Lane& lane, MonotonicTime due);
  void drop_waiting(Lane& lane);  // they are on disk anyway
  void take_from_window(Lane& lane, const Held& held);

  // turns
  void touch(Lane& lane);
  void consider(Lane& lane, Moment now);  // puts the lane into the queues where it belongs now
  void set_wake(Lane& lane, std::optional<MonotonicTime> when);
  void run_wakes(MonotonicTime now);
  void classify(Lane& lane);
  void begin_anew(Lane& lane, bool other_receiver);
  EndpointHealth::Change learn(Lane& lane, const Held& held, const AttemptReport& report,
                               const Verdict& verdict, Moment now);
  int& count(ServiceClass service_class) { return sending_of_[static_cast<std::size_t>(service_class)]; }
  void find_overdue(MonotonicTime now);
  void no_longer_sending(Lane& lane, Held& held);

  // decisions
  WindowOrder pick(Lane& lane);
  void send_some(Moment now, Decisions& decisions);
  void send_one(Lane& lane, Moment now, Decisions& decisions);
  bool wait_in_order(Lane& lane, Held& held);
  bool leave_for_later(Lane& lane, const Held& held, MonotonicTime now);
  void fetch_some(Moment now, Decisions& decisions);
  void fetch_one(Lane& lane, MonotonicTime now, Decisions& decisions);
  void search_expired(MonotonicTime now, Decisions& decisions);

  Options options_;
  std::mt19937_64 random_;
  bool draining_ = false;
  std::unordered_map<EndpointSeq, std::unique_ptr<Lane>> lanes_;
  ReadyQueue to_send_, to_fetch_;
  std::set<std::pair<MonotonicTime, EndpointSeq>> wakes_;
  std::array<MonotonicTime, kPartitions> ordered_from_{};  // hold_ordered()
  std::vector<EndpointSeq> dirty_;       // lanes that have changed: the next next() considers them
  std::vector<EndpointSeq> considered_;  // empty but in next()
  struct Sent {
    MonotonicTime at;
    DeliveryKey key;
  };
  std::deque<Sent> sent_;  // the requests of the last kSlow, in order
  int sending_ = 0;
  std::array<int, kServiceClasses> sending_of_{};  // the same, by service class of the lanes
  int fetching_ = 0;
  // The search for expired deliveries, page by page: the next page is read when the last one is recorded.
  struct ExpirySearch {
    MonotonicTime next_at{};
    ExpiryPlace after;
    bool reading = false;
    std::set<DeliveryKey> released;         // while reading: left `held` after they may have been read
    std::vector<Decisions::Unsent> unsent;  // to be added to the next decisions
    int recording = 0;
  };
  ExpirySearch search_;
  int held_ = 0;
  std::size_t held_bytes_ = 0;
};

}  // namespace outboxd
