#include "store/sqlite/rollup_row.h"

namespace outboxd::sqlite {
namespace {

Histogram read_histogram(const Cursor& row, int column) {
  if (const auto histogram = Histogram::decode(row.view(column))) return *histogram;
  throw CorruptValue("a histogram of table rollup cannot be read: the database is damaged");
}

template <class T>
std::optional<T> read_word(std::string_view word, std::optional<T> (*parse)(std::string_view)) {
  const auto value = parse(word);
  if (!value && !word.empty())
    throw CorruptValue("a word of table rollup cannot be read: the database is damaged");
  return value;
}

}  // namespace

RollupRow read_rollup(const Cursor& row) {
  return {.at = row.time(0),
          .key = {.endpoint = row.integer(1),
                  .type = row.text(2),
                  .outcome = read_word(row.view(3), &parse_outcome),
                  .status = row.number(4),
                  .reason = read_word(row.view(5), &parse_dead_reason)},
          .counts = {.accepted = row.integer(6),
                     .attempts = row.integer(7),
                     .failed = row.integer(8),
                     .delivered = row.integer(9),
                     .dead = row.integer(10),
                     .latency = read_histogram(row, 11),
                     .duration = read_histogram(row, 12),
                     .first_at = row.optional_time(13),
                     .last_at = row.optional_time(14),
                     .last_error = row.text(15)}};
}

void put_rollup(Statement& put, Millis span, Time at, const RollupKey& key, const RollupCounts& counts) {
  const std::string latency = counts.latency.encode(), duration = counts.duration.encode();
  put.run(span.count(), millis(at), key.endpoint, key.type,
          key.outcome ? to_string(*key.outcome) : std::string_view(), key.status,
          key.reason ? to_string(*key.reason) : std::string_view(), counts.accepted, counts.attempts,
          counts.failed, counts.delivered, counts.dead, Blob{latency}, Blob{duration},
          millis(counts.first_at), millis(counts.last_at), counts.last_error);
}

}  // namespace outboxd::sqlite
