#include "simulation/core_tables.h"

#include <algorithm>
#include <stdexcept>

namespace outboxd::simulation {
namespace {

std::string column(sqlite3_stmt* row, int i) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(row, i));
  return bytes == nullptr ? std::string()
                          : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(row, i)));
}

void bind_text(sqlite3_stmt* statement, int i, const std::optional<std::string>& value) {
  if (value) {
    sqlite3_bind_text(statement, i, value->data(), static_cast<int>(value->size()), SQLITE_TRANSIENT);
  } else {
    sqlite3_bind_null(statement, i);
  }
}

std::optional<EventId> event_id(sqlite3_stmt* row, int i) {
  const std::string bytes = column(row, i);
  EventId id;
  if (bytes.size() != id.uuid.bytes.size()) return std::nullopt;
  std::ranges::copy(bytes, id.uuid.bytes.begin());
  return id;
}

// event, endpoint, state, sequence key, the event's id
Ledger::DeliveryRow delivery_row(sqlite3_stmt* row) {
  Ledger::DeliveryRow found{.key = {sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)},
                            .state = *parse_delivery_state(column(row, 2)),
                            .sequence_key = {},
                            .event = event_id(row, 4)};
  if (sqlite3_column_type(row, 3) != SQLITE_NULL) found.sequence_key = column(row, 3);
  return found;
}

class Undisturbed {
 public:
  explicit Undisturbed(const MemoryDisk& disk) : disk_(disk) { disk_.suspend_faults(true); }
  ~Undisturbed() { disk_.suspend_faults(false); }

 private:
  const MemoryDisk& disk_;
};

}  // namespace

void CoreTables::close() {
  sqlite3_close(db_);
  db_ = nullptr;
}

bool CoreTables::open() {
  if (db_ != nullptr) return true;
  if (sqlite3_open_v2(path_.c_str(), &db_, SQLITE_OPEN_READWRITE, vfs_.c_str()) == SQLITE_OK &&
      sqlite3_exec(db_, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0", nullptr, nullptr, nullptr) ==
          SQLITE_OK)
    return true;
  close();
  return false;
}

bool CoreTables::run(const char* sql, const std::function<void(sqlite3_stmt*)>& bind, const OnRow& on_row) {
  sqlite3_stmt* statement = nullptr;
  if (!open() || sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK) return false;
  if (bind) bind(statement);
  int rc = SQLITE_ROW;
  while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
    if (on_row) on_row(statement);
  }
  sqlite3_finalize(statement);
  return rc == SQLITE_DONE;
}

bool CoreTables::insert(const std::vector<OutboxInsert>& rows) {
  bool good = run("BEGIN IMMEDIATE", {}, {});
  for (const OutboxInsert& row : rows) {
    good =
        good &&
        run("INSERT INTO outbox(type, payload, tenant, ordering_key, idempotency_key) VALUES (?, ?, ?, ?, ?)",
            [&](sqlite3_stmt* statement) {
              bind_text(statement, 1, row.type);
              bind_text(statement, 2, row.payload);
              bind_text(statement, 3, row.tenant);
              bind_text(statement, 4, row.ordering_key);
              bind_text(statement, 5, row.idempotency_key);
            },
            {});
  }
  good = good && run("COMMIT", {}, {});
  if (!good && db_ != nullptr && sqlite3_get_autocommit(db_) == 0) run("ROLLBACK", {}, {});
  return good;
}

void CoreTables::read_rows(const char* sql, const OnRow& on_row) {
  const Undisturbed calm(disk_);
  if (!run(sql, {}, on_row))
    throw std::runtime_error(
        std::string("a check could not read: ") +
        (db_ != nullptr ? sqlite3_errmsg(db_) + (", code " + std::to_string(sqlite3_extended_errcode(db_)))
                        : "no connection"));
}

Ledger::Tables CoreTables::read(Store& store) {
  Ledger::Tables tables;
  read_rows(
      "SELECT d.event, d.endpoint, d.state, d.order_key, e.id FROM delivery d LEFT JOIN event e ON e.seq = "
      "d.event",
      [&](sqlite3_stmt* row) { tables.deliveries.push_back(delivery_row(row)); });
  read_rows("SELECT event, after, last FROM fan_out", [&](sqlite3_stmt* row) {
    tables.fan_outs[sqlite3_column_int64(row, 0)] = {sqlite3_column_int64(row, 1),
                                                     sqlite3_column_int64(row, 2)};
  });
  read_rows("SELECT seq, payload_erased_at IS NOT NULL, length(payload), id FROM event",
            [&](sqlite3_stmt* row) {
              tables.events[event_id(row, 3).value()] = sqlite3_column_int64(row, 0);
              if (sqlite3_column_int(row, 1) == 1) tables.erased.insert(sqlite3_column_int64(row, 0));
              if (sqlite3_column_int64(row, 2) > 0) tables.with_payload.insert(sqlite3_column_int64(row, 0));
            });
  tables.types_counted = number("SELECT types_counted FROM counter");
  tables.events_of_types = number("SELECT coalesce(sum(events), 0) FROM event_type");
  const Undisturbed calm(disk_);
  tables.endpoints = store.new_reader()->all_endpoints();
  return tables;
}

std::int64_t CoreTables::number(const char* sql) {
  std::int64_t found = 0;
  read_rows(sql, [&](sqlite3_stmt* row) { found = sqlite3_column_int64(row, 0); });
  return found;
}

void CoreTables::check(Store& store, const Ledger::Fail& fail) {
  StoreStatus status;
  {
    const Undisturbed calm(disk_);
    status = store.new_reader()->status();
  }
  const auto compare = [&](const char* what, std::int64_t counted, const char* sql) {
    if (counted != number(sql)) fail(std::string("the count of what is ") + what + " is wrong");
  };
  compare("pending", status.pending, "SELECT count(*) FROM delivery WHERE state = 'pending'");
  compare("delivered", status.delivered, "SELECT count(*) FROM delivery WHERE state = 'delivered'");
  compare("dead", status.dead, "SELECT count(*) FROM delivery WHERE state = 'dead'");
  compare("discarded", status.discarded, "SELECT count(*) FROM delivery WHERE state = 'discarded'");
  compare("an event", status.events, "SELECT count(*) FROM event");
  compare("rejected", status.outbox_rejected, "SELECT count(*) FROM outbox WHERE rejected IS NOT NULL");
  if (number("SELECT count(*) FROM endpoint_count c WHERE pending + dead <> (SELECT count(*) FROM delivery d "
             "WHERE "
             "d.endpoint = c.endpoint AND d.state IN ('pending', 'dead'))") > 0)
    fail("the count of an endpoint's deliveries is wrong");
  if (number(
          "SELECT count(*) FROM delivery d JOIN endpoint e ON e.seq = d.endpoint WHERE d.state = 'pending' "
          "AND e.removed_at IS NOT NULL AND e.discarding = 0") > 0)
    fail("a delivery is pending for an endpoint that was removed and swept");
  if (number(
          "SELECT count(*) FROM delivery d WHERE d.state = 'pending' AND d.order_key IS NOT NULL AND "
          "d.behind = "
          "EXISTS (SELECT 1 FROM delivery h WHERE h.endpoint = d.endpoint AND h.order_key = d.order_key AND "
          "h.event < d.event) = 0") > 0)
    fail("a delivery waits for no other, or is a head and is not the first");
}

}  // namespace outboxd::simulation
