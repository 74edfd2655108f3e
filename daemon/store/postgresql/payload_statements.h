// Erasing payloads: for an operator, and as retention.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

// The columns of read_erasable (store/erasable_event.h), then the day.
#define OUTBOXD_ERASABLE                                                                        \
  "seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, traceparent," \
  " cloud_event, created_at, deliver_at, expires_at, checksum, payload_erased_at, day FROM event"
inline constexpr std::string_view kEventToErase =
    "SELECT " OUTBOXD_ERASABLE " WHERE id = $1 AND (day = $2 OR day = $3) FOR UPDATE";
inline constexpr std::string_view kEventsToErase =
    "SELECT e.* FROM unnest($1::bigint[], $2::bigint[]) AS u(seq, day)"
    " CROSS JOIN LATERAL (SELECT " OUTBOXD_ERASABLE " WHERE day = u.day AND seq = u.seq FOR UPDATE) AS e";
#undef OUTBOXD_ERASABLE
inline constexpr std::string_view kErasePayloads =
    "UPDATE event AS e SET payload = '', checksum = u.checksum, payload_erased_at = $4"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u(seq, day, checksum)"
    " WHERE e.day = u.day AND e.seq = u.seq";

// No further deliveries are made; how many there are is certain only now.
inline constexpr std::string_view kEndFanOut = "DELETE FROM fan_out WHERE event = $1";
inline constexpr std::string_view kCountDeliveriesOf =
    "UPDATE event SET deliveries = (SELECT count(*) FROM pending WHERE event = $1)"
    " + (SELECT count(*) FROM finished WHERE day = $2 AND event = $1) WHERE day = $2 AND seq = $1";
inline constexpr std::string_view kStatesOfEvent =
    "SELECT endpoint, 'pending' AS state FROM pending WHERE event = $1 AND endpoint > $3"
    " UNION ALL SELECT endpoint, state FROM finished WHERE day = $2 AND event = $1 AND endpoint > $3"
    " ORDER BY endpoint LIMIT $4";

// Of table event, for an EventWalk: whether there is a payload, and whether anything may be sent of it by itself. The length
// of a payload is known without reading it.
inline constexpr std::string_view kPayloadColumns =
    "seq, id, day, octet_length(payload)::bigint,"
    " EXISTS (SELECT 1 FROM pending AS p WHERE p.event = event.seq)"
    " OR EXISTS (SELECT 1 FROM fan_out AS f WHERE f.event = event.seq)";
inline constexpr std::string_view kPayloadsGone = "SELECT payloads_gone FROM sweep FOR UPDATE";
inline constexpr std::string_view kSetPayloadsGone = "UPDATE sweep SET payloads_gone = $1";

}  // namespace outboxd::postgresql::sql
