// Retrying and discarding, one delivery or many. Many are first counted, which settles which ones they are; then the
// user is asked, and they are changed one by one.
#pragma once

#include <string>
#include <vector>

#include "ctl/listing.h"

namespace outboxd::ctl {

inline constexpr std::size_t kMaxChanged = 100'000;  // by one command; it says so when this is reached

struct ChangeOptions {
  std::string action;  // "retry" or "discard"
  std::vector<std::string> ids;
  Filters filters;
  bool yes = false;
  bool dry_run = false;
};
int change_deliveries(Session& session, const ChangeOptions& options);

// Retries deliveries by id, and for an event's id its dead deliveries.
int retry_ids(Session& session, const std::vector<std::string>& ids);

}  // namespace outboxd::ctl
