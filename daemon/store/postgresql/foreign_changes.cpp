#include "store/postgresql/foreign_changes.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "store/postgresql/changed_endpoints.h"
#include "store/postgresql/endpoint_statements.h"

namespace outboxd::postgresql {
namespace {

using Steady = std::chrono::steady_clock;

constexpr const char* kLastNumber = "SELECT last_value FROM event_seq";
// The version of the directory; the oldest transaction that has not ended, and the number that the next one will get.
constexpr const char* kState =
    "SELECT version, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
    " pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM directory";
// The first that SQL producers have left, from row $1 on; what changes with every fan-out and batch that begins; and the
// transactions of its snapshot, as those of kState.
constexpr const char* kWork =
    "SELECT (SELECT seq FROM outbox WHERE rejected IS NULL AND seq >= $1 ORDER BY seq LIMIT 1),"
    " (SELECT count(*) || ' ' || coalesce(max(event), 0) FROM fan_out),"
    " (SELECT count(*) || ' ' || coalesce(max(number), 0) FROM batch WHERE state = 'running'),"
    " pg_snapshot_xmin(pg_current_snapshot())::text::bigint, "
    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
constexpr const char* kFresh =
    "SELECT event, endpoint, due_at, due_at - clock_millis() FROM pending"
    " WHERE event > $1 AND NOT blocked AND endpoint % 256 = ANY ($2) ORDER BY event, endpoint LIMIT $3";
constexpr const char* kFreshEndpoints =
    "SELECT DISTINCT endpoint FROM pending WHERE event > $1 AND endpoint % 256 = ANY ($2)";

std::vector<std::int64_t> numbers_of(const PartitionSet& partitions) {
  std::vector<std::int64_t> numbers;
  numbers.reserve(partitions.count());
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (partitions.test(i)) numbers.push_back(static_cast<std::int64_t>(i));
  }
  return numbers;
}

}  // namespace

struct ForeignChanges::Session {
  explicit Session(Connection& db)
      : last_number(db, kLastNumber),
        state(db, kState),
        work(db, kWork),
        fresh(db, kFresh),
        fresh_endpoints(db, kFreshEndpoints),
        changed(db, sql::kChangedEndpoints),
        notify(db, "SELECT pg_notify('outboxd', $1)") {}
  Statement last_number, state, work, fresh, fresh_endpoints, changed, notify;
};

void OwnEvents::add(const Facts& facts) {
  const MutexLock lock(mutex_);
  if (added_.size() > kMaxAdded)
    added_.clear();  // nobody looks: at worst they are looked at as those of others
  for (const Fact& fact : facts) {
    if (const auto* ready = std::get_if<DeliveryReady>(&fact)) {
      const EventSeq event = ready->delivery.key.event;
      if (added_.empty() || added_.back() != event) added_.push_back(event);
    }
  }
}

const std::unordered_set<EventSeq>& OwnEvents::after(EventSeq mark) {
  std::vector<EventSeq> added;
  {
    const MutexLock lock(mutex_);
    added.swap(added_);
  }
  known_.insert(added.begin(), added.end());
  std::erase_if(known_, [mark](EventSeq event) { return event <= mark; });
  return known_;
}

ForeignChanges::ForeignChanges(const ConnectionOptions& options, std::unique_ptr<StoreReader> reader,
                               OwnEvents& own, DueMarks& marks, DirectoryVersion directory)
    : options_(options), reader_(std::move(reader)), own_(own), marks_(marks), directory_(directory) {}

ForeignChanges::~ForeignChanges() = default;

// What was notified while there was no connection is lost, so everybody looks at everything.
void ForeignChanges::connect() {
  if (db_ && !db_->is_lost()) return;
  disconnect();
  auto db = std::make_unique<Connection>(options_);
  db->execute("SET synchronous_commit = off");  // it writes nothing that has to last
  db->execute("LISTEN outboxd");
  session_ = std::make_unique<Session>(*db);
  db_ = std::move(db);
  full_look_at_ = {};
}

void ForeignChanges::disconnect() {
  session_.reset();
  db_.reset();
}

// A look that fails in the middle has told nobody of what it has found.
Facts ForeignChanges::look(const PartitionSet& owned, bool has_peers) {
  const DirectoryVersion before = directory_;
  try {
    return look_at_all(owned, has_peers);
  } catch (...) {
    directory_ = before;
    work_.clear();
    full_look_at_ = {};
    throw;
  }
}

