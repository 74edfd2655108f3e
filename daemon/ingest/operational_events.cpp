#include "ingest/operational_events.h"

#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr const char* kDead = "outboxd.delivery.dead";
constexpr const char* kDisabled = "outboxd.endpoint.disabled";
constexpr const char* kFailing = "outboxd.endpoint.failing";
constexpr const char* kRecovered = "outboxd.endpoint.recovered";
constexpr const char* kBatchFinished = "outboxd.batch.finished";
constexpr const char* kBacklogHigh = "outboxd.backlog.high";

}  // namespace

bool OperationalEvents::is_wanted(const Endpoint& about, std::string_view type) const {
  return about.tenant != kOpsTenant && ingest_.is_wanted(type);
}

void OperationalEvents::announce(std::string type, const Json& payload) {
  EventDraft draft;
  draft.event.tenant = kOpsTenant;
  draft.event.type = std::move(type);
  draft.event.payload = dump(payload);
  ingest_.announce(std::move(draft));
}

void OperationalEvents::hear(const OutcomeRecorded& fact) {
  if (!fact.subject || !fact.now.moved || fact.now.state != DeliveryState::kDead) return;
  const OutcomeSubject& subject = *fact.subject;
  if (!is_wanted(*subject.endpoint, kDead)) return;
  announce(kDead, {{"delivery", subject.delivery.to_string()},
                   {"event", subject.event.to_string()},
                   {"endpoint", subject.endpoint->id.to_string()},
                   {"tenant", subject.endpoint->tenant},
                   {"type", subject.type},
                   {"reason", to_string(*fact.now.reason)},
                   {"error", fact.attempt ? Json(to_string(fact.attempt->outcome)) : Json(nullptr)},
                   {"attempts", subject.attempts},
                   {"at", format_time(fact.at)}});
}

void OperationalEvents::hear(const EndpointChanged& fact) {
  if (!fact.disabled) return;
  const Endpoint& endpoint = *fact.now;
  log::warn("endpoint disabled",
            {{"endpoint", endpoint.id.to_string()},
             {"name", endpoint.name},
             {"reason", endpoint.disabled_reason},
             {"failing_since", endpoint.failing_since ? format_time(*endpoint.failing_since) : ""}});
  if (!is_wanted(endpoint, kDisabled)) return;
  announce(kDisabled, {{"endpoint", endpoint.id.to_string()},
                       {"name", endpoint.name},
                       {"tenant", endpoint.tenant},
                       {"reason", endpoint.disabled_reason},
                       {"at", format_time(endpoint.updated_at)}});
}

// The engine has logged it, with what it knows of the attempt.
void OperationalEvents::hear(const EndpointFailing& fact) {
  const EndpointPtr endpoint = directory_.find(fact.endpoint);
  if (!endpoint || !is_wanted(*endpoint, kFailing)) return;
  announce(kFailing, {{"endpoint", endpoint->id.to_string()},
                      {"name", endpoint->name},
                      {"tenant", endpoint->tenant},
                      {"failing_since", format_time(fact.failing_since)},
                      {"error", fact.error ? Json(to_string(*fact.error)) : Json(nullptr)},
                      {"at", format_time(clock_.wall())}});
}

void OperationalEvents::hear(const EndpointRecovered& fact) {
  const EndpointPtr endpoint = directory_.find(fact.endpoint);
  if (!endpoint) return;
  log::info("endpoint answers again", {{"endpoint", endpoint->id.to_string()},
                                       {"name", endpoint->name},
                                       {"failing_since", format_time(fact.failing_since)}});
  if (!is_wanted(*endpoint, kRecovered)) return;
  announce(kRecovered, {{"endpoint", endpoint->id.to_string()},
                        {"name", endpoint->name},
                        {"tenant", endpoint->tenant},
                        {"failing_since", format_time(fact.failing_since)},
                        {"at", format_time(clock_.wall())}});
}

void OperationalEvents::hear(const BatchChanged& fact) {
  if (!fact.now) return;  // another daemon's, which says so itself
  const OperatorBatch& batch = *fact.now;
  const std::string id = batch.id.to_string();
  if (batch.state == BatchState::kRunning) {
    log::info("batch begun", {{"batch", id},
                              {"action", to_string(batch.action)},
                              {"filter", encode_filter(batch.filter)},
                              {"rate", to_string(batch.rate)},
                              {"by", batch.who},
                              {"reason", batch.reason}});
    return;
  }
  log::info(
      "batch ended",
      {{"batch", id}, {"state", to_string(batch.state)}, {"done", batch.done}, {"skipped", batch.skipped}});
  if (!ingest_.is_wanted(kBatchFinished)) return;
  announce(kBatchFinished, {{"batch", id},
                            {"action", to_string(batch.action)},
                            {"state", to_string(batch.state)},
                            {"filter", Json::parse(encode_filter(batch.filter))},
                            {"matched", batch.matched},
                            {"done", batch.done},
                            {"skipped", batch.skipped},
                            {"who", batch.who},
                            {"reason", batch.reason},
                            {"at", format_time(batch.finished_at.value_or(clock_.wall()))}});
}

void OperationalEvents::backlog(bool high, std::int64_t pending, std::int64_t limit) {
  if (!high) return log::info("the backlog is no longer high", {{"pending", pending}, {"limit", limit}});
  log::warn("the backlog is high", {{"pending", pending}, {"limit", limit}});
  if (!ingest_.is_wanted(kBacklogHigh)) return;
  announce(kBacklogHigh, {{"pending", pending}, {"limit", limit}, {"at", format_time(clock_.wall())}});
}

}  // namespace outboxd
