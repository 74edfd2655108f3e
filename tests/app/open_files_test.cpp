// What a process with a limit of open files may have under way.
#include <doctest/doctest.h>

#include "app/options.h"
#include "support/captured_stderr.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Fitted {
  std::int64_t in_flight, idle, connections, own;
  std::string log;
};

Fitted fit(config::Config config, std::int64_t limit) {
  config::Config nothing;
  nothing.delivery.max_in_flight = nothing.limits.connections = 0;
  Fitted fitted{};
  fitted.log = captured_stderr([&] { fit_to_descriptors(config, limit); });
  fitted.in_flight = config.delivery.max_in_flight;
  fitted.connections = config.limits.connections;
  fitted.idle = static_cast<std::int64_t>(delivery_options(config, limit).loop.sender.max_idle_connections);
  fitted.own = descriptors_needed(nothing);
  return fitted;
}

}  // namespace

TEST_CASE("with descriptors for everything, the configuration holds, and as many connections may stay open") {
  const config::Config config;
  const Fitted all = fit(config, 4 * config.delivery.max_in_flight);
  CHECK(all.in_flight == config.delivery.max_in_flight);
  CHECK(all.idle == all.in_flight);
  CHECK(all.connections == config.limits.connections);
  CHECK(all.log.empty());
}

TEST_CASE("with as many as are needed, only fewer connections stay open") {
  const config::Config config;
  const Fitted most = fit(config, descriptors_needed(config));
  CHECK(most.in_flight == config.delivery.max_in_flight);
  CHECK(most.idle >= most.in_flight / 4);
  CHECK(most.idle < most.in_flight);
  CHECK(most.connections == config.limits.connections);
  CHECK(most.log.empty());
  CHECK(fit(config, descriptors_needed(config) - 10).in_flight < config.delivery.max_in_flight);
}

TEST_CASE(
    "with fewer, attempts, idle connections and those of the API fit into the limit, and the log says so") {
  config::Config config;
  for (const std::int64_t limit : {300, 1024, 4096, 20'000}) {
    CAPTURE(limit);
    const Fitted some = fit(config, limit);
    CHECK(some.in_flight + some.idle + some.connections + some.own <= limit);
    CHECK(some.in_flight >= some.idle);
    CHECK(some.idle >= 10);
    CHECK(some.connections >= 30);
    CHECK(some.log.find("LimitNOFILE") != std::string::npos);
  }
  config.limits.connections = 500;
  CHECK(fit(config, 20'000).in_flight > 14'000);
}

TEST_CASE("a limit that leaves nothing is refused, and says what is needed") {
  CHECK_THROWS_WITH_AS(fit({}, 100), doctest::Contains("LimitNOFILE"), std::runtime_error);
}
