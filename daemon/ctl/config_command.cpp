// `config`: the configuration as the daemon would read it, on this machine, without the daemon.
#include <memory>

#include "config/setting_json.h"
#include "ctl/commands.h"
#include "ctl/configuration.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::optional<std::string> file;
  bool origin = false;
};

int check(Session& session, const Options& options) {
  if (!session.prints_json()) {
    (void)load_configuration(session, options.file);
    session.note("the configuration is fine");
    return kExitOk;
  }
  const auto loaded = config::load(configuration_sources(options.file));
  const std::vector<std::string> errors = loaded ? std::vector<std::string>() : loaded.error();
  session.print_object({{"valid", loaded.has_value()}, {"errors", errors}}, {});
  return loaded ? kExitOk : kExitConfiguration;
}

int show(Session& session, const Options& options) {
  const std::vector<config::Setting> settings = config::settings(load_configuration(session, options.file));
  if (session.format() == Format::kTable) {
    session.print(config::as_toml(settings, options.origin));
    return kExitOk;
  }
  std::vector<Json> rows;
  for (const config::Setting& s : settings) {
    rows.push_back({{"key", s.id()}, {"value", config::value_of(s)}, {"origin", s.origin}});
  }
  session.print_rows({column("KEY", "key"), column("VALUE", "value"), column("ORIGIN", "origin")}, rows,
                     nullptr, "key");
  return kExitOk;
}

}  // namespace

void add_config(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "config", "check, show");
  group->group(kRun);
  auto o = std::make_shared<Options>();
  CLI::App* check_command =
      add_command(*group, "check", "Every error in the configuration; exit status 78 if there is one");
  CLI::App* show_command = add_command(*group, "show", "The configuration in effect, defaults included",
                                       "outboxctl config show --origin");
  for (CLI::App* command : {check_command, show_command}) {
    add_config_option(*command, o->file);
  }
  show_command->add_flag("--origin", o->origin, "Where each value comes from");
  check_command->callback([&session, o] { session.action = [&session, o] { return check(session, *o); }; });
  show_command->callback([&session, o] { session.action = [&session, o] { return show(session, *o); }; });
}

}  // namespace outboxd::ctl
