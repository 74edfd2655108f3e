// The process_* metrics that every Prometheus client library exposes, read from /proc when needed. Linux only. For
// metrics.cpp alone.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace outboxd::telemetry {

// What cannot be read (no /proc in a chroot) is left out.
std::vector<prometheus::MetricFamily> process_metrics();

// One family without labels.
prometheus::MetricFamily single_metric(std::string name, std::string help, prometheus::MetricType type,
                                       double value);

}  // namespace outboxd::telemetry
