// The subscribers of a simulated world, and the requests on their way to them. How a subscriber behaves stands in its
// URL, so that an endpoint that is edited has another one.
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
  // Who watches what leaves and what comes back.
  struct Watch {
    virtual ~Watch() = default;
    virtual void attempt_begins(int daemon, const SendRequest& request) = 0;
    virtual void attempt_ends(int daemon, const SendRequest& request, const SendResult& result) = 0;
  };
  SimulatedNetwork(const Clock& clock, std::mt19937_64& random) : clock_(clock), random_(random) {}

  // A new subscriber's. `internal`: where the strict policy lets nobody go.
  std::string new_url(Manner manner, bool internal);
  std::unique_ptr<Sender> new_sender(int daemon, Watch& watch);
  static std::shared_ptr<const AddressPolicy> policy(bool strict);

  bool has_answer() const;
  std::optional<MonotonicTime> next_answer() const;
  void answer_one();
  bool is_idle() const { return requests_.empty(); }
  void heal() { healed_ = true; }  // everybody answers from now on
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
