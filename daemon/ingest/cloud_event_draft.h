// Which fields of an event a CloudEvent fills. Pure.
//
//   type               type, which must obey the rule of outboxd's
//   source, id         the idempotency key
//   partitionkey       the ordering key (the partitioning extension)
//   traceparent        the trace (the distributed tracing extension), if it is well formed
//   outboxdtenant      the tenant; other attributes that begin with "outboxd" are refused, for they would do nothing
//   datacontenttype    the content type
//   data               the payload
//
// All attributes leave with the event as they came, these too.
#pragma once

#include "common/cloud_event.h"
#include "ingest/event_parser.h"

namespace outboxd {

// The draft counts only if nothing was reported.
EventDraft draft_of(CloudEvent event, const EventLimits& limits, const ReportFault& report);

// "source id", which no other pair gives, because a source has no spaces; its SHA-256 if that is too long for a key.
std::string idempotency_key_of(std::string_view source, std::string_view id);

}  // namespace outboxd
