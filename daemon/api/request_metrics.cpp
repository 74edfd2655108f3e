#include "api/request_metrics.h"

#include <algorithm>
#include <array>

namespace outboxd::api {
namespace {

constexpr std::array<std::string_view, 7> kMethods{"GET",   "HEAD",   "POST",   "PUT",
                                                   "PATCH", "DELETE", "OPTIONS"};
constexpr std::string_view kOther = "other";

}  // namespace

void count_request(telemetry::Metrics& metrics, const Route* route, std::string_view method, int status,
                   std::chrono::nanoseconds duration) {
  const bool known = std::ranges::find(kMethods, method) != kMethods.end();
  metrics.http_request(route != nullptr ? std::string_view(route->path) : kOther, known ? method : kOther,
                       status, duration);
}

}  // namespace outboxd::api
