// The subscribers of a simulated world, and the requests on their way to them. A subscriber's URL says how it behaves,
// so an endpoint whose behaviour is edited gets another URL.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/clock.h"
#include "outbound/sender.h"

namespace outboxd::simulation {

enum class Manner { kPrompt, kSlow, kHanging, kFailing, kFlapping, kLimiting, kRefusing, kGone };
inline constexpr int kManners = 8;

class SimulatedNetwork {
 public:
  // Sees every request that leaves and every answer that comes back.
  struct Watch {
    virtual ~Watch() = default;
    virtual void attempt_begins(int daemon, const SendRequest& request) = 0;
    virtual void attempt_ends(int daemon, const SendRequest& request, const SendResult& result) = 0;
  };
  SimulatedNetwork(const Clock& clock, std::mt19937_64& random) : clock_(clock), random_(random) {}

  // The URL of a new subscriber. `internal`: at an address that the strict policy denies.
  std::string new_url(Manner manner, bool internal);
  std::unique_ptr<Sender> new_sender(int daemon, Watch& watch);
  static std::shared_ptr<const AddressPolicy> policy(bool strict);

  bool has_answer() const;
  std::optional<MonotonicTime> next_answer() const;
  void answer_one();
  bool is_idle() const { return requests_.empty(); }
  void heal() { healed_ = true; }  // from now on every subscriber answers
  void hurt() { healed_ = false; }

 private:
  class SimulatedSender;
  struct Request {
    SimulatedSender* sender;
    SendRequest request;
    Sender::Done done;
    MonotonicTime at;
    SendResult result;
  };
  Request judge(SendRequest request);
  SendResult answer_of(Manner manner);
  Millis time_of(Manner manner, const SendRequest& request);
  Millis some(int most) { return Millis(static_cast<int>(random_() % static_cast<unsigned>(most + 1))); }

  const Clock& clock_;
  std::mt19937_64& random_;
  std::vector<Request> requests_;
  int urls_ = 0;
  bool healed_ = false;
};

}  // namespace outboxd::simulation
