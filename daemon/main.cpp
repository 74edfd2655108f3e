// outboxd: reads its configuration, then serves, migrates or only checks.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <optional>
#include <stdexcept>

#include "app/app.h"
#include "app/exit_status.h"
#include "app/migrate.h"
#include "app/process.h"
#include "config/flags.h"
#include "runtime/standard_descriptors.h"
#include "telemetry/log.h"

namespace {

using namespace outboxd;

constexpr int kExitUsage = 2;
constexpr int kExitConfig = 78;  // EX_CONFIG

// What an operator can do about a store that cannot be served, if the error itself does not say so.
std::string_view remedy_for(StoreError::Kind kind) {
  switch (kind) {
    case StoreError::Kind::kMissingKey:
      return "give outboxd the key that they were encrypted with";
    case StoreError::Kind::kCorrupt:
    case StoreError::Kind::kFailed:
      return "outboxctl db check tells what is damaged: restore a backup then";
    default:
      return "";
  }
}

int run(const config::Flags& flags) {
  if (flags.migrate || flags.check_config) release_signals();
  const config::Sources sources = config::sources_of(flags);
  const auto loaded = config::load(sources);
  if (!loaded) {
    for (const auto& error : loaded.error()) std::cerr << error << '\n';
    return kExitConfig;
  }
  if (flags.check_config) {
    std::cout << "the configuration is good\n";
    return 0;
  }
  log::configure(loaded->config.log.level, loaded->config.log.format);
  std::optional<log::Background> log_thread;
  try {
    if (!flags.migrate) log_thread.emplace();
    return flags.migrate ? migrate(loaded->config) : serve(*loaded, sources);
  } catch (const StoreError& error) {
    const int status = exit_status_of(error.kind);
    const std::string_view remedy = remedy_for(error.kind);
    remedy.empty() ? log::error("cannot serve this store", {{"error", error.what()}, {"exit_status", status}})
                   : log::error("cannot serve this store",
                                {{"error", error.what()}, {"exit_status", status}, {"mend", remedy}});
    return status;
  } catch (const std::exception& error) {
    log::error("cannot start", {{"error", error.what()}});
    return 1;
  }
}

int run(int argc, char** argv) {
  CLI::App app;
  config::Flags flags;
  config::add_flags(app, flags);
  try {
    app.parse(argc, argv);
    return run(flags);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  hold_signals();  // before any thread is made, because threads inherit it
  handle_fatal_signals();
  try {
    const int status = run(argc, argv);
    if (status == 0 && !std::cout.flush()) throw std::runtime_error("cannot write to stdout");
    return status;
  } catch (const std::exception& error) {  // before the log was set up
    std::fprintf(stderr, "outboxd: %s\n", error.what());
    return 1;
  }
}
