// Pending deliveries, as read by the delivery loop and, for each endpoint, by status.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

// One seek finds the highest priority with anything pending, and its earliest due time; the next seek looks below that
// priority.
inline constexpr std::string_view kNextPriority =
    "SELECT priority, due_at FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND priority <= "
    "?2 AND state = 'pending' AND behind = 0"
    " ORDER BY priority DESC, due_at, event LIMIT 1";
// How many deliveries of one priority are due, counted up to ?4.
inline constexpr std::string_view kCountDue =
    "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND "
    "priority = ?2 AND due_at <= ?3 AND state = 'pending' AND behind = 0 LIMIT ?4)";
inline constexpr std::string_view kDueOfPriority =
    "SELECT d.event, d.attempts, d.attempts_ever, d.due_at, d.created_at, d.order_key, d.expires_at,"
    " e.id, e.tenant, e.type, e.payload, e.content_type, e.ordering_key, e.priority, e.headers, "
    "e.traceparent, e.cloud_event, e.created_at,"
    " e.deliver_at, e.expires_at, e.checksum, e.payload_erased_at"
    " FROM delivery AS d INDEXED BY delivery_pending CROSS JOIN event AS e ON e.seq = d.event"
    " WHERE d.endpoint = ?1 AND d.priority = ?2 AND d.due_at <= ?3 AND d.state = 'pending' AND d.behind = 0"
    " ORDER BY d.due_at, d.event LIMIT ?4";
inline constexpr std::string_view kFirstDueAfter =
    "SELECT due_at FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND priority = ?2 AND "
    "due_at > ?3 AND state = 'pending' AND behind = 0"
    " ORDER BY due_at, event LIMIT 1";
inline constexpr std::string_view kExpiredAfter =
    "SELECT d.event, d.endpoint, d.attempts, d.attempts_ever, d.due_at, d.created_at, d.order_key, "
    "d.expires_at, e.id, e.type"
    " FROM delivery AS d INDEXED BY delivery_expiring CROSS JOIN event AS e ON e.seq = d.event"
    " WHERE (d.expires_at, d.event, d.endpoint) > (?1, ?2, ?3) AND d.expires_at <= ?4 AND d.state = 'pending'"
    " ORDER BY d.expires_at, d.event, d.endpoint LIMIT ?5";

// The next endpoint with a pending delivery that is not blocked: its highest such priority, and the earliest due time
// of that. kNextPriority continues from there.
inline constexpr std::string_view kNextPendingEndpoint =
    "SELECT endpoint, priority, due_at FROM delivery INDEXED BY delivery_pending WHERE endpoint > ?1 AND "
    "state = 'pending'"
    " AND behind = 0 ORDER BY endpoint, priority DESC, due_at, event LIMIT 1";
inline constexpr std::string_view kNextEndpointBlocked =
    "SELECT endpoint, due_at FROM delivery INDEXED BY delivery_behind WHERE endpoint > ?1 AND state = "
    "'pending'"
    " AND behind = 1 ORDER BY endpoint, due_at LIMIT 1";
inline constexpr std::string_view kCountLater =
    "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND "
    "priority = ?2 AND due_at > ?3 AND state = 'pending' AND behind = 0 LIMIT ?4)";
inline constexpr std::string_view kCountBlocked =
    "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_behind WHERE endpoint = ?1 AND state = "
    "'pending'"
    " AND behind = 1 LIMIT ?2)";

inline constexpr std::string_view kUnfinishedFanOuts =
    "SELECT f.event, f.after, f.last, e.id, e.tenant, e.type, e.payload, e.content_type, e.ordering_key, "
    "e.priority, e.headers, e.traceparent, e.cloud_event, e.created_at, e.deliver_at, e.expires_at, "
    "e.checksum, "
    "e.payload_erased_at FROM fan_out AS f CROSS JOIN event AS e ON e.seq = f.event WHERE f.event > ?1 ORDER "
    "BY f.event LIMIT "
    "?2";

inline constexpr std::string_view kLastUnchecked = "SELECT last_unchecked FROM counter WHERE one = 1";
// Every event in turn, to verify the checksums; columns as read_checked_event expects them.
inline constexpr std::string_view kWholeEventsAfter =
    "SELECT seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, traceparent, "
    "cloud_event, created_at,"
    " deliver_at, expires_at, checksum, payload_erased_at FROM event WHERE seq > ?1 ORDER BY seq";

}  // namespace outboxd::sqlite::sql
