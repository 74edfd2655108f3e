#include "store/postgresql/pending_rows.h"

#include "store/postgresql/columns.h"

namespace outboxd::postgresql {

PendingRow read_pending(const Cursor& row, int first) {
  PendingRow p;
  p.key = {row.integer(first), row.integer(first + 1)};
  p.day = row.number(first + 2);
  p.due_at = row.integer(first + 3);
  p.priority = row.number(first + 4);
  p.attempts = row.number(first + 5);
  p.attempts_ever = row.number(first + 6);
  p.blocked = row.boolean(first + 7);
  p.sequence_key = row.optional_text(first + 8);
  p.error = row.optional_text(first + 9);
  p.created_at = row.integer(first + 10);
  p.expires_at = row.optional_integer(first + 11);
  p.after_batch = row.integer(first + 12);
  return p;
}

PendingRows::PendingRows(Connection& db)
    : insert_(db, "INSERT INTO pending (" + std::string(kPendingColumns) +
                      ") SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[],"
                      " $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::text[], $10::text[],"
                      " $11::bigint[], $12::bigint[], $13::bigint[])") {}

void PendingRows::write(Pipeline& pipeline) {
  if (rows_.empty()) return;
  using Text = std::optional<std::string_view>;
  const auto integers = [this](auto get) { return column<std::int64_t>(rows_, get); };
  using Row = PendingRow;
  pipeline.add(insert_, integers([](const Row& r) { return r.key.event; }),
               integers([](const Row& r) { return r.key.endpoint; }),
               integers([](const Row& r) { return r.day; }), integers([](const Row& r) { return r.due_at; }),
               integers([](const Row& r) { return r.priority; }),
               integers([](const Row& r) { return r.attempts; }),
               integers([](const Row& r) { return r.attempts_ever; }),
               column<bool>(rows_, [](const Row& r) { return r.blocked; }),
               column<Text>(rows_, [](const Row& r) { return Text(r.sequence_key); }),
               column<Text>(rows_, [](const Row& r) { return Text(r.error); }),
               integers([](const Row& r) { return r.created_at; }),
               column<std::optional<std::int64_t>>(rows_, [](const Row& r) { return r.expires_at; }),
               integers([](const Row& r) { return r.after_batch; }));
  drop();
}

}  // namespace outboxd::postgresql
