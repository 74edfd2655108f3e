// Checks a row of the SQL outbox with the same parser as POST /v1/events, so that both kinds of producer follow the
// same rules. Pure.
#pragma once

#include "common/problem.h"
#include "ingest/event_parser.h"
#include "store/store.h"

namespace outboxd {

// The payload keeps the row's exact bytes. Pointers of field errors are column names ("/headers").
Result<EventDraft> draft_from_row(OutboxRow row, const EventLimits& limits);

// Why a row was rejected, in terms of the columns that the producer knows ("headers: …; tenant: …").
std::string rejection(const Problem& refused);

}  // namespace outboxd
