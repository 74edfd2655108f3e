#include "ingest/ingest.h"

#include "common/json_span.h"
#include "common/text.h"
#include "ingest/first_attempts.h"
#include "ingest/outbox_row.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

Problem short_of_space() {
  return {ProblemCode::kUnavailable,
          "the disk has less free space than [retention] free_disk: nothing was stored"};
}

// Which event of a command broke the rule that a refusal names.
std::optional<std::size_t> index_in(const Problem& refused, std::size_t count) {
  if (refused.code != ProblemCode::kIdempotencyConflict || refused.errors.empty()) return std::nullopt;
  const auto index = parse_int(std::string_view(refused.errors.front().pointer).substr(1));
  if (!index || *index < 0 || static_cast<std::size_t>(*index) >= count) return std::nullopt;
  return static_cast<std::size_t>(*index);
}

}  // namespace

Ingest::Ingest(GroupCommit& commits, const EndpointDirectory& directory, FanOut& fan_out, const Clock& clock,
               UuidGenerator& ids, telemetry::Metrics& metrics, Options options, OnAccepted on_accepted)
    : commits_(commits),
      directory_(directory),
      fan_out_(fan_out),
      clock_(clock),
      ids_(ids),
      metrics_(metrics),
      options_(options),
      on_accepted_(std::move(on_accepted)) {}

NewEvent Ingest::prepare(EventDraft draft, std::size_t& room) const {
  NewEvent prepared;
  if (draft.idempotency_key) prepared.content_digest = content_digest(draft);
  prepared.idempotency_key = std::move(draft.idempotency_key);
  Event& event = draft.event;
  event.id = EventId{ids_.next()};
  event.created_at = clock_.wall();
  if (draft.delay) event.deliver_at = event.created_at + *draft.delay;
  if (draft.ttl) event.expires_at = event.created_at + *draft.ttl;
  prepared.event = std::make_shared<Event>(std::move(event));
  take_endpoints(prepared, *directory_.match(prepared.event->tenant, prepared.event->type),
                 options_.first_wait, room);
  return prepared;
}

void Ingest::commit(std::vector<NewEvent> events, std::string_view source, Committed done) {
  AcceptEvents command{std::move(events), options_.idempotency_window};
  const auto refuse = [this](const Problem& refused) {
    metrics_.events_rejected(kind_of(refused.code).slug, 1);
  };
  if (disk_is_short_) {
    const Problem refused = short_of_space();
    refuse(refused);
    return done(command, refused);
  }
  commits_.submit(std::move(command), [this, source, refuse, done = std::move(done)](Write& write) {
    auto& accept = std::get<AcceptEvents>(write.command);
    write.refused ? refuse(*write.refused) : hand_on(accept, source);
    done(accept, write.refused);
  });
}

void Ingest::hand_on(const AcceptEvents& accept, std::string_view source) {
  std::vector<DueDelivery> fresh;
  std::int64_t duplicates = 0, stored = 0;
  for (std::size_t i = 0; i < accept.events.size(); ++i) {
    const AcceptedEvent& answer = accept.accepted[i];
    duplicates += answer.duplicate;
    if (answer.duplicate || answer.withdrawn) continue;
    ++stored;
    add_stored(fresh, accept.events[i]);
  }
  if (stored > 0) metrics_.events_accepted(source, stored);
  if (duplicates > 0) metrics_.events_deduplicated(duplicates);
  if (!fresh.empty()) on_accepted_(std::move(fresh));
}

void Ingest::add_stored(std::vector<DueDelivery>& fresh, const NewEvent& event) {
  add_fresh(fresh, event.event, event.endpoints);
  if (event.more_after) fan_out_.add(event);
}

void Ingest::accept(std::vector<EventDraft> drafts, Done done) {
  std::vector<NewEvent> events;
  events.reserve(drafts.size());
  std::size_t room = options_.deliveries_at_once;
  for (auto& draft : drafts) events.push_back(prepare(std::move(draft), room));
  commit(std::move(events), "http",
         [done = std::move(done)](AcceptEvents& accept, const std::optional<Problem>& refused) {
           refused ? done(tl::unexpected(*refused)) : done(std::move(accept.accepted));
         });
}

void Ingest::announce(EventDraft draft) {
  if (directory_.match(draft.event.tenant, draft.event.type)->empty()) return;
  draft.event.judged = is_json(draft.event.payload);
  if (!draft.event.judged)
    return log::error("an operational event is no JSON and was lost", {{"type", draft.event.type}});
  std::size_t room = options_.deliveries_at_once;
  AnnounceEvent command{prepare(std::move(draft), room)};
  if (disk_is_short_) return announcement_lost(command.event, short_of_space());
  commits_.submit(std::move(command), [this](Write& write) {
    const NewEvent& event = std::get<AnnounceEvent>(write.command).event;
    if (write.refused) return announcement_lost(event, *write.refused);
    metrics_.events_accepted("outboxd", 1);
    std::vector<DueDelivery> fresh;
    add_stored(fresh, event);
    if (!fresh.empty()) on_accepted_(std::move(fresh));
  });
}

void Ingest::announcement_lost(const NewEvent& event, const Problem& refused) {
  metrics_.events_rejected(kind_of(refused.code).slug, 1);
  log::warn("an operational event was lost", {{"type", event.event->type}, {"error", refused.detail}});
}

void Ingest::adopt(std::vector<OutboxRow> rows, std::function<void()> done) {
  // `last` runs `done` when every command of this call has let go of it.
  const std::shared_ptr<void> last(nullptr, [done = std::move(done)](void*) { done(); });
  std::vector<NewEvent> events;
  std::size_t room = options_.deliveries_at_once;
  for (auto& row : rows) {
    const std::int64_t number = row.row;
    auto draft = draft_from_row(std::move(row), options_.limits);
    if (!draft) {
      metrics_.events_rejected(kind_of(draft.error().code).slug, 1);
      reject(number, rejection(draft.error()), last);
      continue;
    }
    events.push_back(prepare(std::move(*draft), room));
    events.back().outbox_row = number;
  }
  commit_rows(std::move(events), last);
}

// All in one command: what is refused for now is refused together, and rows stay in their order. A key that
// was used before with other content refuses the command for the sake of one row; it goes on without that
// one.
void Ingest::commit_rows(std::vector<NewEvent> events, const std::shared_ptr<void>& last) {
  if (events.empty()) return;
  commit(std::move(events), "sql", [this, last](AcceptEvents& accept, const std::optional<Problem>& refused) {
    if (!refused) return;
    const auto index = index_in(*refused, accept.events.size());
    if (!index) return;
    const auto bad = accept.events.begin() + static_cast<std::ptrdiff_t>(*index);
    reject(*bad->outbox_row, rejection(*refused), last);
    accept.events.erase(bad);
    commit_rows(std::move(accept.events), last);
  });
}

void Ingest::reject(std::int64_t row, std::string reason, const std::shared_ptr<void>& last) {
  commits_.submit(RejectOutboxRow{row, std::move(reason), clock_.wall()}, [this, last](Write& write) {
    if (write.refused) return;  // it is judged again
    const auto left_out = rejection_log_.take(clock_.monotonic());
    if (!left_out) return;
    const auto& done = std::get<RejectOutboxRow>(write.command);
    log::warn("a row of the SQL outbox was rejected, see: outboxctl outbox list --rejected",
              {{"row", done.row}, {"reason", done.reason}, {"not_shown", *left_out}});
  });
}

}  // namespace outboxd
