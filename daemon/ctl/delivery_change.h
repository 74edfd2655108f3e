// Retrying and discarding: deliveries by their ids, one by one, or all that match filters, as a batch.
#pragma once

#include <string>
#include <vector>

#include "ctl/batch_run.h"

namespace outboxd::ctl {

struct ChangeOptions {
  std::vector<std::string> ids;
  BatchOptions batch;  // its action is "retry" or "discard"; without a state: of dead ones
};
int change_deliveries(Session& session, const ChangeOptions& options);

// Retries deliveries by id, and for an event's id its dead deliveries.
int retry_ids(Session& session, const std::vector<std::string>& ids);

}  // namespace outboxd::ctl
