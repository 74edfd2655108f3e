#include "ingest/outbox_reader.h"

#include <utility>

#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr int kMaxRows = 500;  // per read
constexpr std::size_t kMaxBytes = 8u << 20;
constexpr Millis kPause{250};  // before retrying a row that could not be committed

}  // namespace

void OutboxReader::hear(const OutboxRowsWait&) {
  executor_.post([this] {
    if (!busy_) read();  // otherwise a read follows anyway
  });
}

void OutboxReader::start() {
  executor_.post([this] {
    started_ = true;
    if (!busy_) read();
  });
}

void OutboxReader::stop() {
  executor_.post([this] { started_ = false; });
}

void OutboxReader::read() {
  if (!started_) return;
  std::vector<OutboxRow> rows;
  try {
    if (!reader_) reader_ = store_.new_reader();
    rows = reader_->outbox(kMaxRows, kMaxBytes);
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    log::warn("the outbox could not be read, trying again", {{"error", error.what()}});
    return read_later();
  }
  const std::int64_t first = rows.empty() ? 0 : rows.front().row;
  // The same first row as before: it was refused for now (the store is busy or full).
  const bool stuck = first != 0 && first == std::exchange(previous_, first);
  if (first == 0) return;
  if (stuck) {
    previous_ = 0;
    return read_later();
  }
  busy_ = true;
  ingest_.ingest_rows(std::move(rows), [this] {
    executor_.post([this] {
      busy_ = false;
      read();  // there may be more
    });
  });
}

void OutboxReader::read_later() {
  busy_ = true;
  executor_.call_at(executor_.now() + kPause, [this] {
    busy_ = false;
    read();
  });
}

}  // namespace outboxd
