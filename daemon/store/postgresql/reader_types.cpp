// The event types that were seen: what is counted (CountTypes), and what has been accepted since.
#include <algorithm>
#include <map>

#include "common/event.h"
#include "store/postgresql/reader_session.h"

namespace outboxd::postgresql {
namespace {

constexpr std::int64_t kMaxUncounted = 20'000;  // events that are counted while somebody waits

}  // namespace

Result<Rows<EventTypeRow>> Reader::event_types(const EventTypeFilter& filter, const Page& page) {
  const auto after = read_type_cursor(page.after);
  if (!after) return tl::unexpected(after.error());
  if (filter.tenant && !is_tenant(*filter.tenant)) return Rows<EventTypeRow>{};
  return read([&](Session& session) -> Result<Rows<EventTypeRow>> {
    const std::size_t limit = page_size(page);
    const auto wanted = static_cast<std::int64_t>(limit + 1);
    std::map<TypeKey, EventTypeRow> found;
    const auto add = [&](TypeKey key, std::int64_t events, Time last_at) {
      EventTypeRow& row = found[key];
      row.tenant = std::move(key.first);
      row.type = std::move(key.second);
      row.events += events;
      row.last_at = std::max(row.last_at, last_at);
    };
    // A cursor of another tenant's list begins this one where that tenant would be in it.
    const bool behind = filter.tenant && after->first > *filter.tenant;
    const std::string from = !filter.tenant || after->first == *filter.tenant ? after->second : std::string();
    Cursor row = filter.tenant ? Cursor(session.event_types_of_tenant_after, *filter.tenant, from,
                                        behind ? 0 : wanted, kMaxUncounted)
                               : Cursor(session.event_types_after, after->first, from, wanted, kMaxUncounted);
    while (row.next()) {
      TypeKey key{row.text(0), row.text(1)};
      if (row.is_null(4)) {
        add(std::move(key), row.integer(2), row.time(3));
      } else if ((!filter.tenant || key.first == *filter.tenant) && key > *after) {
        add(std::move(key), 1, row.uuid(4).time());
      }
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
  });
}

}  // namespace outboxd::postgresql
