#include "app/open_store.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "app/process.h"
#include "support/captured_stderr.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE("what needs a server is done as soon as it can be reached, and the wait is told once") {
  int tries = 0;
  const std::string log = captured_stderr([&] {
    once_reachable([&] {
      if (++tries < 3) throw StoreError(StoreError::Kind::kBusy, "no route to host");
    });
  });
  CHECK(tries == 3);
  const auto first = log.find("waiting for the store");
  REQUIRE(first != std::string::npos);
  CHECK(log.find("no route to host") != std::string::npos);
  CHECK(log.find("waiting for the store", first + 1) == std::string::npos);
}

TEST_CASE("what no other try would mend is not waited for") {
  for (const auto kind :
       {StoreError::Kind::kCannotOpen, StoreError::Kind::kNewerSchema, StoreError::Kind::kMissingKey}) {
    int tries = 0;
    CHECK_THROWS_AS(once_reachable([&] {
                      ++tries;
                      throw StoreError(kind, "no");
                    }),
                    StoreError);
    CHECK(tries == 1);
  }
}

#ifndef OUTBOXD_POSTGRESQL
TEST_CASE("a build without PostgreSQL says so of a URL of one, and names what there is") {
  config::Config config;
  config.store.url = "postgresql:///outboxd";
  telemetry::Metrics metrics;
  ClockSteps clock_steps;
  std::string said;
  try {
    open_store(config, nullptr, metrics, clock_steps);
  } catch (const StoreError& refused) {
    CHECK(refused.kind == StoreError::Kind::kCannotOpen);
    said = refused.what();
  }
  CHECK(said.find("was built without it") != std::string::npos);
  CHECK(said.find("sqlite://") != std::string::npos);
}
#endif

TEST_CASE("who waits for the store can be stopped") {
  hold_signals();
  kill(getpid(), SIGTERM);
  int tries = 0;
  captured_stderr([&] {
    CHECK_THROWS_AS(once_reachable([&] {
                      ++tries;
                      throw StoreError(StoreError::Kind::kBusy, "away");
                    }),
                    StoppedWaiting);
  });
  CHECK(tries == 1);
  CHECK_FALSE(stop_signal_within(Millis(0)));
  release_signals();
}
