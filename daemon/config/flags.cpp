#include "config/flags.h"

#include <utility>

#include "version.h"

namespace outboxd::config {
namespace {

std::pair<std::string, std::string> split_setting(const std::string& setting) {
  const auto equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw CLI::ValidationError("--set", "\"" + setting + "\" is not of the form section.key=value");
  }
  return {setting.substr(0, equals), setting.substr(equals + 1)};
}

}  // namespace

void add_flags(CLI::App& app, Flags& flags) {
  app.description("outboxd delivers events to HTTP subscribers and never loses one.");
  app.footer(
      "Exit status: 0 stopped as asked, 1 could not start, 2 usage, 65 the database is corrupt or not\n"
      "outboxd's, 70 stopped after a failure of the store, or because its files were taken away, 74 the\n"
      "database cannot be opened, 75 another outboxd serves it, 76 its schema is newer, 78 configuration.");
  app.set_version_flag("--version", "outboxd " OUTBOXD_VERSION, "Print the version, and exit");
  app.add_option("-c,--config", flags.file,
                 "Configuration file (default /etc/outboxd/outboxd.toml, may be absent)")
      ->type_name("FILE");
  app.add_option("--set", flags.settings, "Wins over file and environment; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->take_all();
  app.add_flag("--check-config", flags.check_config, "Check the configuration, print every error, and exit");
  app.require_subcommand(0, 1);
  app.add_subcommand("serve", "Serve until SIGTERM (the default)")->fallthrough();
  app.add_subcommand("migrate", "Bring the database to this version's schema, and exit")
      ->fallthrough()
      ->callback([&flags] { flags.migrate = true; });
}

Sources sources_of(const Flags& flags) {
  Sources sources;
  if (!flags.file.empty()) {
    sources.file = flags.file;
    sources.file_required = true;
  }
  sources.environment = environment_of_process();
  for (const auto& setting : flags.settings) sources.overrides.push_back(split_setting(setting));
  return sources;
}

}  // namespace outboxd::config