Facts ForeignChanges::look_at_all(const PartitionSet& owned, bool has_peers) {
  connect();
  const bool keeps_house = owned.test(kHousekeepingPartition);
  const bool finds = has_peers && owned.any();
  Pipeline ask(*db_);
  ask.add(session_->last_number).add(session_->state);
  const std::size_t work_at = ask.size();
  const auto now = Steady::now();
  const std::int64_t outbox_from = outbox_mark_.look_from(now);
  if (keeps_house) ask.add(session_->work, outbox_from);
  const std::size_t fresh_at = ask.size();
  if (finds && mark_ >= 0) ask.add(session_->fresh, mark_, numbers_of(owned), kMaxRows);
  ask.run();

  Facts facts;
  Cursor last = ask.rows(0), state = ask.rows(1);
  if (!last.next() || !state.next()) throw CorruptValue("the row of table directory is missing");
  find_changed_endpoints(static_cast<DirectoryVersion>(state.integer(0)), facts);
  if (keeps_house) find_work(ask.rows(work_at), has_peers, outbox_from, now, facts);
  const bool looks = finds && mark_ >= 0;
  if (looks) find_deliveries(ask.rows(fresh_at), owned, facts);
  // Until now others were not looked at, or not from here: what they have committed is on disk.
  if (!std::exchange(found_before_, looks)) full_look_at_ = {};
  if (looks && now - full_look_at_ >= kFullLook) {
    full_look_at_ = now;
    facts.emplace_back(DueTimesMoved{});  // each lane looks at the disk, so nothing is missed for longer
  }
  places_.push_back({.last = last.integer(0), .end = state.integer(2), .at = now});
  raise_mark(state.integer(1));
  return facts;
}

// A place may be the mark when the transactions that could have drawn its numbers have ended before this look.
void ForeignChanges::raise_mark(std::int64_t oldest) {
  const auto now = places_.back().at;
  while (!places_.empty()) {
    const Place& place = places_.front();
    const auto age = now - place.at;
    if (age < kMinLag || (place.end > oldest && age < kMaxTransaction)) break;
    mark_ = std::max(mark_, place.last);
    places_.pop_front();
  }
  if (mark_ >= 0) seen_.erase(seen_.begin(), seen_.upper_bound({mark_, INT64_MAX}));
}

void ForeignChanges::find_changed_endpoints(DirectoryVersion now, Facts& facts) {
  if (now < directory_)
    throw HistoryLost(
        "the database has lost changes of endpoints that it had confirmed (a failover to a standby that had "
        "not"
        " got them, or a restore): outboxd has to start again over what is there now");
  directory_ = tell_changed_endpoints(
      session_->changed, directory_, now, [this](const EndpointId& id) { return reader_->endpoint(id); },
      facts);
}

void ForeignChanges::find_work(Cursor row, bool has_peers, std::int64_t outbox_from, Steady::time_point began,
                               Facts& facts) {
  if (!row.next()) return;
  OutboxMark::Look look{.from = outbox_from, .oldest_running = row.integer(3), .next_to_run = row.integer(4)};
  if (!row.is_null(0)) {
    facts.emplace_back(OutboxRowsWait{});
    look.highest = row.integer(0) - 1;  // below the first there are none
  }
  outbox_mark_.looked(look, began, Steady::now());
  const std::string work = has_peers ? row.text(1) + "/" + row.text(2) : "";
  if (std::exchange(work_, work) == work || work.empty()) return;
  facts.emplace_back(FanOutWaits{});
  facts.emplace_back(BatchChanged{});
}

void ForeignChanges::find_deliveries(Cursor rows, const PartitionSet& owned, Facts& facts) {
  const auto& own = own_.after(mark_);
  std::map<EndpointSeq, Millis> due;
  const bool is_all = rows.size() < kMaxRows;
  while (rows.next()) {
    const EventSeq event = rows.integer(0);
    const EndpointSeq endpoint = rows.integer(1);
    if (own.contains(event) || !seen_.insert({event, endpoint}).second) continue;
    const Millis found_in(rows.integer(3)), due_in = std::max(found_in, Millis(0));
    if (found_in < -DueMarks::kLate) marks_.lower(endpoint, rows.time(2));
    const auto [first, is_new] = due.try_emplace(endpoint, due_in);
    if (!is_new) first->second = std::min(first->second, due_in);
  }
  if (!is_all) {
    for (Cursor endpoints(session_->fresh_endpoints, mark_, numbers_of(owned)); endpoints.next();) {
      due[endpoints.integer(0)] = Millis(0);
      marks_.forget(endpoints.integer(0));
    }
  }
  for (const auto& [endpoint, due_in] : due) facts.emplace_back(DueOnDisk{endpoint, due_in});
}

void ForeignChanges::send(const std::string& payload) {
  connect();
  Cursor sent(session_->notify, payload);
}

std::vector<std::string> ForeignChanges::heard() {
  std::vector<std::string> payloads;
  if (!db_) return payloads;
  PQconsumeInput(db_->handle());
  while (PGnotify* const notification = PQnotifies(db_->handle())) {
    payloads.emplace_back(notification->extra);
    PQfreemem(notification);
  }
  return payloads;
}

}  // namespace outboxd::postgresql
