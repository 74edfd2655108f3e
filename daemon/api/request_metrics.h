// How requests are counted in the metrics, whoever answers them.
#pragma once

#include <chrono>
#include <string_view>

#include "api/exchange.h"
#include "telemetry/metrics.h"

namespace outboxd::api {

// `route` is null when none was found. Clients may invent methods and paths; the labels stay few.
void count_request(telemetry::Metrics& metrics, const Route* route, std::string_view method, int status,
                   std::chrono::nanoseconds duration);

}  // namespace outboxd::api
