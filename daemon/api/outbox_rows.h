// A rejected row of the SQL outbox as answers show it, in the producer's words.
#pragma once

#include "common/json.h"
#include "store/reads.h"

namespace outboxd::api {

Json json_of_rejected(const OutboxRow& row);  // as in lists: without the payload

}  // namespace outboxd::api
