// From the configuration to each module's Options.
#pragma once

#include <memory>

#include "api/context.h"
#include "api/http_server.h"
#include "common/secret_box.h"
#include "config/config.h"
#include "delivery/delivery_loops.h"
#include "ingest/fan_out.h"
#include "ingest/ingest.h"
#include "maintenance/retention.h"
#include "outbound/address_policy.h"
#include "store/clock_steps.h"
#include "store/group_commit.h"
#include "store/sqlite/sqlite_store.h"
#include "telemetry/metrics.h"
#ifdef OUTBOXD_POSTGRESQL
#include "store/postgresql/postgres_store.h"
#endif

namespace outboxd {

api::HttpServer::Options http_server_options(const config::Config& config,
                                             std::shared_ptr<api::AuditLog> audit);
// With at most so many descriptors open.
DeliveryLoops::Options delivery_options(const config::Config& config, std::int64_t descriptor_limit);
FanOut::Options fan_out_options(const config::Config& config);
Ingest::Options ingest_options(const config::Config& config);
// These count in `metrics` and `clock_steps`, which must outlive whatever gets the options.
GroupCommit::Options commit_options(const config::Config& config, telemetry::Metrics& metrics);
SqliteOptions sqlite_options(const config::Config& config, std::shared_ptr<const SecretBox> secrets,
                             telemetry::Metrics& metrics, ClockSteps& clock_steps);
#ifdef OUTBOXD_POSTGRESQL
PostgresOptions postgres_options(const config::Config& config, std::shared_ptr<const SecretBox> secrets,
                                 telemetry::Metrics& metrics);
#endif
// With this many open files nothing is lowered; with fewer of them, idle connections are closed sooner.
std::int64_t descriptors_needed(const config::Config& config);
// Lowers the settings that need file descriptors to what a process with this limit can have. Throws std::runtime_error
// when the limit is too low to serve at all.
void fit_to_descriptors(config::Config& config, std::int64_t limit);

RetentionPeriods retention_periods(const config::Config& config);
std::shared_ptr<const AddressPolicy> address_policy(const config::Config& config,
                                                    std::vector<AddressPolicy::OwnListener> own_listeners);
// Null without [store] secrets_key_file. Throws std::runtime_error for a file that cannot be read or holds no keys.
std::shared_ptr<const SecretBox> secret_box(const config::Config& config);

// What GET /v1/setup shows of the configuration.
api::DaemonSetup daemon_setup(const config::Config& config);

}  // namespace outboxd
