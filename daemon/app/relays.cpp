#include "app/relays.h"

#include <algorithm>

#include "store/fail_stop.h"
#include "store/sqlite/source_file.h"
#ifdef OUTBOXD_POSTGRESQL
#include "store/postgresql/source_database.h"
#endif

namespace outboxd {
namespace {

constexpr std::size_t kRoomForColumns = 64u << 10;  // of a row, besides what [limits] event_bytes allows

std::unique_ptr<Source> open_source(const config::Config::Source& source, std::size_t max_row_bytes,
                                    const std::atomic<bool>& stop) {
  if (source.is_sqlite())
    return open_source_file({.path = source.path(), .max_row_bytes = max_row_bytes, .stop = &stop});
#ifdef OUTBOXD_POSTGRESQL
  return open_source_database({.url = source.url, .max_row_bytes = max_row_bytes, .stop = &stop});
#else
  throw SourceFailure(
      "its url is one of PostgreSQL, and this outboxd was built without it: build it where libpq is "
      "installed "
      "(Debian's libpq-dev)");
#endif
}

Relay::Parts parts_of(const config::Config::Source& source, Store& store, Ingest& ingest, const Clock& clock,
                      telemetry::Metrics& metrics) {
  const std::size_t max_row_bytes = ingest.options().limits.event_bytes + kRoomForColumns;
  return {
      .name = source.name,
      .url = source.url,
      .open = [source, max_row_bytes](
                  const std::atomic<bool>& stop) { return open_source(source, max_row_bytes, stop); },
      .stored_place = [&store, name = source.name] { return store.new_reader()->source_place(name); },
      .accept = [&ingest](
                    std::vector<EventDraft> drafts, std::shared_ptr<const SourceStep> step,
                    Ingest::Done done) { ingest.relay(std::move(drafts), std::move(step), std::move(done)); },
      .limits = [&ingest] { return ingest.limits(); },
      .clock = clock,
      .metrics = metrics};
}

}  // namespace

Relays::Relays(const config::Config& config, Store& store, Ingest& ingest, const Clock& clock,
               telemetry::Metrics& metrics) {
  relays_.reserve(config.sources.size());
  for (const auto& source : config.sources)
    relays_.push_back(std::make_unique<Relay>(parts_of(source, store, ingest, clock, metrics)));
}

Relays::~Relays() {
  stop();
}

void Relays::start() {
  threads_.reserve(relays_.size());
  for (const auto& relay : relays_) threads_.push_back(start_thread("relay", [&one = *relay] { one.run(); }));
}

void Relays::stop() {
  for (const auto& relay : relays_) relay->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

std::vector<SourceStatus> Relays::status() const {
  std::vector<SourceStatus> all;
  all.reserve(relays_.size());
  for (const auto& relay : relays_) all.push_back(relay->status());
  return all;
}

std::vector<telemetry::Snapshot::SourceGauge> Relays::gauges(Time now) const {
  std::vector<telemetry::Snapshot::SourceGauge> all;
  all.reserve(relays_.size());
  for (const SourceStatus& source : status()) {
    const Millis behind = source.behind_since ? std::max(now - *source.behind_since, Millis(0)) : Millis(0);
    all.push_back({.name = source.name,
                   .up = source.state != SourceState::kFailing,
                   .relayed = source.relayed,
                   .waiting = source.counts.waiting,
                   .rejected = source.counts.rejected,
                   .lag_seconds = std::chrono::duration<double>(behind).count()});
  }
  return all;
}

}  // namespace outboxd
