// The filters on deliveries, which lists and batches share.
#pragma once

#include "api/query.h"
#include "ingest/endpoint_directory.h"
#include "store/reads.h"

namespace outboxd::api {

// The names of its parameters.
inline constexpr std::string_view kDeliveryFilters[] = {"state", "endpoint", "tenant", "type",  "event",
                                                        "error", "reason",   "status", "since", "until"};
DeliveryFilter read_delivery_filter(const EndpointDirectory& directory, Query& query);

}  // namespace outboxd::api
