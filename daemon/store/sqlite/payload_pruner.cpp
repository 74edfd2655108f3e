#include "store/sqlite/payload_pruner.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

// In one step, but at least one event: what is overwritten goes through the write-ahead log.
constexpr std::int64_t kMaxBytesErased = 4 << 20;
constexpr std::int64_t kMaxDeliveriesRead = 2048;
constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

struct Stored {
  EventSeq event = 0;
  Time accepted_at{};
  std::int64_t bytes = 0;
};

// One from the future was accepted while the clock was wrong, and ends nothing. After any other that is not old yet all
// are newer still.
bool is_recent(Time accepted_at, const PrunePayloads& command) {
  return accepted_at >= command.before && accepted_at <= command.at;
}

}  // namespace

bool PayloadPruner::is_pending(EventSeq event, std::int64_t& reads) {
  {
    Cursor fan_out(fan_out_of_, event);
    if (fan_out.next()) return true;
  }
  Cursor row(states_of_event_, event, 0, kAll);
  for (; row.next(); ++reads) {
    if (read_state(row.view(1)) == DeliveryState::kPending) return true;
  }
  return false;
}

bool PayloadPruner::erase(EventSeq event, Time at) {
  const auto found = eraser_.find(event);
  if (!found || found->erased_at) return false;
  eraser_.erase(*found, at);
  return true;
}

// A repeat finds that they are gone. The log is purged once a round: each time, all of it is copied into the file.
Result<PayloadsPruned> PayloadPruner::execute(const PrunePayloads& command, Transaction& transaction) {
  EventSeq gone = 0;
  {
    Cursor row(read_place_);
    if (!row.next()) throw CorruptValue("the row of table counter is missing: the database is damaged");
    gone = row.integer(0);
  }
  EventSeq last = std::max(command.after, gone);
  std::vector<Stored> events;
  {
    Cursor row(payloads_after_, last, command.limit);
    while (row.next()) {
      const Time accepted_at = read_uuid(row.view(1)).time();
      if (is_recent(accepted_at, command)) break;
      events.push_back({row.integer(0), accepted_at, row.integer(2)});
    }
  }
  bool more = static_cast<std::int64_t>(events.size()) == command.limit;
  bool all_gone = last == gone;  // none has kept its payload until here
  const EventSeq gone_before = gone;
  std::int64_t bytes = 0, reads = 0;
  PayloadsPruned pruned;
  std::optional<OverwritesDeleted> overwrites;
  if (!events.empty()) overwrites.emplace(db_);
  for (const Stored& one : events) {
    const bool has_payload = one.bytes > 0;
    if (has_payload && (one.accepted_at >= command.before || is_pending(one.event, reads))) {
      all_gone = false;
    } else if (has_payload && erase(one.event, command.at)) {
      ++pruned.events;
      bytes += one.bytes;
    }
    last = one.event;
    if (all_gone) gone = last;
    if (bytes >= kMaxBytesErased || reads >= kMaxDeliveriesRead) {
      more = true;
      break;
    }
  }
  if (gone > gone_before) set_place_.run(gone);
  if (more) pruned.next = last;
  if (pruned.events > 0) transaction.when_committed([this] { erased_ = true; });
  if (!more) {
    transaction.when_committed([this] {
      if (std::exchange(erased_, false)) eraser_.purge_log();
    });
  }
  return pruned;
}

}  // namespace outboxd::sqlite
