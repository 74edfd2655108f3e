// The delivery loops ([delivery] threads of them), as one: every endpoint belongs to one of them, by its number, so that its
// limits, its order and its health are exact. Each gets its share of the global limits.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "delivery/delivery_loop.h"

namespace outboxd {

class DeliveryLoops {
 public:
  struct Options {
    int threads = 1;
    DeliveryLoop::Options loop;  // the limits are those of all loops together
  };
  DeliveryLoops(Store& store, GroupCommit& commits, const Clock& clock, UuidGenerator& ids,
                telemetry::Metrics& metrics, const std::shared_ptr<const AddressPolicy>& policy,
                const Options& options, DeliveryHooks hooks);

  void start(const std::vector<EndpointPtr>& endpoints);

  // Any thread; see DeliveryLoop.
  void endpoint_changed(EndpointSeq seq, const EndpointPtr& endpoint) {
    of(seq).endpoint_changed(seq, endpoint);
  }
  void offer(std::vector<DueDelivery> fresh);
  void wake(EndpointSeq endpoint, Time due) { of(endpoint).wake(endpoint, due); }
  void withdraw(DeliveryKey key) { of(key.endpoint).withdraw(key); }
  void look_again();
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy);
  void send_test(const EndpointPtr& endpoint, std::shared_ptr<const Event> event,
                 std::function<void(Attempt)> done) {
    of(endpoint->seq).send_test(endpoint, std::move(event), std::move(done));
  }
  void judge(EndpointUrl url, EndpointTls tls, std::function<void(DeliveryLoop::Judgement)> done) {
    loops_.front()->judge(std::move(url), std::move(tls), std::move(done));
  }
  // What all of them say, on the thread of the last one to answer. Late when a loop is late, and never when it hangs:
  // who asks keeps a deadline.
  void ask_status(std::function<void(DeliveryStatus)> answer);
  Millis since_progress() const;  // of the loop that is worst off
  void stop(Millis limit);        // blocks; called once
  void end_threads();             // started or not, without finishing anything

 private:
  std::size_t index_of(EndpointSeq seq) const { return static_cast<std::size_t>(seq) % loops_.size(); }
  DeliveryLoop& of(EndpointSeq seq) { return *loops_[index_of(seq)]; }

  const DeliveryHooks hooks_;
  std::vector<std::unique_ptr<DeliveryLoop>> loops_;
};

}  // namespace outboxd
