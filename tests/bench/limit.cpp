#include "bench/limit.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "bench/event_mark.h"
#include "bench/latencies.h"
#include "bench/sending.h"
#include "store/sqlite/sqlite_store.h"
#include "telemetry/log.h"

namespace outboxd::bench {
namespace {

constexpr std::int64_t kMaxUnfinished = 8192;  // events accepted and not recorded yet
constexpr std::chrono::seconds kPatience(60);

// The half that writes.
class Writing {
 public:
  Writing(const std::filesystem::path& folder, const LimitLoad& load)
      : load_(load), store_(open_sqlite_store({.path = (folder / "outbox.db").string()})) {}

  LimitResult run() {
    const EndpointPtr endpoint = create_endpoint();
    auto target = make_target(endpoint, {.user_agent = "outboxd/limit"});
    if (!target) throw std::runtime_error("limit: " + target.error().detail);
    Sending sending(std::move(*target), load_.in_flight, ids_);
    LimitResult result;
    const auto cpu_before = cpu_of_this_thread();
    const std::int64_t start = now_ns();
    while (recorded_ < load_.events) {
      std::vector<Command> batch = accept_some(endpoint->seq);
      for (auto& outcome : sending.take(batch.empty() ? kPatience : std::chrono::milliseconds(0))) {
        batch.emplace_back(std::move(outcome));
        ++recorded_;
      }
      apply(batch);
      ++result.commits;
      sending.send(accepted_in(batch, endpoint->seq));
    }
    result.seconds = static_cast<double>(now_ns() - start) / 1e9;
    const auto totals = sending.finish();
    result.sending_cpu = totals.cpu;
    result.writing_cpu = cpu_of_this_thread() - cpu_before;
    result.failed = totals.failed;
    return result;
  }

 private:
  EndpointPtr create_endpoint() {
    Endpoint endpoint;
    endpoint.id = EndpointId{ids_.next()};
    endpoint.url = load_.url;
    endpoint.created_at = endpoint.updated_at = clock_.wall();
    endpoint.secrets.push_back({load_.secret, endpoint.created_at, {}});
    const Applied made = apply({CreateEndpoint{std::make_shared<const Endpoint>(std::move(endpoint))}});
    return std::get<EndpointPtr>(*made.answers[0]);
  }

  std::vector<Command> accept_some(EndpointSeq endpoint) {
    std::vector<Command> batch;
    for (int i = 0; i < load_.requests_per_commit; ++i) {
      const std::int64_t left = std::min(load_.events - accepted_, recorded_ + kMaxUnfinished - accepted_);
      if (left < std::min<std::int64_t>(load_.events_per_request, load_.events - accepted_) || left <= 0)
        break;
      AcceptEvents request{.events = {}, .idempotency_window = std::chrono::hours(24)};
      for (int n = 0; n < load_.events_per_request && accepted_ < load_.events; ++n)
        request.events.push_back(new_event(endpoint));
      batch.emplace_back(std::move(request));
    }
    return batch;
  }

  NewEvent new_event(EndpointSeq endpoint) {
    const Time now = clock_.wall();
    NewEvent made;
    made.event = std::make_shared<Event>();
    made.event->id = EventId{ids_.next()};
    made.event->type = "bench.event";
    made.event->payload = payload_of({0, accepted_++, now_ns()});
    made.event->created_at = now;
    made.endpoints.emplace_back().endpoint = endpoint;
    made.deliveries = 1;
    return made;
  }

  Applied apply(const std::vector<Command>& commands) {
    std::vector<const Command*> batch;
    batch.reserve(commands.size());
    for (const Command& command : commands) batch.push_back(&command);
    Applied applied = store_->writer().apply({batch, store_->ownership().token});
    for (const auto& answer : applied.answers) {
      if (!answer) throw std::runtime_error("limit: the store refused: " + answer.error().detail);
    }
    store_->writer().maintain();
    return applied;
  }

  static std::vector<ToSend> accepted_in(const std::vector<Command>& batch, EndpointSeq endpoint) {
    std::vector<ToSend> deliveries;
    for (const Command& command : batch) {
      const auto* const accepted = std::get_if<AcceptEvents>(&command);
      if (accepted == nullptr) continue;
      for (const NewEvent& made : accepted->events) deliveries.push_back({made.event, endpoint});
    }
    return deliveries;
  }

  const LimitLoad& load_;
  SystemClock clock_;
  UuidGenerator ids_{clock_};
  std::unique_ptr<Store> store_;
  std::int64_t accepted_ = 0, recorded_ = 0;
};

}  // namespace

LimitResult run_limit(const std::filesystem::path& folder, const LimitLoad& load) {
  log::configure(log::Level::kWarn, log::Format::kAuto);  // that it made a database is no news here
  return Writing(folder, load).run();
}

}  // namespace outboxd::bench
