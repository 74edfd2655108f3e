#include "simulation/core_daemon.h"

#include <algorithm>

#include "simulation/core_trace.h"

namespace outboxd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Millis kLookAgain = 250ms;  // how often App looks for changes that it was not told of
constexpr Millis kStopLimit = 3s;

const std::vector<Millis> kSchedule = {0ms, 200ms, 1s, 3s};

DeliveryEngine::Options engine_options(std::uint64_t seed) {
  DeliveryEngine::Options options;
  options.scheduler = {.max_in_flight = 16,
                       .max_in_flight_per_endpoint = 4,
                       .retry_schedule = kSchedule,
                       .window = 4,
                       .max_held = 48,
                       .max_held_bytes = 4000,
                       .max_fetches = 3,
                       .max_expired = 4,
                       .max_sends = 3,
                       .seed = seed};
  options.max_pieces = 3;
  options.request.timeout = 2s;
  return options;
}

Ingest::Options ingest_options() {
  Ingest::Options options;
  options.idempotency_window = 10s;
  options.deliveries_at_once = 3;
  return options;
}

}  // namespace

CoreDaemon::CoreDaemon(const World& world, int number)
    : world_(world),
      number_(number),
      ids_(world.clock, [&random = world.random] { return random(); }),
      delivery_loop_(world.clock),
      backlog_loop_(world.clock),
      background_loop_(world.clock),
      main_loop_(world.clock),
      store_(world.store.join(number)),
      commits_(std::make_unique<GroupCommit>(store_->writer(), store_->ownership().token, world.clock,
                                             GroupCommit::Options{.max_batch = 8,
                                                                  .max_batch_bytes = 4000,
                                                                  .max_batch_rows = 20,
                                                                  .queue = 20,
                                                                  .busy_limit = 300ms},
                                             [this](const std::string&) { failed_ = true; })),
      removed_(*commits_, world.clock, main_loop_),
      retention_(*commits_, world.clock, metrics_, main_loop_),
      type_counts_(*commits_, main_loop_),
      sender_(world.network.new_sender(number, world.attempts)),
      engine_({.executor = delivery_loop_,
               .backlog_executor = backlog_loop_,
               .sender = *sender_,
               .store = *store_,
               .commits = *commits_,
               .clock = world.clock,
               .ids = ids_,
               .metrics = metrics_,
               .endpoints_of = [this](const PartitionSet& partitions) { return directory_.of(partitions); }},
              engine_options(world.random())),
      fan_out_(background_loop_, *store_, *commits_, directory_,
               {.first_wait = 0ms, .step = 2, .remembered = 2}),
      batch_targets_(directory_, [this] { return retention_.delivered_kept_since(); }),
      batches_(background_loop_, *store_, *commits_, world.clock, metrics_, batch_targets_.finder()),
      ingest_(*commits_, directory_, world.clock, ids_, metrics_, ingest_options()),
      outbox_(background_loop_, *store_, ingest_),
      operational_events_(ingest_, directory_, world.clock),
      backlog_(background_loop_, *store_, 20,
               std::bind_front(&OperationalEvents::backlog, &operational_events_)),
      router_({.directory = directory_,
               .delivery = engine_,
               .attempts = attempt_feed_,
               .operational_events = operational_events_,
               .fan_out = fan_out_,
               .outbox = outbox_,
               .removed_endpoints = removed_,
               .retention = retention_,
               .type_counts = type_counts_,
               .batches = batches_,
               .backlog = backlog_},
              *store_) {
  world_.attempts.started(number, world.commits);
  directory_.load(store_->new_reader()->all_endpoints());
  commits_->tell([this](Facts facts) { hear(std::move(facts)); });
  delivery_loop_.after_each_round([this] { engine_.pump(); });
  delivery_loop_.post([] {});
  set_policy(world.strict_policy);
  retention_.set({.delivered = 20s, .dead = 40s, .at_least = 10s, .payload = 15s});
  ingest_.when_accepted([this] { type_counts_.events_accepted(); });
  const Facts ours{PartitionsOwned{store_->ownership().partitions}};
  world_.note(std::to_string(number) + " starts: " + describe(ours));
  router_.route(ours);
}

CoreDaemon::~CoreDaemon() {
  failed_ = true;
  world_.store.leave(number_);
  world_.attempts.ended(number_);
  commits_.reset();
  for (StepExecutor* loop : {&delivery_loop_, &backlog_loop_, &background_loop_, &main_loop_}) loop->clear();
}

// ---- facts

void CoreDaemon::committed(std::int64_t number, const Applied& applied) {
  facts_ = applied.facts.size();
  unheard_ = facts_ > 0 ? number : 0;
}

// Asks for the status of no endpoint: it is answered behind all that the engine was told before.
void CoreDaemon::when_heard(std::function<void()> task) {
  engine_.ask_status(EndpointSeq{0}, [task = std::move(task)](const EngineStatus&) { task(); });
}

