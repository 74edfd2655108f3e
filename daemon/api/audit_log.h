// What operators changed since the daemon started, the last thousand: for GET /v1/audit. The log holds the same for good.
// No query and no body is kept, and so no secret.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "api/exchange.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace outboxd::api {

struct AuditEntry {
  Time at{};        // of the answer
  std::string who;  // as Request::who
  std::string method;
  std::string path;  // decoded, cut to 256 bytes
  int status = 0;
};

class AuditLog {  // thread safe
 public:
  static constexpr std::size_t kMaxEntries = 1'000;
  explicit AuditLog(const Clock& clock) : clock_(clock) {}

  void add(const Request& request, int status);
  std::vector<AuditEntry> newest(std::size_t limit) const;  // first

 private:
  const Clock& clock_;
  mutable Mutex mutex_;
  std::deque<AuditEntry> entries_ OUTBOXD_GUARDED_BY(mutex_);  // the oldest first
};

}  // namespace outboxd::api
