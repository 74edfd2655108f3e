// The request that an attempt would be now, for an operator who wants to see or repeat it.
#pragma once

#include <memory>

#include "api/context.h"
#include "delivery/request_builder.h"

namespace outboxd {

// As the delivery engine would send it as attempt `number`. Any thread.
Result<api::PreparedRequest> prepare_request(const EndpointPtr& endpoint,
                                             const std::shared_ptr<const Event>& event, int number, Time now,
                                             UuidGenerator& ids, const RequestDefaults& defaults);

}  // namespace outboxd