void CoreDaemon::hear(Facts facts) {
  if (unheard_ == 0 || facts.size() != facts_) world_.fail("facts of no commit");
  const std::int64_t number = std::exchange(unheard_, 0);
  router_.route(std::move(facts));
  when_heard([this, number] { world_.attempts.heard_own(number_, number); });
}

void CoreDaemon::route_hint() {
  SharedStore::Hint hint = world_.store.take_hint(number_);
  world_.note(std::to_string(number_) + " hint of " + std::to_string(hint.commit) + ": " +
              describe(hint.facts));
  PartitionSet owned, lost;
  for (const Fact& fact : hint.facts) {
    if (const auto* ours = std::get_if<PartitionsOwned>(&fact)) owned |= ours->partitions;
    if (const auto* no_more = std::get_if<PartitionsLost>(&fact)) lost |= no_more->partitions;
  }
  when_heard([this, owned] { world_.attempts.owns(number_, owned); });
  router_.route(std::move(hint.facts));
  when_heard([this, lost, n = hint.commit] {
    world_.attempts.gave_up(number_, lost);
    world_.attempts.heard_hint(number_, n);
  });
}

void CoreDaemon::set_policy(bool strict) {
  engine_.set_policy(SimulatedNetwork::policy(strict));
}

// ---- steps

StepExecutor* CoreDaemon::executor_of(Part part) {
  switch (part) {
    case Part::kDelivery:
      return &delivery_loop_;
    case Part::kBacklog:
      return &backlog_loop_;
    case Part::kBackground:
      return stopping_ ? nullptr : &background_loop_;
    case Part::kMain:
      return stopping_ ? nullptr : &main_loop_;
    case Part::kCommits:
    case Part::kChanges:
      break;
  }
  return nullptr;
}

bool CoreDaemon::has_work(Part part) const {
  const MonotonicTime now = world_.clock.monotonic();
  if (failed_ || stalled_until_.at(static_cast<std::size_t>(part)) > now) return false;
  if (part == Part::kCommits) return commits_->queued() > 0;
  if (part == Part::kChanges) return !stopping_ && (world_.store.has_hint(number_) || next_look_ <= now);
  if (part == Part::kBacklog && delivery_loop_.keeps_back()) return true;
  const StepExecutor* loop = executor_of(part);
  return loop != nullptr && loop->has_work();
}

void CoreDaemon::run(Part part) {
  try {
    if (part == Part::kCommits) return step_commits();
    if (part == Part::kBacklog) return read_backlog();
    if (StepExecutor* loop = executor_of(part)) return loop->run_round(world_.random);
    if (world_.store.has_hint(number_)) return route_hint();
    next_look_ = world_.clock.monotonic() + kLookAgain;
    router_.route(store_->wait_for_changes(Millis(0)));
  } catch (const StoreError& error) {  // ends the process
    if (part == Part::kChanges && error.may_try_again()) return;
    failed_ = true;
  }
}

void CoreDaemon::step_commits() {
  const std::int64_t failures = world_.store.failed_commits();
  commits_->step();
  const bool again = world_.store.failed_commits() > failures;
  const std::uint64_t dice = world_.random() % 100;
  stall(Part::kCommits, Millis(again ? 20 : dice == 0 ? 200 : dice < 20 ? dice / 4 : 0));
}

// A read is asked for, sees the store in a later step and reports in one still later, sometimes much later: commits may come
// in between, of an event, and of its outcome.
void CoreDaemon::read_backlog() {
  if (delivery_loop_.keeps_back()) return delivery_loop_.arrive();
  if (world_.random() % 3 == 0) return stall(Part::kBacklog, Millis(world_.random() % 300));
  delivery_loop_.keep_back([this] { backlog_loop_.run_round(world_.random); });
  if (world_.random() % 3 == 0) stall(Part::kBacklog, Millis(world_.random() % 300));
}

void CoreDaemon::stall(Part part, Millis time) {
  auto& until = stalled_until_.at(static_cast<std::size_t>(part));
  until = std::max(until, world_.clock.monotonic() + time);
}

std::optional<MonotonicTime> CoreDaemon::next() const {
  const MonotonicTime now = world_.clock.monotonic();
  std::optional<MonotonicTime> next;
  const auto earlier = [&](MonotonicTime t) {
    if (t > now && (!next || t < *next)) next = t;
  };
  for (const MonotonicTime until : stalled_until_) earlier(until);
  for (const Part part : {Part::kDelivery, Part::kBacklog, Part::kBackground, Part::kMain}) {
    const StepExecutor* loop = executor_of(part);
    if (loop == nullptr) continue;
    if (const auto timer = loop->next_timer()) earlier(*timer);
  }
  if (!stopping_) earlier(next_look_);
  return next;
}

// ---- the graceful stop, as App::stop()

void CoreDaemon::stop() {
  stopping_ = true;
  retention_.stop();
  type_counts_.stop();
  engine_.stop(kStopLimit, [this] { engine_stopped_ = true; });
}

void CoreDaemon::finish() {
  commits_->drain();
  try {
    store_->writer().finish();
  } catch (const StoreError&) {
    failed_ = true;
  }
}

}  // namespace outboxd::simulation
