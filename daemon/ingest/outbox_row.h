// Checking a row of the SQL outbox: by the very parser that checks POST /v1/events, so that both kinds of
// producer are held to the same rules. Pure.
#pragma once

#include "common/problem.h"
#include "ingest/event_parser.h"
#include "store/store.h"

namespace outboxd {

// The payload's bytes are the row's. The pointers of its field errors are the columns' names ("/headers").
Result<EventDraft> draft_from_row(OutboxRow row, const EventLimits& limits);

// Why a row was set aside, in the words of who wrote it: his columns ("headers: …; tenant: …").
std::string rejection(const Problem& refused);

}  // namespace outboxd
