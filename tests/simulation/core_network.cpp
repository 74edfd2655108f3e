#include "simulation/core_network.h"

#include <algorithm>

#include "common/text.h"

namespace outboxd::simulation {
namespace {

constexpr char kInternal[] = "10.2.0.0/16";
constexpr char kExternal[] = "10.1.0.0/16";

// "https://10.<1 or 2>.0.1/<number>/<manner>"
Manner manner_of(const EndpointUrl& url) {
  return static_cast<Manner>(url.text.back() - '0');
}

SendResult status(int code) {
  const Outcome outcome = code < 300 ? Outcome::kSuccess : code < 500 ? Outcome::kHttp4xx : Outcome::kHttp5xx;
  SendResult result;
  result.outcome = outcome;
  result.status = code;
  if (outcome != Outcome::kSuccess) result.error = "HTTP " + std::to_string(code);
  return result;
}

SendResult failure(Outcome outcome, std::string error) {
  SendResult result;
  result.outcome = outcome;
  result.error = std::move(error);
  return result;
}

}  // namespace

class SimulatedNetwork::SimulatedSender final : public Sender {
 public:
  SimulatedSender(SimulatedNetwork& network, int daemon, Watch& watch)
      : network_(network), daemon_(daemon), watch_(watch) {}
  ~SimulatedSender() override {
    std::erase_if(network_.requests_, [this](const Request& r) { return r.sender == this; });
  }

  void send(SendRequest request, Done done) override {
    watch_.attempt_begins(daemon_, request);
    Request mine = network_.judge(std::move(request));
    if (const auto denial = policy_->why_denied(mine.request.to->url)) {
      mine.at = network_.clock_.monotonic();
      mine.result = failure(Outcome::kBlocked, denial->text);
    }
    mine.sender = this;
    mine.done = std::move(done);
    network_.requests_.push_back(std::move(mine));
  }
  void flush() override {}
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy) override { policy_ = policy; }
  void abort(std::int64_t group) override {
    abort_if([group](const Request& r) { return r.request.group == group; });
  }
  void abort_all() override {
    abort_if([](const Request&) { return true; });
  }

  void end(const Request& request) {
    watch_.attempt_ends(daemon_, request.request, request.result);
    request.done(request.result);
  }

 private:
  template <class Condition>
  void abort_if(Condition condition) {
    std::vector<Request> theirs;
    std::erase_if(network_.requests_, [&](Request& r) {
      if (r.sender != this || !condition(r)) return false;
      theirs.push_back(std::move(r));
      return true;
    });
    for (Request& request : theirs) {
      request.result = failure(Outcome::kConnect, "aborted");
      request.result.aborted = true;
      end(request);
    }
  }

  SimulatedNetwork& network_;
  const int daemon_;
  Watch& watch_;
  std::shared_ptr<const AddressPolicy> policy_ = SimulatedNetwork::policy(true);
};

std::string SimulatedNetwork::new_url(Manner manner, bool internal) {
  return std::string("https://10.") + (internal ? "2" : "1") + ".0.1/" + std::to_string(++urls_) + "/" +
         std::to_string(static_cast<int>(manner));
}

std::unique_ptr<Sender> SimulatedNetwork::new_sender(int daemon, Watch& watch) {
  return std::make_unique<SimulatedSender>(*this, daemon, watch);
}

std::shared_ptr<const AddressPolicy> SimulatedNetwork::policy(bool strict) {
  AddressPolicy::Options options;
  options.allow_networks.push_back(*Network::parse(kExternal));
  if (!strict) options.allow_networks.push_back(*Network::parse(kInternal));
  return std::make_shared<const AddressPolicy>(std::move(options));
}

SimulatedNetwork::Request SimulatedNetwork::judge(SendRequest request) {
  const Manner manner = manner_of(request.to->url);
  Request made{.sender = nullptr, .request = std::move(request), .done = {}, .at = {}, .result = {}};
  made.result = healed_ ? status(200) : answer_of(manner);
  const Millis took = healed_ ? some(5) : time_of(manner, made.request);
  made.result.timings.total = took;
  made.at = clock_.monotonic() + took;
  return made;
}

SendResult SimulatedNetwork::answer_of(Manner manner) {
  const unsigned dice = static_cast<unsigned>(random_() % 100);
  switch (manner) {
    case Manner::kPrompt:
    case Manner::kSlow:
      return status(dice < 2 ? 500 : 200);
    case Manner::kHanging:
      return failure(Outcome::kTimeout, "timeout");
    case Manner::kFailing:
      return status(dice < 70 ? 503 : dice < 90 ? 404 : 200);
    case Manner::kFlapping:
      return status(clock_.monotonic().time_since_epoch() / std::chrono::seconds(3) % 2 == 0 ? 500 : 200);
    case Manner::kLimiting: {
      SendResult result = status(dice < 40 ? 429 : 200);
      if (result.status == 429) result.retry_after = std::to_string(1 + dice % 2);
      return result;
    }
    case Manner::kRefusing:
      return dice < 80 ? failure(Outcome::kConnect, "connection refused") : status(200);
    case Manner::kGone:
      return status(dice < 30 ? 410 : 200);
  }
  return status(200);
}

Millis SimulatedNetwork::time_of(Manner manner, const SendRequest& request) {
  if (manner == Manner::kHanging) return request.timeout;
  if (manner == Manner::kSlow) return Millis(200) + some(2000);
  return some(20);
}

bool SimulatedNetwork::has_answer() const {
  const auto next = next_answer();
  return next && *next <= clock_.monotonic();
}

std::optional<MonotonicTime> SimulatedNetwork::next_answer() const {
  const auto first = std::ranges::min_element(requests_, {}, &Request::at);
  if (first == requests_.end()) return std::nullopt;
  return first->at;
}

void SimulatedNetwork::answer_one() {
  const auto first = std::ranges::min_element(requests_, {}, &Request::at);
  const Request ended = std::move(*first);
  requests_.erase(first);
  ended.sender->end(ended);
}

}  // namespace outboxd::simulation
