// Everything the API serves, one function and one file for each resource. openapi.json beside this file
// describes all of it; a test compares the two.
#pragma once

#include <vector>

#include "api/context.h"
#include "api/exchange.h"

namespace outboxd::api {

// Producers send events; operators list, read and replay them.
std::vector<Route> event_routes(Context& context);
std::vector<Route> type_routes(Context& context);           // event types that were seen, and who wants them
std::vector<Route> endpoint_routes(Context& context);       // where subscribers listen
std::vector<Route> endpoint_list_routes(Context& context);  // which of them, in which order
std::vector<Route> endpoint_secret_routes(Context& context);  // what is secret about them
// What became of each event, with every attempt; retry and discard.
std::vector<Route> delivery_routes(Context& context);
std::vector<Route> batch_routes(Context& context);      // acts on everything that matches a filter
std::vector<Route> outbox_routes(Context& context);     // rows of the SQL outbox that were rejected
std::vector<Route> source_routes(Context& context);     // applications' databases that are relayed
std::vector<Route> attempt_routes(Context& context);    // attempts, as they are recorded
std::vector<Route> failure_routes(Context& context);    // what failed, and how it went, by the minute
std::vector<Route> operation_routes(Context& context);  // status, health, readiness, metrics
std::vector<Route> setup_routes(Context& context);      // how the daemon is set up, for repairs
std::vector<Route> audit_routes(Context& context);      // what operators changed
std::vector<Route> openapi_routes(Context& context);    // openapi.json
std::vector<Route> session_routes(Context& context);    // who calls, and how a browser signs in
std::vector<Route> dashboard_routes(Context& context);  // the pages of the dashboard

std::vector<Route> all_routes(Context& context);

}  // namespace outboxd::api
