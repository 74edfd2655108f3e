#include "bench/claims.h"

#include "common/clock.h"
#include "store/rows.h"

namespace outboxd::bench {
namespace {

constexpr std::int64_t kLeaseMillis = 30'000;
constexpr int kFirstOfEvent = 2;  // column

constexpr const char* kIndex =
    "DROP INDEX IF EXISTS pending_due;"
    " CREATE INDEX IF NOT EXISTS pending_claim ON pending (priority DESC, due_at, event) WHERE NOT blocked;";
constexpr const char* kColumn =
    "ALTER TABLE pending ADD COLUMN IF NOT EXISTS leased_until bigint; ALTER TABLE pending SET (fillfactor = "
    "50);";

// $1 how many, $2 the lease's end, $3 now.
#define OUTBOXD_CLAIM(set, free)                                                                             \
  "WITH claimed AS (UPDATE pending SET " set                                                                 \
  " WHERE ctid = ANY (ARRAY(SELECT ctid FROM pending WHERE NOT blocked AND due_at <= $3 AND " free           \
  " ORDER BY priority DESC, due_at, event LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING event, endpoint, day)" \
  " SELECT c.event, c.endpoint, e.* FROM claimed AS c CROSS JOIN LATERAL (SELECT id, tenant, type, payload," \
  " content_type, ordering_key, priority, headers, traceparent, cloud_event, created_at, deliver_at,"        \
  " expires_at, checksum, payload_erased_at FROM event WHERE seq = c.event AND day = c.day OFFSET 0) AS e"
constexpr const char* kClaimByDueAt = OUTBOXD_CLAIM("due_at = $2", "true");
constexpr const char* kClaimByColumn =
    OUTBOXD_CLAIM("leased_until = $2", "(leased_until IS NULL OR leased_until <= $3)");
#undef OUTBOXD_CLAIM

}  // namespace

void Claims::prepare(const std::string& url, Lease lease) {
  postgresql::Connection db({.url = url, .purpose = "claims"});
  db.execute(kIndex);
  if (lease == Lease::kInColumnOfItsOwn) db.execute(kColumn);
}

Claims::Claims(const std::string& url, Lease lease)
    : db_({.url = url, .purpose = "claims"}),
      claim_(db_, lease == Lease::kInDueAt ? kClaimByDueAt : kClaimByColumn) {
  db_.execute("SET synchronous_commit = off");
}

std::vector<ToSend> Claims::claim(int limit) {
  const std::int64_t now = unix_millis(SystemClock().wall());
  postgresql::Cursor row(claim_, limit, now + kLeaseMillis, now);
  std::vector<ToSend> claimed;
  claimed.reserve(static_cast<std::size_t>(row.size()));
  while (row.next())
    claimed.push_back({read_checked_event(row, row.integer(0), kFirstOfEvent, 0), row.integer(1)});
  return claimed;
}

}  // namespace outboxd::bench
