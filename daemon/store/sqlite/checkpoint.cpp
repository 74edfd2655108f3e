#include "store/sqlite/checkpoint.h"

#include <mutex>
#include <thread>

#include "store/sqlite/transaction_statements.h"
#include "telemetry/log.h"

namespace outboxd::sqlite {
namespace {

constexpr int kGuardCacheKib = 64;  // it reads one page
constexpr int kGateTries = 50;      // a millisecond each

bool close_gate(std::unique_lock<ReadGate>& gate) {
  for (int i = 0; i < kGateTries; ++i) {
    if (gate.try_lock()) return true;
    std::this_thread::sleep_for(Millis(1));
  }
  return false;
}

}  // namespace

Checkpoint::Checkpoint(Database& writer, const Location& location, ReadGate& gate)
    : writer_(writer),
      guard_(location, Mode::kWriter, Millis(0), kGuardCacheKib),
      begin_(guard_, sql::kBegin),
      rollback_(guard_, sql::kRollback),
      gate_(gate) {
  sqlite3_wal_hook(
      writer.handle(),
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<Checkpoint*>(self)->frames_ = frames;
        return SQLITE_OK;
      },
      this);
}

void Checkpoint::run_if_due() {
  if (frames_ < copied_) {  // the WAL began anew
    copied_ = 0;
    gate_at_ = kFramesToGate;
  }
  if (frames_ - copied_ >= kFrames) run();
}

void Checkpoint::run() {
  std::unique_lock<ReadGate> gate(gate_, std::defer_lock);
  if (frames_ >= gate_at_) {
    gate_at_ = frames_ + kFramesToGate;
    log::warn("the write-ahead log has grown: reads overlap, or another process reads for long",
              {{"frames", frames_}, {"own_reads_held", close_gate(gate)}});
  }
  copy();
}

bool Checkpoint::copy() {
  try {
    begin_.run();
  } catch (const StoreError& error) {
    if (error.kind != StoreError::Kind::kBusy) throw;
    return false;  // a producer is writing: try after our next batch
  }
  int in_log = 0;
  int copied = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(writer_.handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  rollback_.run();
  const int primary = rc & 0xff;
  // BUSY: a producer's own checkpoint is running. FULL: the database file cannot grow; the WAL stays, and the next
  // commit shows whether there is space.
  if (primary == SQLITE_BUSY || primary == SQLITE_FULL) return false;
  if (rc != SQLITE_OK) writer_.fail(rc, "checkpointing");
  copied_ = copied;
  return copied == in_log;
}

bool Checkpoint::purge() {
  std::unique_lock<ReadGate> gate(gate_, std::defer_lock);
  close_gate(gate);
  if (!copy()) return false;
  const int before = frames_;
  try {
    writer_.execute("BEGIN IMMEDIATE; UPDATE counter SET one = one WHERE one = 1; COMMIT");
  } catch (const StoreError& error) {
    if (writer_.in_transaction()) writer_.execute("ROLLBACK");
    if (!error.may_try_again()) throw;
    return false;
  }
  return frames_ <= before;  // otherwise the commit was appended
}

}  // namespace outboxd::sqlite
