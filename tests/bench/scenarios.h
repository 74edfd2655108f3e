// The scenarios; daemon/docs/performance.md says what each shows. They run one after the other, each
// on databases of its own, and throw std::runtime_error when they cannot be carried out.
#pragma once

#include <vector>

#include "bench/report.h"
#include "bench/rig.h"

namespace outboxd::bench {

// One event a request, as fast as acknowledged; and the limit, limit.h. The same in batches of 100.
std::vector<Result> throughput(const Settings& settings);
std::vector<Result> batch_throughput(const Settings& settings);
// As fast as acknowledged to one endpoint and to a thousand, plain and over TLS.
std::vector<Result> endpoints(const Settings& settings);
// 1,000 events/s, open loop, beside a bare commit at the same pace.
std::vector<Result> latency(const Settings& settings);
// 5,000 events/s, open loop: a third of what the daemon can do, where commits are shared by few.
std::vector<Result> busy_latency(const Settings& settings);
// A healthy endpoint alone, beside many that answer, and beside as many that hang.
std::vector<Result> isolation(const Settings& settings);
// Millions pending: memory, first delivery, drain rate, beside a small backlog.
std::vector<Result> backlog(const Settings& settings);
// kill -9 with a backlog and under load, and a start.
std::vector<Result> restart(const Settings& settings);
// One event to very many endpoints, and what other producers notice of it.
std::vector<Result> fan_out(const Settings& settings);
// One producer's events beside endpoints that ask for what is in them.
std::vector<Result> filters(const Settings& settings);
// What the dashboard's pages ask for beside a large backlog and a load, and what the load notices of it.
std::vector<Result> dashboard(const Settings& settings);
// Subscribers that fail now and then, or are slow: everything arrives all the same.
std::vector<Result> unreliable(const Settings& settings);

// Over a private PostgreSQL: one daemon and several, as fast as acknowledged...
std::vector<Result> postgresql_daemons(const Settings& settings);
// ... the store's owner beside workers that claim by SKIP LOCKED, and what a query for work takes under an open snapshot;
std::vector<Result> postgresql_claims(const Settings& settings);
std::vector<Result> postgresql_snapshot(const Settings& settings);
// millions pending; and INSERT INTO outbox until the subscriber has it.
std::vector<Result> postgresql_backlog(const Settings& settings);
std::vector<Result> postgresql_outbox(const Settings& settings);

}  // namespace outboxd::bench
