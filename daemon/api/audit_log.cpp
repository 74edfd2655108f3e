#include "api/audit_log.h"

#include <algorithm>
#include <utility>

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxPath = 256;

}  // namespace

void AuditLog::add(const Request& request, int status) {
  AuditEntry entry{.at = clock_.wall(),
                   .who = request.who,
                   .method = request.method,
                   .path = request.path.substr(0, kMaxPath),
                   .status = status};
  const MutexLock lock(mutex_);
  entries_.push_back(std::move(entry));
  if (entries_.size() > kMaxEntries) entries_.pop_front();
}

std::vector<AuditEntry> AuditLog::newest(std::size_t limit) const {
  const MutexLock lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(limit, entries_.size()));
  return {entries_.rbegin(), entries_.rbegin() + count};
}

}  // namespace outboxd::api
