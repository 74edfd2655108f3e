// The event types that were seen: what is counted (event_type_writer.h), and what has been accepted since.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "store/list_cursor.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/snapshot.h"

namespace outboxd::sqlite {
namespace {

constexpr int kMaxPage = 1000;
// Events that are counted while somebody waits. There are more only for a while after the migration, when those of
// before it are being counted.
constexpr std::int64_t kMaxUncounted = 20'000;

}  // namespace

Result<Rows<EventTypeRow>> Reader::event_types(const EventTypeFilter& filter, const Page& page) {
  const Snapshot snapshot(*this);
  const auto after = read_type_cursor(page.after);
  if (!after) return tl::unexpected(after.error());
  const auto limit = static_cast<std::size_t>(std::clamp(page.limit, 1, kMaxPage));
  std::map<TypeKey, EventTypeRow> found;
  const auto add = [&](std::string tenant, std::string type, std::int64_t events, Time last_at) {
    EventTypeRow& row = found[{tenant, type}];
    row.tenant = std::move(tenant);
    row.type = std::move(type);
    row.events += events;
    row.last_at = std::max(row.last_at, last_at);
  };
  const auto collect = [&](Cursor row) {
    while (row.next()) add(row.text(0), row.text(1), row.integer(2), row.time(3));
  };
  const auto wanted = static_cast<std::int64_t>(limit + 1);
  // A cursor of another tenant's list begins this one where that tenant would be in it.
  if (!filter.tenant) {
    collect(Cursor(event_types_after_, after->first, after->second, wanted));
  } else if (after->first <= *filter.tenant) {
    collect(Cursor(event_types_of_tenant_after_, *filter.tenant,
                   after->first == *filter.tenant ? std::string_view(after->second) : "", wanted));
  }
  Cursor place(types_counted_);
  Cursor row(events_to_count_, place.next() ? place.integer(0) : 0, kMaxUncounted);
  while (row.next()) {
    if (filter.tenant && row.view(2) != *filter.tenant) continue;
    TypeKey key{row.text(2), row.text(3)};
    if (key > *after) add(std::move(key.first), std::move(key.second), 1, read_uuid(row.view(1)).time());
  }
  Rows<EventTypeRow> answer;
  answer.rows.reserve(std::min(limit, found.size()));
  for (auto& [key, one] : found) {
    if (answer.rows.size() == limit) {
      answer.next = write_cursor(TypeKey(answer.rows.back().tenant, answer.rows.back().type));
      break;
    }
    answer.rows.push_back(std::move(one));
  }
  return answer;
}

}  // namespace outboxd::sqlite
