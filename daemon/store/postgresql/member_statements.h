// The statements by which daemons become members and share the partitions out (member_session.h). Rows are locked in one
// order everywhere: first those of partition_owner, then those of member.
#pragma once

namespace outboxd::postgresql::sql {

// The server that the database was made on, if this is another one.
inline constexpr const char* kForeignHome =
    "SELECT i.system_identifier FROM installation i, pg_control_system() c"
    " WHERE i.system_identifier <> c.system_identifier::text";
inline constexpr const char* kFreeFormer =
    "UPDATE partition_owner SET token = NULL, since = clock_millis() WHERE token = $1"
    " AND partition <> ALL ($2)";
inline constexpr const char* kFenceFormer = "UPDATE member SET fenced = true WHERE token = $1 AND NOT fenced";
inline constexpr const char* kForgetMembers =
    "DELETE FROM member WHERE fenced AND heartbeat_at < clock_millis() - $1"
    " AND NOT EXISTS (SELECT FROM partition_owner o WHERE o.token = member.token)";
// The lowest one above $1 that no member has.
inline constexpr const char* kFreeSlot =
    "SELECT s FROM generate_series($1 + 1, $1 + 1 + (SELECT count(*) FROM member WHERE NOT fenced)) s"
    " WHERE NOT EXISTS (SELECT FROM member WHERE slot = s AND NOT fenced) ORDER BY s LIMIT 1";
inline constexpr const char* kLockSlot =
    "SELECT pg_try_advisory_lock('member'::regclass::oid::integer, $1::integer)";
inline constexpr const char* kInsertMember =
    "INSERT INTO member (token, slot, name, address, joined_at, heartbeat_at)"
    " VALUES ($1, $2, $3, coalesce(host(inet_client_addr()), 'local'), clock_millis(), clock_millis())";
inline constexpr const char* kHeartbeat =
    "UPDATE member SET heartbeat_at = clock_millis() WHERE token = $1 AND NOT fenced";
// Token; the process of the session that holds its slot's lock, NULL: none; whether it is $1 ms since it proved to be there.
inline constexpr const char* kMembers =
    "SELECT m.token, l.pid, m.heartbeat_at < clock_millis() - $1 FROM member m"
    " LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND l.classid = 'member'::regclass AND l.objid = m.slot::bigint::oid"
    " WHERE NOT m.fenced";
inline constexpr const char* kOwners = "SELECT partition, token FROM partition_owner WHERE token IS NOT NULL";
inline constexpr const char* kFenceDead =
    "UPDATE member SET fenced = true WHERE token = ANY ($1) AND NOT fenced";
inline constexpr const char* kTerminate = "SELECT pg_terminate_backend(p::integer) FROM unnest($1) p";
inline constexpr const char* kLockPartitions =
    "SELECT p, pg_try_advisory_lock('partition_owner'::regclass::oid::integer, p::integer) FROM unnest($1) p";
inline constexpr const char* kUnlockPartitions =
    "SELECT pg_advisory_unlock('partition_owner'::regclass::oid::integer, p::integer) FROM unnest($1) p";
inline constexpr const char* kGuard = "SELECT 1 FROM member WHERE token = $1 AND NOT fenced FOR SHARE";
inline constexpr const char* kOwnersBefore =
    "SELECT partition, token FROM partition_owner WHERE partition = ANY ($1) ORDER BY partition FOR UPDATE";
inline constexpr const char* kFenceOwners =
    "UPDATE member SET fenced = true WHERE NOT fenced AND token IN"
    " (SELECT token FROM partition_owner WHERE partition = ANY ($1) AND token <> $2)";
inline constexpr const char* kOwnPartitions =
    "UPDATE partition_owner SET token = $2, since = clock_millis() WHERE partition = ANY ($1)";
inline constexpr const char* kGiveBack =
    "UPDATE partition_owner SET token = NULL, since = clock_millis() WHERE partition = ANY ($1) AND token = "
    "$2";
inline constexpr const char* kGiveBackAll =
    "UPDATE partition_owner SET token = NULL, since = clock_millis() WHERE token = $1"
    " AND partition <> ALL ($2)";
inline constexpr const char* kDeleteMember = "DELETE FROM member WHERE token = $1";

}  // namespace outboxd::postgresql::sql
