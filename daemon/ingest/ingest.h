// Accepts events: finds the endpoints that match, and commits. Shared by HTTP producers, SQL producers and outboxd's
// own events. The delivery side receives the deliveries as facts of that commit. Thread safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "ingest/endpoint_directory.h"
#include "ingest/event_parser.h"
#include "store/group_commit.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace outboxd {

// Of `count` events, the one that made the refusal: it used an idempotency key again with other content.
std::optional<std::size_t> conflicting_event(const Problem& refused, std::size_t count);

class Ingest {
 public:
  struct Options {
    EventLimits limits;
    Millis idempotency_window = std::chrono::hours(24);
    Millis first_wait{0};  // wait before the first attempt at endpoints without a schedule of their own
    // How many deliveries are made in the transaction that accepts the events (besides those in order by a key); FanOut
    // makes the others.
    std::size_t deliveries_at_once = 1000;
  };
  Ingest(GroupCommit& commits, const EndpointDirectory& directory, const Clock& clock, UuidGenerator& ids,
         telemetry::Metrics& metrics, Options options);

  const Options& options() const { return options_; }
  EventLimits limits() const;                                      // any thread
  void set_event_types(const std::vector<std::string>& patterns);  // any thread; empty: any type
  // `told` runs after each commit that accepted events, on the writer thread. Set before there are any.
  void when_accepted(std::function<void()> told) { when_accepted_ = std::move(told); }

  // Accepts all or none. `done` runs on the writer thread after the commit, with one AcceptedEvent per draft, in order.
  using Done = std::function<void(Result<std::vector<AcceptedEvent>>)>;
  void accept(std::vector<EventDraft> drafts, Done done);

  // Does it take but a few microseconds to find who wants this event: does the directory remember them, and are they, and
  // those of them with filters, few? To be asked by a thread that must not work for long, which leaves others to another.
  bool matches_quickly(const Event& event) const;

  // accept() for rows of a source, whose place is stored in the same transaction (store/commands.h).
  void relay(std::vector<EventDraft> drafts, std::shared_ptr<const SourceStep> step, Done done);

  // While the disk is short of space nothing is accepted: HTTP gets 503, and SQL rows wait in the outbox.
  void hold_back(bool disk_is_short) { disk_is_short_ = disk_is_short; }

  // Turns each row of the SQL outbox into an event, in order, or marks it as rejected with the reason. `done` runs when
  // the last one is committed, or when none can be committed for now.
  void ingest_rows(std::vector<OutboxRow> rows, std::function<void()> done);

  // Does any endpoint want one of outboxd's own events of this type?
  bool is_wanted(std::string_view ops_type) const;
  // Accepts one of outboxd's own events if any endpoint wants it. It is retried until it is committed, and lost, with a
  // log message, while the disk is full or short of space.
  void announce(EventDraft draft);

 private:
  // Runs on the writer thread after the commit or the refusal; for some refusals on the caller's thread.
  using Committed = std::function<void(AcceptEvents&, Result<Accepted>&)>;

  AcceptEvents command_of(std::vector<EventDraft> drafts) const;
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
  mutable Mutex types_mutex_;
  std::shared_ptr<const std::vector<std::string>> types_ OUTBOXD_GUARDED_BY(types_mutex_);
  std::function<void()> when_accepted_ = [] {};
  std::atomic<bool> disk_is_short_{false};
  log::Budget rejection_log_;  // used on the writer thread
};

}  // namespace outboxd
