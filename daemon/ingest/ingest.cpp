#include "ingest/ingest.h"

#include <algorithm>
#include <limits>

#include "common/json_span.h"
#include "common/text.h"
#include "ingest/first_attempts.h"
#include "ingest/matching.h"
#include "ingest/outbox_row.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr DirectoryVersion kNewest = std::numeric_limits<DirectoryVersion>::max();

// What a thread that must not work for long may match an event against: about 5 us, and with filters what it takes to
// take the payload apart (20 to 200 us for 4 KiB).
constexpr std::size_t kMaxQuickEndpoints = 100;
constexpr std::size_t kMaxQuickFilters = 8;

Problem short_of_space() {
  return {ProblemCode::kUnavailable,
          "the disk has less free space than [retention] free_disk: nothing was stored"};
}

auto answering(Ingest::Done done) {
  return [done = std::move(done)](const AcceptEvents&, Result<Accepted>& accepted) {
    accepted ? done(std::move(accepted->events)) : done(tl::unexpected(accepted.error()));
  };
}

}  // namespace

std::optional<std::size_t> conflicting_event(const Problem& refused, std::size_t count) {
  if (refused.code != ProblemCode::kIdempotencyConflict || refused.errors.empty()) return std::nullopt;
  const auto index = parse_int(std::string_view(refused.errors.front().pointer).substr(1));
  if (!index || *index < 0 || static_cast<std::size_t>(*index) >= count) return std::nullopt;
  return static_cast<std::size_t>(*index);
}

Ingest::Ingest(GroupCommit& commits, const EndpointDirectory& directory, const Clock& clock,
               UuidGenerator& ids, telemetry::Metrics& metrics, Options options)
    : commits_(commits),
      directory_(directory),
      clock_(clock),
      ids_(ids),
      metrics_(metrics),
      options_(std::move(options)),
      types_(options_.limits.types) {}

EventLimits Ingest::limits() const {
  EventLimits limits = options_.limits;
  const MutexLock lock(types_mutex_);
  limits.types = types_;
  return limits;
}

void Ingest::set_event_types(const std::vector<std::string>& patterns) {
  auto types = patterns.empty() ? nullptr : std::make_shared<const std::vector<std::string>>(patterns);
  const MutexLock lock(types_mutex_);
  types_ = std::move(types);
}

// A command counts as matched at the oldest version of its matches.
void Ingest::match(NewEvent& event, std::size_t& room, DirectoryVersion& matched) const {
  const auto found = matches_of(directory_, *event.event);
  matched = std::min(matched, found.version);
  take_endpoints(event, *found.endpoints, options_.first_wait, room);
}

NewEvent Ingest::prepare(EventDraft draft, std::size_t& room, DirectoryVersion& matched) const {
  NewEvent prepared;
  if (draft.idempotency_key) prepared.content_digest = content_digest(draft);
  prepared.idempotency_key = std::move(draft.idempotency_key);
  Event& event = draft.event;
  event.id = EventId{ids_.next()};
  event.created_at = clock_.wall();
  if (draft.delay) event.deliver_at = event.created_at + *draft.delay;
  if (draft.ttl) event.expires_at = event.created_at + *draft.ttl;
  prepared.event = std::make_shared<Event>(std::move(event));
  match(prepared, room, matched);
  return prepared;
}

void Ingest::match_again(AcceptEvents& command) const {
  std::size_t room = options_.deliveries_at_once;
  command.matched = kNewest;
  for (NewEvent& event : command.events) match(event, room, command.matched);
}

void Ingest::commit(AcceptEvents command, std::string_view source, Committed done) {
  if (disk_is_short_) {
    const Problem refused = short_of_space();
    metrics_.events_rejected(kind_of(refused.code).slug, 1);
    Result<Accepted> answer = tl::unexpected(refused);
    return done(command, answer);
  }
  submit(std::move(command), source, std::move(done));
}

void Ingest::submit(AcceptEvents command, std::string_view source, Committed done) {
  commits_.submit(std::move(command), [this, source, done = std::move(done)](AcceptEvents& finished,
                                                                             Result<Accepted> accepted) {
    if (accepted && accepted->stale) {
      match_again(finished);
      return submit(std::move(finished), source, done);
    }
    accepted ? count(*accepted, source) : metrics_.events_rejected(kind_of(accepted.error().code).slug, 1);
    done(finished, accepted);
  });
}

void Ingest::count(const Accepted& accepted, std::string_view source) {
  std::int64_t duplicates = 0, stored = 0, unmatched = 0;
  for (const AcceptedEvent& event : accepted.events) {
    const bool is_stored = !event.duplicate && !event.row_deleted;
    duplicates += event.duplicate;
    stored += is_stored;
    unmatched += is_stored && event.deliveries == 0;
  }
  if (stored > 0) {
    metrics_.events_accepted(source, stored);
    when_accepted_();
  }
  if (unmatched > 0) metrics_.events_unmatched(unmatched);
  if (duplicates > 0) metrics_.events_deduplicated(duplicates);
}

