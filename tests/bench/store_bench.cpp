// What the store costs by itself: events accepted one delivery each, then each delivered at its first
// attempt, in batches.
//   store_bench DATABASE [EVENTS] [BATCH]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

void apply(Store& store, const std::vector<Command>& commands) {
  apply_all(store, commands);
  store.writer().maintain();
}

AcceptEvents accept_for(EndpointSeq endpoint) {
  return accepting({new_event({endpoint})});
}

RecordOutcome answered_ok(DeliveryKey key) {
  RecordOutcome outcome = delivered(key, 1);
  Attempt attempt = *outcome.attempt;
  attempt.response_headers = {{"content-type", "text/plain"}, {"content-length", "2"}};
  attempt.response_body = "ok";
  return with_attempt(std::move(outcome), std::move(attempt));
}

struct Timer {
  std::chrono::steady_clock::time_point wall = std::chrono::steady_clock::now();
  double cpu = cpu_seconds();
  void report(const char* what, int events) const {
    const double us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - wall).count();
    std::printf("%-28s %8.2f us an event, %6.2f us of it CPU, %9.0f a second\n", what, us / events,
                (cpu_seconds() - cpu) * 1e6 / events, events / us * 1e6);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: store_bench DATABASE [EVENTS] [BATCH]\n"), 2;
  const auto number = [](const char* text) { return static_cast<int>(std::strtol(text, nullptr, 10)); };
  const int events = argc > 2 ? number(argv[2]) : 200000;
  const int batch = argc > 3 ? number(argv[3]) : 100;
  SqliteOptions options;
  options.path = argv[1];
  const auto store = open_sqlite_store(options);
  std::vector<EndpointSeq> endpoints;
  for (int i = 0; i < 100; ++i)
    endpoints.push_back(test::apply(*store, CreateEndpoint{shared(new_endpoint())}).value()->seq);
  const Timer whole;
  double outcome_us = 0;
  for (int done = 0; done < events; done += batch) {
    std::vector<Command> accepts;
    accepts.reserve(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i)
      accepts.emplace_back(accept_for(endpoints[static_cast<std::size_t>(i) % endpoints.size()]));
    apply(*store, accepts);
    std::vector<Command> outcomes;
    outcomes.reserve(static_cast<std::size_t>(batch));
    for (const Command& command : accepts) {
      const NewEvent& event = std::get<AcceptEvents>(command).events[0];
      outcomes.emplace_back(answered_ok({event.event->seq, event.endpoints[0].endpoint}));
    }
    const auto begin = std::chrono::steady_clock::now();
    apply(*store, outcomes);
    outcome_us += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }
  whole.report("accept, deliver, record", events);
  std::printf("%-28s %8.2f us an event\n", "  of it recording", outcome_us / events);
  const auto status = store->new_reader()->status();
  std::printf("database %.1f MB, %.0f bytes an event\n", static_cast<double>(status.database_bytes) / 1e6,
              static_cast<double>(status.database_bytes) / static_cast<double>(status.events));

  const auto reader = store->new_reader();
  for (int i = 0; i < 20000; i += batch) {
    std::vector<Command> accepts;
    accepts.reserve(static_cast<std::size_t>(batch));
    for (int n = 0; n < batch; ++n) accepts.emplace_back(accept_for(endpoints[0]));
    apply(*store, accepts);
  }
  const Timer reading;
  std::size_t rows = 0;
  for (int i = 0; i < 100; ++i) rows += reader->due(endpoints[0], 200, 8u << 20).deliveries.size();
  reading.report("due(), 200 rows a call", static_cast<int>(rows));
  return 0;
}
