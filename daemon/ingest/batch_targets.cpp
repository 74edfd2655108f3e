#include "ingest/batch_targets.h"

#include <algorithm>
#include <string_view>

#include "common/text.h"
#include "ingest/matching.h"

namespace outboxd {
namespace {

constexpr int kEventsPerPage = 1000;
constexpr int kCountedPerPage = 4000;

// "e17-4": event 17 is done up to endpoint 4, which 0 stands before.
struct EventPlace {
  EventSeq event = 1;
  EndpointSeq endpoint = 0;
};

std::string write_place(const EventPlace& place) {
  return "e" + std::to_string(place.event) + '-' + std::to_string(place.endpoint);
}

std::optional<EventPlace> read_place(std::string_view text) {
  if (text.empty()) return EventPlace{};
  const std::size_t dash = text.find('-');
  if (text.front() != 'e' || dash == text.npos) return std::nullopt;
  const auto event = parse_int(text.substr(1, dash - 1)), endpoint = parse_int(text.substr(dash + 1));
  if (!event || !endpoint) return std::nullopt;
  return EventPlace{*event, *endpoint};
}

}  // namespace

Result<BatchKeys> BatchTargets::find(StoreReader& reader, const OperatorBatch& batch,
                                     const std::string& place, int limit) const {
  if (acts_on_events(batch.action)) return find_events(reader, batch, place, limit);
  const auto rows = reader.batch_deliveries(batch, Page{limit, place});
  if (!rows) return tl::unexpected(rows.error());
  BatchKeys found{{}, rows->next};
  found.keys.reserve(rows->rows.size());
  for (const DeliveryRow& row : rows->rows) found.keys.push_back(row.delivery.key);
  return found;
}

BatchTargets::Finder BatchTargets::finder() const {
  return [this](StoreReader& reader, const OperatorBatch& batch, const std::string& place, int limit) {
    return find(reader, batch, place, limit);
  };
}

// A filter's endpoint narrows a replay down, and does not make an endpoint get what it never asked for.
std::vector<EndpointSeq> BatchTargets::endpoints_for(StoreReader& reader, const OperatorBatch& batch,
                                                     const BatchEvent& event) const {
  const auto& wanted = batch.filter.endpoint;
  const EndpointPtr only = wanted ? directory_.find(*wanted) : nullptr;
  if (wanted && (!only || event.changed)) return {};
  if (batch.action == BatchAction::kReplayMissing) {
    if (event.was_delivered || (event.state && !may_act(batch.action, *event.state))) return {};
    if (!event.state && event.created_at < kept_since_() && only->created_at <= event.created_at) return {};
  }
  std::vector<EndpointSeq> matching;
  auto matches = directory_.match(event.tenant, event.type);
  if (matches.filters > 0) {
    const auto row = reader.event(event.id, true);
    if (!row) return {};
    matches = matches_of(directory_, row->event);
  }
  for (const EndpointPtr& endpoint : *matches.endpoints) {
    if (endpoint->seq <= batch.last_endpoint && (!only || endpoint->seq == only->seq))
      matching.push_back(endpoint->seq);
  }
  return matching;
}

Result<BatchKeys> BatchTargets::find_events(StoreReader& reader, const OperatorBatch& batch,
                                            const std::string& place, int limit) const {
  const auto from = read_place(place);
  if (!from) return problem(ProblemCode::kInvalidParameter, "the place is not one of a replay");
  const BatchEvents page = reader.batch_events(batch, from->event, kEventsPerPage);
  BatchKeys found;
  for (const BatchEvent& event : page.events) {
    const EndpointSeq after = event.seq == from->event ? from->endpoint : 0;
    for (const EndpointSeq endpoint : endpoints_for(reader, batch, event)) {
      if (endpoint <= after) continue;
      if (found.keys.size() == static_cast<std::size_t>(limit)) {
        const DeliveryKey last = found.keys.back();
        found.next = write_place({last.event, last.endpoint});
        return found;
      }
      found.keys.push_back({event.seq, endpoint});
    }
  }
  if (page.next != 0) found.next = write_place({page.next, 0});
  return found;
}

Result<BatchTargets::Count> BatchTargets::count(StoreReader& reader, OperatorBatch batch) const {
  batch.number = batch.last_event = batch.last_endpoint = kOnlyCounts;
  Count count;
  std::string place;
  for (int pages = 0; pages < kMaxPagesCounted; ++pages) {
    const auto found = find(reader, batch, place, kCountedPerPage);
    if (!found) return tl::unexpected(found.error());
    count.matched += static_cast<std::int64_t>(found->keys.size());
    count.exact = !found->next && count.matched <= kMaxCounted;
    if (!found->next || count.matched > kMaxCounted) break;
    place = *found->next;
  }
  count.matched = std::min(count.matched, kMaxCounted);
  return count;
}

}  // namespace outboxd
