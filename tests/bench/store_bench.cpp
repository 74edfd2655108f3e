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

void apply(StoreWriter& writer, std::vector<Write>& writes) {
  std::vector<Write*> batch;
  batch.reserve(writes.size());
  for (auto& write : writes) batch.push_back(&write);
  writer.apply(batch);
  writer.tidy();
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
  StoreWriter& writer = store->writer();
  std::vector<EndpointSeq> endpoints;
  for (int i = 0; i < 100; ++i) {
    std::vector<Write> create;
    create.push_back({CreateEndpoint{new_endpoint()}, {}});
    apply(writer, create);
    endpoints.push_back(std::get<CreateEndpoint>(create[0].command).endpoint.seq);
  }
  const Timer whole;
  double outcome_us = 0;
  for (int done = 0; done < events; done += batch) {
    std::vector<Write> writes;
    writes.reserve(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i) {
      writes.push_back(
          {AcceptEvents{{new_event({endpoints[static_cast<std::size_t>(i) % endpoints.size()]})}, kDay}, {}});
    }
    apply(writer, writes);
    std::vector<Write> outcomes;
    for (auto& write : writes) {
      const NewEvent& event = std::get<AcceptEvents>(write.command).events[0];
      RecordOutcome outcome = delivered({event.event->seq, event.endpoints[0].endpoint}, 1);
      outcome.attempt->response_headers = {{"content-type", "text/plain"}, {"content-length", "2"}};
      outcome.attempt->response_body = "ok";
      outcomes.push_back({std::move(outcome), {}});
    }
    const auto begin = std::chrono::steady_clock::now();
    apply(writer, outcomes);
    outcome_us += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }
  whole.report("accept, deliver, record", events);
  std::printf("%-28s %8.2f us an event\n", "  of it recording", outcome_us / events);
  const auto status = store->new_reader()->status();
  std::printf("database %.1f MB, %.0f bytes an event\n", static_cast<double>(status.database_bytes) / 1e6,
              static_cast<double>(status.database_bytes) / static_cast<double>(status.events));

  const auto reader = store->new_reader();
  for (int i = 0; i < 20000; i += batch) {
    std::vector<Write> writes;
    writes.reserve(static_cast<std::size_t>(batch));
    for (int n = 0; n < batch; ++n) writes.push_back({AcceptEvents{{new_event({endpoints[0]})}, kDay}, {}});
    apply(writer, writes);
  }
  const Timer reading;
  std::size_t rows = 0;
  for (int i = 0; i < 100; ++i) rows += reader->due(endpoints[0], kNow, 200, 8u << 20).deliveries.size();
  reading.report("due(), 200 rows a call", static_cast<int>(rows));
  return 0;
}
