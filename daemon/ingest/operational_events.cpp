#include "ingest/operational_events.h"

#include "common/json.h"

namespace outboxd {
namespace {

std::optional<EventDraft> draft_about(const Endpoint& endpoint, std::string type, const Json& payload) {
  if (endpoint.tenant == kOpsTenant) return std::nullopt;
  EventDraft draft;
  draft.event.tenant = kOpsTenant;
  draft.event.type = std::move(type);
  draft.event.payload = dump(payload);
  return draft;
}

}  // namespace

std::optional<EventDraft> delivery_dead(const Endpoint& endpoint, const DeadLetter& letter) {
  const DueDelivery& delivery = letter.delivery;
  return draft_about(endpoint, "outboxd.delivery.dead",
                     {{"delivery", delivery_id(delivery.key, delivery.created_at).to_string()},
                      {"event", delivery.event->id.to_string()},
                      {"endpoint", endpoint.id.to_string()},
                      {"tenant", endpoint.tenant},
                      {"type", delivery.event->type},
                      {"reason", to_string(letter.reason)},
                      {"error", letter.error.empty() ? Json(nullptr) : Json(letter.error)},
                      {"attempts", letter.attempts},
                      {"at", format_time(letter.at)}});
}

std::optional<EventDraft> endpoint_disabled(const Endpoint& endpoint, std::string_view reason, Time at) {
  return draft_about(endpoint, "outboxd.endpoint.disabled",
                     {{"endpoint", endpoint.id.to_string()},
                      {"name", endpoint.name},
                      {"tenant", endpoint.tenant},
                      {"reason", reason},
                      {"at", format_time(at)}});
}

std::optional<EventDraft> endpoint_recovered(const Endpoint& endpoint, Time failing_since, Time at) {
  return draft_about(endpoint, "outboxd.endpoint.recovered",
                     {{"endpoint", endpoint.id.to_string()},
                      {"name", endpoint.name},
                      {"tenant", endpoint.tenant},
                      {"failing_since", format_time(failing_since)},
                      {"at", format_time(at)}});
}

}  // namespace outboxd