AcceptEvents Ingest::command_of(std::vector<EventDraft> drafts) const {
  AcceptEvents command{.events = {}, .idempotency_window = options_.idempotency_window, .matched = kNewest};
  command.events.reserve(drafts.size());
  std::size_t room = options_.deliveries_at_once;
  for (auto& draft : drafts) command.events.push_back(prepare(std::move(draft), room, command.matched));
  return command;
}

void Ingest::accept(std::vector<EventDraft> drafts, Done done) {
  commit(command_of(std::move(drafts)), "http", answering(std::move(done)));
}

void Ingest::relay(std::vector<EventDraft> drafts, std::shared_ptr<const SourceStep> step, Done done) {
  AcceptEvents command = command_of(std::move(drafts));
  command.source = std::move(step);
  commit(std::move(command), "relay", answering(std::move(done)));
}

bool Ingest::matches_quickly(const Event& event) const {
  const auto known = directory_.remembered(event.tenant, event.type);
  return known && known->endpoints->size() <= kMaxQuickEndpoints && known->filters <= kMaxQuickFilters;
}

bool Ingest::is_wanted(std::string_view ops_type) const {
  return !directory_.match(kOpsTenant, ops_type).endpoints->empty();
}

void Ingest::announce(EventDraft draft) {
  if (!is_wanted(draft.event.type)) return;
  draft.event.json_checked = is_json(draft.event.payload);
  if (!draft.event.json_checked)
    return log::error("an operational event is no JSON and was lost", {{"type", draft.event.type}});
  std::size_t room = options_.deliveries_at_once;
  DirectoryVersion matched = kNewest;
  const auto event = std::make_shared<const NewEvent>(prepare(std::move(draft), room, matched));
  if (disk_is_short_) return announcement_lost(*event, short_of_space());
  announce(event, matched);
}

void Ingest::announce(std::shared_ptr<const NewEvent> event, DirectoryVersion matched) {
  commits_.submit(AnnounceEvent{std::move(event), matched},
                  [this](const AnnounceEvent& command, const Result<Accepted>& accepted) {
                    if (!accepted) return announcement_lost(*command.event, accepted.error());
                    if (!accepted->stale) return count(*accepted, "outboxd");
                    NewEvent again = *command.event;
                    std::size_t room = options_.deliveries_at_once;
                    DirectoryVersion matched_now = kNewest;
                    match(again, room, matched_now);
                    announce(std::make_shared<const NewEvent>(std::move(again)), matched_now);
                  });
}

void Ingest::announcement_lost(const NewEvent& event, const Problem& refused) {
  metrics_.events_rejected(kind_of(refused.code).slug, 1);
  log::warn("an operational event was lost", {{"type", event.event->type}, {"error", refused.detail}});
}

void Ingest::ingest_rows(std::vector<OutboxRow> rows, std::function<void()> done) {
  // `last` runs `done` when every command of this call has released it.
  const std::shared_ptr<void> last(nullptr, [done = std::move(done)](void*) { done(); });
  AcceptEvents command{.events = {}, .idempotency_window = options_.idempotency_window, .matched = kNewest};
  std::size_t room = options_.deliveries_at_once;
  const EventLimits accepted = limits();
  for (auto& row : rows) {
    const std::int64_t number = row.row;
    auto draft = draft_from_row(std::move(row), accepted);
    if (!draft) {
      metrics_.events_rejected(kind_of(draft.error().code).slug, 1);
      reject(number, rejection(draft.error()), last);
      continue;
    }
    command.events.push_back(prepare(std::move(*draft), room, command.matched));
    command.events.back().outbox_row = number;
  }
  commit_rows(std::move(command), last);
}

// All rows go in one command, so that a temporary refusal concerns all of them and they stay in order. An idempotency
// key reused with different content refuses the whole command because of one row; it is submitted again without that
// row.
void Ingest::commit_rows(AcceptEvents command, const std::shared_ptr<void>& last) {
  if (command.events.empty()) return;
  commit(std::move(command), "sql", [this, last](AcceptEvents& done, Result<Accepted>& accepted) {
    if (accepted) return;
    const auto index = conflicting_event(accepted.error(), done.events.size());
    if (!index) return;
    const auto bad = done.events.begin() + static_cast<std::ptrdiff_t>(*index);
    reject(*bad->outbox_row, rejection(accepted.error()), last);
    done.events.erase(bad);
    commit_rows(std::move(done), last);
  });
}

void Ingest::reject(std::int64_t row, std::string reason, const std::shared_ptr<void>& last) {
  commits_.submit(RejectOutboxRow{row, clock_.wall(), std::move(reason)},
                  [this, last](const RejectOutboxRow& rejected, const Result<Nothing>& answer) {
                    if (!answer) return;  // the row stays in the outbox and is read again
                    const auto left_out = rejection_log_.take(clock_.monotonic());
                    if (!left_out) return;
                    log::warn("a row of the SQL outbox was rejected, see: outboxctl outbox list --rejected",
                              {{"row", rejected.row}, {"reason", rejected.reason}, {"not_shown", *left_out}});
                  });
}

}  // namespace outboxd
