// outboxd's flags: serve, --check-config, migrate.
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
#include "runtime/standard_descriptors.h"
#include "telemetry/log.h"
#include "version.h"

namespace {

using namespace outboxd;

constexpr int kExitUsage = 2;
constexpr int kExitConfig = 78;  // EX_CONFIG

struct Flags {
  std::string file;
  std::vector<std::string> settings;
  bool check_config = false;
};

// "section.key=value"
std::pair<std::string, std::string> split_setting(const std::string& setting) {
  const auto equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw CLI::ValidationError("--set", "\"" + setting + "\" is not of the form section.key=value");
  }
  return {setting.substr(0, equals), setting.substr(equals + 1)};
}

config::Sources sources_of(const Flags& flags) {
  config::Sources sources;
  if (!flags.file.empty()) {
    sources.file = flags.file;
    sources.file_required = true;
  }
  sources.environment = config::environment_of_process();
  for (const auto& setting : flags.settings) sources.overrides.push_back(split_setting(setting));
  return sources;
}

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

int run(const Flags& flags, bool migrate_only) {
  if (migrate_only || flags.check_config) release_signals();
  const config::Sources sources = sources_of(flags);
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
    if (!migrate_only) log_thread.emplace();
    return migrate_only ? migrate(loaded->config) : serve(loaded->config, sources);
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
  CLI::App app{"outboxd delivers events to HTTP subscribers and never loses one."};
  app.set_version_flag("--version", "outboxd " OUTBOXD_VERSION);
  app.footer(
      "Exit status: 0 stopped as asked, 1 could not start, 2 usage, 65 the database is corrupt or not "
      "outboxd's, 70 stopped after\n"
      "a failure of the store, or because its files were taken away, 74 the database cannot be opened, 75 "
      "another outboxd serves it, 76 its schema "
      "is newer, 78 configuration.");
  Flags flags;
  app.add_option("-c,--config", flags.file,
                 "Configuration file (default /etc/outboxd/outboxd.toml, may be absent)");
  app.add_option("--set", flags.settings,
                 "section.key=value, wins over file and environment; may be repeated")
      ->take_all();
  app.add_flag("--check-config", flags.check_config, "Check the configuration, print every error, and exit");
  app.require_subcommand(0, 1);
  app.add_subcommand("serve", "Serve until SIGTERM (the default)")->fallthrough();
  const auto* migrate_command =
      app.add_subcommand("migrate", "Bring the database to this version's schema, and exit")->fallthrough();
  try {
    app.parse(argc, argv);
    return run(flags, migrate_command->parsed());
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
