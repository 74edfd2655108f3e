// The delivery loop: one thread that runs the scheduler's decisions. It sends what the scheduler says, has
// the outcomes committed, and tells the scheduler what came of both. Everything from other threads arrives as
// a posted task, in order.
//
//   offer, wake, endpoint changes ─▶ ┌───────────┐ ─send──▶ HttpSender ─result─┐
//                                    │ scheduler │                             │
//   BacklogReader ◀────fetch──────── └───────────┘ ◀───────────────────────────┤
//        └───────────fetched──────────────▲   ▲                                ▼
//                                             └────recorded──── GroupCommit ◀─outcome
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "delivery/backlog_reader.h"
#include "delivery/request_builder.h"
#include "delivery/scheduler.h"
#include "outbound/http_sender.h"
#include "runtime/event_loop.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd {

struct DeliveryStatus {
  int in_flight = 0;
  std::vector<LaneStatus> lanes;  // those that fail or send something, in no order
};

// Whose an attempt was.
struct AttemptSubject {
  DeliveryId delivery;
  EventId event;
  EndpointId endpoint;
  std::string type;  // of the event
};

// What the rest of the daemon has to do about endpoints, dead letters and attempts. Called on a loop's thread.
struct DeliveryHooks {
  // The endpoint as the loop knew it: what has been changed since is not to be disabled for what it was before.
  std::function<void(const EndpointPtr&, const std::string& reason)> disable;
  std::function<void(const EndpointPtr&, Time failing_since)> recovered;
  // Before the outcome is committed: who announces it commits the announcement no later.
  std::function<void(const EndpointPtr&, const DueDelivery&, const RecordOutcome&)> dead;
  // After the commit of an outcome with an attempt; on the writer's thread, in the order of the commits. The outcome may
  // be taken apart.
  std::function<void(const AttemptSubject&, RecordOutcome&)> recorded;
};

class DeliveryLoop {
 public:
  struct Options {
    Scheduler::Options scheduler;
    RequestDefaults request;
    HttpSender::Options sender;
    bool store_responses = true;  // what subscribers answer, beyond the status
  };
  DeliveryLoop(Store& store, GroupCommit& commits, const Clock& clock, UuidGenerator& ids,
               telemetry::Metrics& metrics, const std::shared_ptr<const AddressPolicy>& policy,
               Options options, const DeliveryHooks& hooks);
  ~DeliveryLoop() { end_thread(); }
  DeliveryLoop(const DeliveryLoop&) = delete;

  void start(const std::vector<EndpointPtr>& endpoints);

  // Any thread.
  void endpoint_changed(EndpointSeq seq, EndpointPtr endpoint);  // null: removed
  void offer(std::vector<DueDelivery> fresh);
  void wake(EndpointSeq endpoint, Time due);
  void withdraw(DeliveryKey key);
  void set_policy(std::shared_ptr<const AddressPolicy> policy);
  // One request to the endpoint as it is, whatever its state, outside every schedule and limit; nothing is
  // stored. `done` runs on the loop.
  void send_test(EndpointPtr endpoint, std::shared_ptr<const Event> event, std::function<void(Attempt)> done);
  // Would a request to this URL, with these TLS files, be let go now? Its name is resolved for it; a name without an
  // address may get one. `done` runs on the loop: kSuccess, kBlocked, kTls, or why that is not known.
  struct Judgement {
    Outcome outcome;
    std::string error;   // for whoever asked
    std::string denial;  // SendResult::denial
  };
  void judge(EndpointUrl url, EndpointTls tls, std::function<void(Judgement)> done);
  void look_again();                                            // due times on disk have changed
  void ask_status(std::function<void(DeliveryStatus)> answer);  // called on the loop
  Millis since_progress() const { return loop_.since_progress(); }

  // Sends nothing new, waits up to `limit` for what is in flight, aborts the rest (it is due again at the
  // next start).
  void begin_stop(Millis limit);
  // Until then; every outcome has been submitted to the group commit. Blocks; called once.
  void wait_stopped() { idle_.get_future().wait(); }
  // Without finishing anything: what is under way is due again at the next start.
  void end_thread();

 private:
  void pump();
  void send(Decisions::Send next, Moment now);
  // `target`: what it was sent to, whatever the endpoint is now.
  void ended(const Decisions::Send& sent, const Target& target, Time started_at, SendResult result);
  void record(const EndpointPtr& endpoint, const DueDelivery& delivery, RecordOutcome outcome,
              const std::string& error);
  void put_endpoint(const EndpointPtr& endpoint);
  BacklogReader::Callbacks backlog_callbacks();
  void set_timer(std::optional<MonotonicTime> when, MonotonicTime now);
  void finish_if_idle();
  std::string new_span_id();

  GroupCommit& commits_;
  const Clock& clock_;
  UuidGenerator& ids_;
  telemetry::Metrics& metrics_;
  Options options_;
  const DeliveryHooks& hooks_;
  EventLoop loop_;
  Scheduler scheduler_;
  HttpSender sender_;
  BacklogReader backlog_;
  std::unordered_map<EndpointSeq, std::shared_ptr<const Target>> targets_;
  std::optional<EventLoop::TimerId> timer_;
  MonotonicTime timer_for_{};
  std::promise<void> idle_;
  bool stopping_ = false;
  bool finished_ = false;
  std::thread thread_;
};

}  // namespace outboxd
