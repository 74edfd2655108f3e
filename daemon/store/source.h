// The table `outbox` of an application's own database, as the relay (ingest/relay.h) sees it: rows with numbers that only
// grow. The application writes to that database at any time, so nothing here holds a lock there for longer than
// milliseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/time.h"
#include "store/reads.h"

namespace outboxd {

// Why a source cannot be relayed now, and what to do about it. It is opened again later.
struct SourceFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// The application holds a lock: the same call may succeed a moment later.
struct SourceBusy : SourceFailure {
  using SourceFailure::SourceFailure;
};

struct SourceRow {
  OutboxRow row;
  std::string unreadable = {};  // why it cannot be read, although it is there; only its number is known then
  std::int64_t seq = 0;         // as the application knows it
};
struct SourceRows {
  std::string database;         // tells one database from another (SourcePlace)
  std::int64_t last = 0;        // the highest number that a row was ever given
  bool after_rejected = false;  // there is a rejected row between `after` and the first of these
  // Rows that are not rejected, in order of their numbers, and no rejected one between two of them.
  std::vector<SourceRow> rows;
};
struct SourceRejection {
  std::int64_t row = 0;
  std::string reason;
  std::int64_t seq = 0;
};
struct SourceCleared {
  std::int64_t up_to = 0;  // every row up to here is gone, durably
  std::int64_t rows = 0;
  std::chrono::microseconds held{0};  // for how long the application's writers had to wait
};
// Counted up to a limit.
struct SourceCounts {
  std::int64_t waiting = 0, rejected = 0;
};

// Used by one thread. Everything may throw SourceFailure.
class Source {
 public:
  virtual ~Source() = default;
  // At most `limit` rows and `max_bytes` with a number greater than `after`, or with any if that is the lowest of all;
  // the first one may be larger.
  virtual SourceRows read(std::int64_t after, int limit, std::size_t max_bytes) = 0;
  // Marks rows that can never become events, all or none.
  virtual void reject(const std::vector<SourceRejection>& rows, Time at) = 0;
  // Deletes up to `limit` rows with a number in (after, up_to], the lowest first.
  virtual SourceCleared clear(std::int64_t after, std::int64_t up_to, int limit) = 0;
  virtual SourceCounts counts(int limit) = 0;
  // Throws if the file is not the one at that path any more.
  virtual void check() = 0;
  // False: another daemon relays it now. Only counts() may be called then.
  virtual bool is_ours() { return true; }
  // Returns when another process has committed something since the last read(), or after `at_most`.
  virtual void wait(Millis at_most) = 0;
};
// `stop`, once true, ends what the source is doing; it outlives the source.
using OpenSource = std::function<std::unique_ptr<Source>(const std::atomic<bool>& stop)>;

}  // namespace outboxd
