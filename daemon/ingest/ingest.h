// Accepting events: find the endpoints that match, and commit. What HTTP and SQL producers and outboxd's own events
// share. The deliveries reach those who send them as facts of that commit. Thread safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "ingest/endpoint_directory.h"
#include "ingest/event_parser.h"
#include "store/group_commit.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace outboxd {

class Ingest {
 public:
  struct Options {
    EventLimits limits;
    Millis idempotency_window = std::chrono::hours(24);
    Millis first_wait{0};  // before the first attempt, of endpoints without a schedule of their own
    // Deliveries made in the transaction that accepts events (besides those in order by a key); FanOut makes the
    // others.
    std::size_t deliveries_at_once = 1000;
  };
  Ingest(GroupCommit& commits, const EndpointDirectory& directory, const Clock& clock, UuidGenerator& ids,
         telemetry::Metrics& metrics, Options options);

  const Options& options() const { return options_; }

  // All or none. `done` runs on the writer thread after the commit: one AcceptedEvent for each draft, in
  // order.
  using Done = std::function<void(Result<std::vector<AcceptedEvent>>)>;
  void accept(std::vector<EventDraft> drafts, Done done);

  // While the disk is short of space nothing is accepted: 503 over HTTP, and SQL rows wait in the outbox.
  void hold_back(bool disk_is_short) { disk_is_short_ = disk_is_short; }

  // Rows of the SQL outbox: each becomes an event, in the order of the rows, or a rejected row with its reason. `done`
  // runs when the last is committed, or none could be for now.
  void ingest_rows(std::vector<OutboxRow> rows, std::function<void()> done);

  // Does any endpoint want such an event of outboxd's own?
  bool is_wanted(std::string_view ops_type) const;
  // Accepts one if any endpoint wants it. It is kept until it is committed; only while the
  // disk is full or short of space it is lost, and the log says so.
  void announce(EventDraft draft);

 private:
  // After the commit or the refusal, on the writer thread (or, refused, on the caller's).
  using Committed = std::function<void(AcceptEvents&, Result<Accepted>&)>;

  NewEvent prepare(EventDraft draft, std::size_t& room, DirectoryVersion& matched) const;
  void match(NewEvent& event, std::size_t& room, DirectoryVersion& matched) const;
  void commit(AcceptEvents command, std::string_view source, Committed done);
  void submit(AcceptEvents command, std::string_view source, Committed done);
  void match_again(AcceptEvents& command) const;
  void count(const Accepted& accepted, std::string_view source);
  void announce(std::shared_ptr<const NewEvent> event, DirectoryVersion matched);
  void announcement_lost(const NewEvent& event, const Problem& refused);
  void commit_rows(AcceptEvents command, const std::shared_ptr<void>& last);
  void reject(std::int64_t row, std::string reason, const std::shared_ptr<void>& last);

  GroupCommit& commits_;
  const EndpointDirectory& directory_;
  const Clock& clock_;
  UuidGenerator& ids_;
  telemetry::Metrics& metrics_;
  Options options_;
  std::atomic<bool> disk_is_short_{false};
  log::Budget rejection_log_;  // of the writer thread
};

}  // namespace outboxd
