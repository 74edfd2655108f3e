// What must hold between the tables. Each statement lists the rows for which it does not, in words: one column, `what`.
#pragma once

#include <array>

namespace outboxd::postgresql::sql {

struct Agreement {
  const char* broken;
  bool reads_history;  // every event, or every delivery that has ended
  const char* rows;
};

#define OUTBOXD_DELIVERY(row) "'event ' || " row ".event || ' to endpoint ' || " row ".endpoint"
#define OUTBOXD_DAY(day)                                                             \
  "to_char(date '1970-01-01' + (" day ") % 1000000, 'YYYY-MM-DD') || CASE WHEN " day \
  " >= 1000000 THEN ' (what is kept of it)' ELSE '' END"
// Counted: a row for each slot and day; real: from the tables.
#define OUTBOXD_COUNTED(state, table, condition) \
  "SELECT " OUTBOXD_DAY("coalesce(c.day, r.day)") " || ': ' || coalesce(c.n, 0) || ' counted, ' || "          \
  "coalesce(r.n, 0) || ' there' AS what FROM (SELECT day, sum(" state ")::bigint AS n FROM counter GROUP BY " \
  "day) AS c FULL JOIN (SELECT day, count(*) AS n FROM " table " WHERE " condition                            \
  " GROUP BY day) AS r USING (day) WHERE coalesce(c.n, 0) <> coalesce(r.n, 0)"

inline constexpr std::array kAgreements{
    Agreement{"pending deliveries whose event is missing", false,
              "SELECT " OUTBOXD_DELIVERY(
                  "p") " AS what FROM pending AS p WHERE NOT EXISTS"
                       " (SELECT 1 FROM event AS e WHERE e.day = p.day AND e.seq = p.event)"},
    Agreement{"pending deliveries whose endpoint is missing", false,
              "SELECT " OUTBOXD_DELIVERY("p") " AS what FROM pending AS p WHERE NOT EXISTS"
                                              " (SELECT 1 FROM endpoint AS e WHERE e.seq = p.endpoint)"},
    Agreement{"deliveries that are pending and have ended too", false,
              "SELECT " OUTBOXD_DELIVERY(
                  "p") " AS what FROM pending AS p WHERE EXISTS (SELECT 1 FROM finished AS"
                       " f WHERE f.day = p.day AND f.event = p.event AND f.endpoint = p.endpoint)"},
    // Those of a removed endpoint are discarded in steps, without any promotion.
    Agreement{"deliveries in order that are wrongly blocked or not blocked", false,
              "SELECT " OUTBOXD_DELIVERY(
                  "p") " AS what FROM (SELECT event, endpoint, blocked,"
                       " event <> min(event) OVER (PARTITION BY endpoint, sequence_key) AS waits FROM pending"
                       " WHERE sequence_key IS NOT NULL) AS p WHERE blocked <> waits AND NOT EXISTS"
                       " (SELECT 1 FROM endpoint AS e WHERE e.seq = p.endpoint AND e.discarding)"},
    Agreement{
        "deliveries in no order that are blocked", false,
        "SELECT " OUTBOXD_DELIVERY("p") " AS what FROM pending AS p WHERE blocked AND sequence_key IS NULL"},
    Agreement{"fan-outs whose event is missing", false,
              "SELECT 'event ' || f.event AS what FROM fan_out AS f WHERE NOT EXISTS"
              " (SELECT 1 FROM event AS e WHERE e.day = f.day AND e.seq = f.event)"},
    Agreement{"partitions that are not there", false,
              "SELECT 'partition ' || n AS what FROM generate_series(0, 255) AS n WHERE NOT EXISTS"
              " (SELECT 1 FROM partition_owner WHERE partition = n)"},
    Agreement{"counts of event types that are wrong", false,
              "SELECT event_types || ' counted, ' || n || ' there' AS what FROM sweep,"
              " (SELECT count(*) AS n FROM event_type) AS r WHERE event_types <> n"},
    Agreement{
        "numbers given beyond the last one that was drawn", false,
        "SELECT 'event ' || max AS what FROM (SELECT max(seq) FROM event) AS m, event_seq AS s"
        " WHERE max IS NOT NULL AND max > last_value - CASE WHEN is_called THEN 0 ELSE 1 END"
        " UNION ALL SELECT 'endpoint ' || max FROM (SELECT max(seq) FROM endpoint) AS m, endpoint_seq AS s"
        " WHERE max IS NOT NULL AND max > last_value - CASE WHEN is_called THEN 0 ELSE 1 END"},
    Agreement{"counts of pending deliveries that are wrong", false,
              OUTBOXD_COUNTED("pending", "pending", "true")},
    Agreement{"counts of events that are wrong", true, OUTBOXD_COUNTED("events", "event", "true")},
    Agreement{"counts of delivered deliveries that are wrong", true,
              OUTBOXD_COUNTED("delivered", "finished", "state = 'delivered'")},
    Agreement{"counts of dead letters that are wrong", true,
              OUTBOXD_COUNTED("dead", "finished", "state = 'dead'")},
    Agreement{"counts of discarded deliveries that are wrong", true,
              OUTBOXD_COUNTED("discarded", "finished", "state = 'discarded'")},
    Agreement{
        "counts of an endpoint's deliveries that are wrong", true,
        "SELECT 'endpoint ' || endpoint AS what FROM (SELECT endpoint, pending, delivered, dead, discarded"
        " FROM endpoint_count UNION ALL SELECT endpoint, -count(*), 0, 0, 0 FROM pending GROUP BY endpoint"
        " UNION ALL SELECT endpoint, 0, -count(*) FILTER (WHERE state = 'delivered'),"
        " -count(*) FILTER (WHERE state = 'dead'), -count(*) FILTER (WHERE state = 'discarded')"
        " FROM finished GROUP BY endpoint) AS n GROUP BY endpoint HAVING"
        " (sum(pending), sum(delivered), sum(dead), sum(discarded)) <> (0, 0, 0, 0)"},
    Agreement{"deliveries that have ended and whose event is missing", true,
              "SELECT " OUTBOXD_DELIVERY(
                  "f") " AS what FROM finished AS f WHERE NOT EXISTS"
                       " (SELECT 1 FROM event AS e WHERE e.day = f.day AND e.seq = f.event)"},
    Agreement{"deliveries that have ended and whose endpoint is missing", true,
              "SELECT " OUTBOXD_DELIVERY("f") " AS what FROM finished AS f WHERE NOT EXISTS"
                                              " (SELECT 1 FROM endpoint AS e WHERE e.seq = f.endpoint)"},
    Agreement{
        "delivered deliveries without a successful attempt", true,
        "SELECT " OUTBOXD_DELIVERY("f") " AS what FROM finished AS f WHERE state = 'delivered' AND NOT EXISTS"
                                        " (SELECT 1 FROM attempt AS a WHERE a.day = f.day AND a.event = "
                                        "f.event AND a.endpoint = f.endpoint"
                                        " AND a.outcome = 'success')"},
    Agreement{
        "attempts whose delivery is missing", true,
        "SELECT 'attempt ' || a.number || ' of ' || " OUTBOXD_DELIVERY(
            "a") " AS what FROM attempt AS a"
                 " WHERE NOT EXISTS (SELECT 1 FROM finished AS f WHERE f.day = a.day AND f.event = a.event"
                 " AND f.endpoint = a.endpoint) AND NOT EXISTS (SELECT 1 FROM pending AS p WHERE p.day = "
                 "a.day"
                 " AND p.event = a.event AND p.endpoint = a.endpoint)"},
    // Whoever knows an event's id, or number, looks for it only there.
    Agreement{"events on another day than that of their id", true,
              "SELECT 'event ' || seq || ' on ' || " OUTBOXD_DAY(
                  "day") " AS what FROM event WHERE day % 1000000"
                         " <> least(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / "
                         "86400000, 999999)"},
    Agreement{"events whose day is not noted for their numbers", true,
              "SELECT 'event ' || e.seq || ' on ' || " OUTBOXD_DAY(
                  "e.day") " AS what FROM event AS e WHERE NOT"
                           " EXISTS (SELECT 1 FROM event_block AS b WHERE b.block = e.seq >> 16 AND b.day = "
                           "e.day)"},
    Agreement{
        "events whose payload was erased and is there", true,
        "SELECT 'event ' || seq AS what FROM event WHERE payload_erased_at IS NOT NULL AND payload <> ''"},
    Agreement{"events that are counted as without a payload and have one", true,
              "SELECT 'event ' || seq AS what FROM event WHERE seq <= (SELECT payloads_gone FROM sweep)"
              " AND payload_erased_at IS NULL AND payload <> ''"},
};
#undef OUTBOXD_COUNTED
#undef OUTBOXD_DAY
#undef OUTBOXD_DELIVERY

// Every event in turn, $3 of them behind number $1 of day $2, as read_checked_event expects them; then its day.
inline constexpr const char* kWholeEventsAfter =
    "SELECT seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, traceparent,"
    " cloud_event, created_at, deliver_at, expires_at, checksum, payload_erased_at, day FROM event"
    " WHERE (seq, day) > ($1, $2) ORDER BY seq, day LIMIT $3";

}  // namespace outboxd::postgresql::sql
