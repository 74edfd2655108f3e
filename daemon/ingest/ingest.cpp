#include "ingest/ingest.h"

#include "ingest/outbox_row.h"

namespace outboxd {
namespace {

std::string describe(const Problem& p) {
  std::string text = p.detail;
  for (const auto& error : p.errors) text += "; " + error.pointer + ": " + error.detail;
  return text;
}

}  // namespace

Ingest::Ingest(GroupCommit& commits, const EndpointDirectory& directory, const Clock& clock,
               UuidGenerator& ids, telemetry::Metrics& metrics, Options options, OnAccepted on_accepted)
    : commits_(commits),
      directory_(directory),
      clock_(clock),
      ids_(ids),
      metrics_(metrics),
      options_(options),
      on_accepted_(std::move(on_accepted)) {}

NewEvent Ingest::prepare(EventDraft draft) const {
  NewEvent prepared;
  if (draft.idempotency_key) prepared.content_digest = content_digest(draft);
  prepared.idempotency_key = std::move(draft.idempotency_key);
  Event& event = draft.event;
  event.id = EventId{ids_.next()};
  event.created_at = clock_.wall();
  if (draft.delay) event.deliver_at = event.created_at + *draft.delay;
  if (draft.ttl) event.expires_at = event.created_at + *draft.ttl;
  for (const EndpointPtr& endpoint : directory_.match(event.tenant, event.type)) {
    const Millis wait = endpoint->retry_schedule ? endpoint->retry_schedule->front() : options_.first_wait;
    prepared.endpoints.push_back({endpoint->seq, not_before(event) + wait});
  }
  prepared.event = std::make_shared<Event>(std::move(event));
  return prepared;
}

void Ingest::commit(std::vector<NewEvent> events, std::string_view source, Done done) {
  if (disk_is_short_) {
    const Problem refused{ProblemCode::kUnavailable,
                          "the disk has less free space than [retention] free_disk: nothing was stored"};
    metrics_.events_rejected(kind_of(refused.code).slug, 1);
    return done(tl::unexpected(refused));
  }
  AcceptEvents command{std::move(events), options_.idempotency_window};
  commits_.submit(std::move(command), [this, source, done = std::move(done)](Write& write) {
    if (write.refused) {
      metrics_.events_rejected(kind_of(write.refused->code).slug, 1);
      return done(tl::unexpected(*write.refused));
    }
    auto& accept = std::get<AcceptEvents>(write.command);
    std::vector<DueDelivery> fresh;
    std::int64_t duplicates = 0, stored = 0;
    for (std::size_t i = 0; i < accept.events.size(); ++i) {
      const AcceptedEvent& answer = accept.accepted[i];
      duplicates += answer.duplicate;
      if (answer.duplicate || answer.withdrawn) continue;
      ++stored;
      const std::shared_ptr<const Event> event = accept.events[i].event;
      for (const auto& [endpoint, due_at] : accept.events[i].endpoints) {
        fresh.push_back({.key = {event->seq, endpoint},
                         .due_at = due_at,
                         .created_at = event->created_at,
                         .event = event});
      }
    }
    if (stored > 0) metrics_.events_accepted(source, stored);
    if (duplicates > 0) metrics_.events_deduplicated(duplicates);
    if (!fresh.empty()) on_accepted_(std::move(fresh));
    done(std::move(accept.accepted));
  });
}

void Ingest::accept(std::vector<EventDraft> drafts, Done done) {
  std::vector<NewEvent> events;
  events.reserve(drafts.size());
  for (auto& draft : drafts) events.push_back(prepare(std::move(draft)));
  commit(std::move(events), "http", std::move(done));
}

void Ingest::adopt(std::vector<OutboxRow> rows, std::function<void()> done) {
  // `last` runs `done` when every command of this call has let go of it.
  const std::shared_ptr<void> last(nullptr, [done = std::move(done)](void*) { done(); });
  const auto reject = [this, last](std::int64_t row, std::string reason) {
    commits_.submit(RejectOutboxRow{row, std::move(reason)}, [last](Write&) {});
  };
  std::vector<NewEvent> events;
  std::vector<NewEvent> keyed;
  for (auto& row : rows) {
    const std::int64_t number = row.row;
    auto draft = draft_from_row(std::move(row), options_.limits);
    if (!draft) {
      metrics_.events_rejected(kind_of(draft.error().code).slug, 1);
      reject(number, describe(draft.error()));
      continue;
    }
    const bool has_key = draft->idempotency_key.has_value();
    auto event = prepare(std::move(*draft));
    event.outbox_row = number;
    (has_key ? keyed : events).push_back(std::move(event));
  }
  if (!events.empty()) commit(std::move(events), "sql", [last](auto) {});
  // A key used before with other content refuses its whole command, so each of these is one of its own.
  for (auto& event : keyed) {
    const std::int64_t number = *event.outbox_row;
    std::vector<NewEvent> one;
    one.push_back(std::move(event));
    commit(std::move(one), "sql", [reject, number](const Result<std::vector<AcceptedEvent>>& result) {
      if (!result && result.error().code == ProblemCode::kIdempotencyConflict)
        reject(number, describe(result.error()));
    });
  }
}

}  // namespace outboxd
