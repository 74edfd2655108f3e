#include "bench/store_work.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>

#include "bench/event_mark.h"
#include "bench/sending.h"
#include "store/postgresql/postgres_store.h"
#include "telemetry/log.h"

namespace outboxd::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMaxUnfinished = 8192;  // events accepted and not recorded yet
constexpr int kFoundAtOnce = 256;
constexpr std::size_t kMaxFoundBytes = std::size_t{8} << 20;
// Who finds waits until this many wait to be found, or for this long: so that one query finds as many as one commit brings.
constexpr std::int64_t kWorthFinding = 64;
constexpr auto kLinger = 2ms;
constexpr auto kPatience = 30s;

// What the threads know of each other.
class Progress {
 public:
  void committed(std::int64_t accepted, const std::vector<EventSeq>& recorded) {
    {
      const std::lock_guard lock(mutex_);
      accepted_ += accepted;
      unfinished_ -= static_cast<std::int64_t>(recorded.size());
      for (const EventSeq event : recorded) held_.erase(event);
    }
    changed_.notify_all();
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
  }
  // Waits until there is something to find and room for it. False: no more.
  bool wait(std::int64_t room) {
    std::unique_lock lock(mutex_);
    const auto has_room = [&] { return ended_ || unfinished_ < room; };
    const auto is_worth_it = [&] { return has_room() && (ended_ || accepted_ - found_ >= kWorthFinding); };
    changed_.wait(lock, [&] { return has_room() && (ended_ || accepted_ > found_); });
    changed_.wait_for(lock, kLinger, is_worth_it);
    return !ended_;
  }
  std::vector<EventSeq> held() {
    const std::lock_guard lock(mutex_);
    return {held_.begin(), held_.end()};
  }
  void found(const std::vector<ToSend>& deliveries) {
    const std::lock_guard lock(mutex_);
    found_ += static_cast<std::int64_t>(deliveries.size());
    unfinished_ += static_cast<std::int64_t>(deliveries.size());
    for (const ToSend& delivery : deliveries) held_.insert(delivery.event->seq);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t accepted_ = 0, found_ = 0, unfinished_ = 0;
  std::set<EventSeq> held_;
  bool ended_ = false;
};

class Work {
 public:
  explicit Work(const StoreWork& work) : work_(work), store_(open_postgres_store({.url = work.url})) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!store_->ownership().partitions.all()) {
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("the store is another's");
      store_->wait_for_changes(100ms);
    }
    if (work.finds == Finds::kByClaims) Claims::prepare(work.url, work.lease);
  }

  StoreWorkResult run() {
    endpoints_.reserve(static_cast<std::size_t>(work_.endpoints));
    for (int i = 0; i < work_.endpoints; ++i) endpoints_.push_back(create_endpoint());
    if (work_.warm_up > 0) carry_out(1, work_.warm_up, work_.in_flight);
    result_ = {};
    carry_out(0, work_.events, work_.in_flight);
    return std::move(result_);
  }

 private:
  void carry_out(int stream, std::int64_t events, int in_flight) {
    stream_ = stream;
    accepted_ = recorded_ = 0;
    auto target = make_target(endpoints_.front(), {.user_agent = "outboxd/bench"});
    if (!target) throw std::runtime_error(target.error().detail);
    Sending sending(std::move(*target), in_flight, ids_);
    Progress progress;
    if (work_.accepted_before) accept_all(events, progress);
    if (stream == 0 && work_.began) work_.began();
    const auto cpu_before = cpu_of_this_thread();
    start_ = now_ns();
    std::vector<std::thread> finders = start_finders(sending, progress);
    while (recorded_ < events) step(events, sending, progress);
    result_.seconds = static_cast<double>(now_ns() - start_) / 1e9;
    result_.writing_cpu = cpu_of_this_thread() - cpu_before;
    progress.end();
    for (std::thread& finder : finders) finder.join();
    const auto totals = sending.finish();
    result_.sending_cpu = totals.cpu;
    result_.failed = totals.failed;
  }

  void step(std::int64_t events, Sending& sending, Progress& progress) {
    std::vector<Command> batch =
        accept_some(std::min(events, due_by_now(events)), recorded_ + kMaxUnfinished);
    std::vector<ToSend> accepted = accepted_in(batch);
    std::vector<EventSeq> recorded;
    for (auto& outcome : sending.take(batch.empty() ? 1ms : 0ms)) {
      recorded.push_back(outcome.key.event);
      batch.emplace_back(std::move(outcome));
    }
    recorded_ += static_cast<std::int64_t>(recorded.size());
    if (batch.empty()) return;
    apply(batch);
    ++result_.commits;
    progress.committed(static_cast<std::int64_t>(accepted.size()), recorded);
    if (work_.finds == Finds::kInCommits) sending.send(std::move(accepted));
  }

  std::int64_t due_by_now(std::int64_t events) const {
    if (work_.rate <= 0) return events;
    return static_cast<std::int64_t>(static_cast<double>(now_ns() - start_) / 1e9 * work_.rate);
  }

  void accept_all(std::int64_t events, Progress& progress) {
    while (accepted_ < events) {
      const std::vector<Command> batch = accept_some(events, events);
      apply(batch);
      progress.committed(static_cast<std::int64_t>(accepted_in(batch).size()), {});
    }
  }

  std::vector<std::thread> start_finders(Sending& sending, Progress& progress) {
    std::vector<std::thread> finders;
    if (work_.finds == Finds::kInCommits) return finders;
    const int count = work_.finds == Finds::kByDue ? 1 : work_.claimers;
    finders.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
      finders.emplace_back([this, &sending, &progress] { find(sending, progress); });
    return finders;
  }

  void find(Sending& sending, Progress& progress) {
    try {
      const auto cpu_before = cpu_of_this_thread();
      std::unique_ptr<StoreReader> reader;
      std::unique_ptr<Claims> claims;
      if (work_.finds == Finds::kByDue) {
        reader = store_->new_reader();
      } else {
        claims = std::make_unique<Claims>(work_.url, work_.lease);
      }
      std::vector<Sample> samples;
      std::size_t turn = 0;
      while (progress.wait(std::max(2 * work_.in_flight, kFoundAtOnce))) {
        const std::int64_t began = now_ns();
        auto found = claims ? claims->claim(kFoundAtOnce)
                            : due(*reader, endpoints_[turn++ % endpoints_.size()]->seq, progress);
        samples.push_back({began, now_ns()});
        progress.found(found);
        sending.send(std::move(found));
      }
      const std::lock_guard lock(mutex_);
      result_.finding_cpu += cpu_of_this_thread() - cpu_before;
      std::ranges::move(samples, std::back_inserter(result_.finds));
    } catch (const std::exception& error) {  // nobody could go on without it
      log::error("what is due cannot be found", {{"error", error.what()}});
      std::abort();
    }
  }

  static std::vector<ToSend> due(StoreReader& reader, EndpointSeq endpoint, Progress& progress) {
    const DueWindow window = reader.due(endpoint, kFoundAtOnce, kMaxFoundBytes, progress.held());
    std::vector<ToSend> deliveries;
    deliveries.reserve(window.deliveries.size());
    for (const DueDelivery& delivery : window.deliveries) deliveries.push_back({delivery.event, endpoint});
    return deliveries;
  }

  EndpointPtr create_endpoint() {
    Endpoint endpoint;
    endpoint.id = EndpointId{ids_.next()};
    endpoint.url = work_.target;
    endpoint.created_at = endpoint.updated_at = clock_.wall();
    endpoint.secrets.push_back({work_.secret, endpoint.created_at, {}});
    const Applied made = apply({CreateEndpoint{std::make_shared<const Endpoint>(std::move(endpoint))}});
    return std::get<EndpointPtr>(*made.answers[0]);
  }

  // Whole requests, up to the event of this number.
  std::vector<Command> accept_some(std::int64_t until, std::int64_t most) {
    std::vector<Command> batch;
    for (int i = 0; i < work_.requests_per_commit && accepted_ < std::min(until, most); ++i) {
      AcceptEvents request{.events = {}, .idempotency_window = std::chrono::hours(24)};
      for (int n = 0; n < work_.events_per_request && accepted_ < until; ++n)
        request.events.push_back(new_event());
      batch.emplace_back(std::move(request));
    }
    return batch;
  }

  NewEvent new_event() {
    const Time now = clock_.wall();
    NewEvent made;
    made.event = std::make_shared<Event>();
    made.event->id = EventId{ids_.next()};
    made.event->type = "bench.event";
    made.event->payload = payload_of({stream_, accepted_, now_ns()});
    made.event->created_at = now;
    made.endpoints.emplace_back().endpoint =
        endpoints_[static_cast<std::size_t>(accepted_++) % endpoints_.size()]->seq;
    made.deliveries = 1;
    return made;
  }

  Applied apply(const std::vector<Command>& commands) {
    std::vector<const Command*> batch;
    batch.reserve(commands.size());
    for (const Command& command : commands) batch.push_back(&command);
    Applied applied = store_->writer().apply({batch, store_->ownership().token});
    for (const auto& answer : applied.answers) {
      if (!answer) throw std::runtime_error("the store refused: " + answer.error().detail);
    }
    store_->writer().maintain();
    return applied;
  }

  static std::vector<ToSend> accepted_in(const std::vector<Command>& batch) {
    std::vector<ToSend> deliveries;
    for (const Command& command : batch) {
      const auto* const accepted = std::get_if<AcceptEvents>(&command);
      if (accepted == nullptr) continue;
      for (const NewEvent& made : accepted->events)
        deliveries.push_back({made.event, made.endpoints.front().endpoint});
    }
    return deliveries;
  }

  const StoreWork& work_;
  SystemClock clock_;
  UuidGenerator ids_{clock_};
  std::unique_ptr<Store> store_;
  std::vector<EndpointPtr> endpoints_;
  int stream_ = 0;
  std::int64_t accepted_ = 0, recorded_ = 0, start_ = 0;
  std::mutex mutex_;
  StoreWorkResult result_;  // the finders' part is guarded by mutex_
};

}  // namespace

StoreWorkResult run_store_work(const StoreWork& work) {
  log::configure(log::Level::kWarn, log::Format::kAuto);  // that it made a database is no news here
  return Work(work).run();
}

}  // namespace outboxd::bench
