#include "app/open_store.h"

#include <algorithm>
#include <utility>

#include "app/options.h"
#include "app/process.h"
#include "runtime/service_manager.h"
#include "store/sqlite/sqlite_store.h"
#include "telemetry/log.h"
#ifdef OUTBOXD_POSTGRESQL
#include "store/postgresql/postgres_store.h"
#endif

namespace outboxd {
namespace {

constexpr Millis kFirstTry{100};
constexpr Millis kSlowestTry = std::chrono::seconds(5);
constexpr Millis kToldAgain = std::chrono::minutes(1);
constexpr Millis kPatience = std::chrono::minutes(2);  // of the service manager, between two tries

std::unique_ptr<Store> open_on_server([[maybe_unused]] const config::Config& config,
                                      [[maybe_unused]] std::shared_ptr<const SecretBox> secrets,
                                      [[maybe_unused]] telemetry::Metrics& metrics) {
#ifdef OUTBOXD_POSTGRESQL
  std::unique_ptr<Store> store;
  const PostgresOptions options = postgres_options(config, std::move(secrets), metrics);
  once_reachable([&] { store = open_postgres_store(options); });
  return store;
#else
  throw StoreError(StoreError::Kind::kCannotOpen,
                   "[store] url is one of PostgreSQL, and this outboxd was built without it: build it where"
                   " libpq is installed (Debian's libpq-dev), or use a sqlite:// URL");
#endif
}

}  // namespace

void once_reachable(const std::function<void()>& work) {
  const ServiceManager manager;
  Millis pause = kFirstTry;
  Millis until_told{0};
  while (true) {
    try {
      return work();
    } catch (const StoreError& error) {
      if (!error.may_try_again()) throw;
      const std::string why = error.what();
      if (until_told <= Millis(0)) {
        log::warn("waiting for the store", {{"error", why}});
        until_told = kToldAgain;
      }
      manager.starting("waiting for the store: " + why, kPatience);
    }
    if (stop_signal_within(pause)) throw StoppedWaiting();
    until_told -= pause;
    pause = std::min(2 * pause, kSlowestTry);
  }
}

std::unique_ptr<Store> open_store(const config::Config& config, std::shared_ptr<const SecretBox> secrets,
                                  telemetry::Metrics& metrics, ClockSteps& clock_steps) {
  if (config.store.is_sqlite())
    return open_sqlite_store(sqlite_options(config, std::move(secrets), metrics, clock_steps));
  return open_on_server(config, std::move(secrets), metrics);
}

}  // namespace outboxd
