// Event types that were seen: counting the events of each, and listing them.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

inline constexpr std::string_view kTypesCounted =
    "SELECT types_counted, event_types FROM counter WHERE one = 1";
inline constexpr std::string_view kSetTypesCounted =
    "UPDATE counter SET types_counted = ?1, event_types = ?2 WHERE one = 1";
// Only columns before the payload, so that none is read; the id has the time.
inline constexpr std::string_view kEventsToCount =
    "SELECT seq, id, tenant, type FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";

inline constexpr std::string_view kAddToEventType =
    "UPDATE event_type SET events = events + ?3, last_at = max(last_at, ?4) WHERE tenant = ?1 AND type = ?2";
inline constexpr std::string_view kInsertEventType =
    "INSERT INTO event_type (tenant, type, events, last_at) VALUES (?1, ?2, ?3, ?4)";

inline constexpr std::string_view kEventTypesAfter =
    "SELECT tenant, type, events, last_at FROM event_type WHERE (tenant, type) > (?1, ?2)"
    " ORDER BY tenant, type LIMIT ?3";
inline constexpr std::string_view kEventTypesOfTenantAfter =
    "SELECT tenant, type, events, last_at FROM event_type WHERE tenant = ?1 AND type > ?2"
    " ORDER BY type LIMIT ?3";

}  // namespace outboxd::sqlite::sql
