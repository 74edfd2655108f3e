// All delivery loops ([delivery] threads) behind one interface. Each endpoint belongs to one loop, by its number, so
// that its limits, its order and its health are exact. Each loop gets its share of the global limits.
#pragma once

#include <memory>
#include <vector>

#include "delivery/delivery_loop.h"

namespace outboxd {

class DeliveryLoops final : public DeliverySide {
 public:
  struct Options {
    int threads = 1;
    DeliveryLoop::Options loop;  // the limits are those of all loops together
  };
  DeliveryLoops(const DeliveryLoop::Parts& parts, const std::shared_ptr<const AddressPolicy>& policy,
                const Options& options);

  void start();

  // Any thread; see DeliveryEngine.
  void hear(Facts facts) override;
  void own(const PartitionSet& partitions, Millis ordered_after) override;
  void disown(const PartitionSet& partitions, bool abort, Disowned done) override;
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy);
  void send_test(const EndpointPtr& endpoint, std::shared_ptr<const Event> event,
                 std::function<void(Attempt)> done) {
    loops_[index_of(endpoint->seq)]->engine().send_test(endpoint, std::move(event), std::move(done));
  }
  void preflight(EndpointUrl url, EndpointTls tls, std::function<void(DeliveryEngine::Preflight)> done) {
    loops_.front()->engine().preflight(std::move(url), std::move(tls), std::move(done));
  }
  // Collects the status of all loops; `answer` runs on the thread of the last one to reply. It is late when a loop is
  // late and never comes when a loop hangs, so the caller must keep a deadline.
  void ask_status(std::optional<EndpointSeq> only, std::function<void(EngineStatus)> answer);
  Millis since_progress() const;  // of the loop that is furthest behind
  void stop(Millis limit);        // blocks; called once
  void end_threads();             // whether or not started; finishes nothing

 private:
  std::size_t index_of(EndpointSeq seq) const { return static_cast<std::size_t>(seq) % loops_.size(); }

  std::vector<std::unique_ptr<DeliveryLoop>> loops_;
};

}  // namespace outboxd
