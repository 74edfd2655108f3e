// `help [COMMAND…]`: what `COMMAND… --help` says.
#include <memory>

#include "common/text.h"
#include "ctl/commands.h"

namespace outboxd::ctl {
namespace {

const CLI::App& subcommand(const CLI::App& command, const std::string& word) try {
  return *command.get_subcommand(word);
} catch (const CLI::OptionNotFound&) {
  throw Failure(kExitUsage, "unknown command: " + escape_control(word) + "\nSee: outboxctl help");
}

int help(Session& session, const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  std::string name = app.get_name();
  for (const std::string& word : words) {
    command = &subcommand(*command, word);
    name += " " + command->get_name();
  }
  // Not help(): for a command whose subcommand was given, as `app` is here, it would print the subcommand's help.
  session.print(command->get_formatter()->make_help(command, name, CLI::AppFormatMode::Normal));
  return kExitOk;
}

}  // namespace

void add_help(CLI::App& app, Session& session) {
  CLI::App* command = add_command(app, "help", "What a command does and takes", "outboxctl help event send");
  command->group(kLook);
  auto words = std::make_shared<std::vector<std::string>>();
  command->add_option("command", *words, "The command; without one, all commands");
  command->callback([&app, &session, words] {
    session.action = [&app, &session, words] { return help(session, app, *words); };
  });
}

}  // namespace outboxd::ctl
