// The command groups of outboxctl, one file each. Each function declares its commands and options on `app`, and sets
// what they do as the session's action.
#pragma once

#include <CLI/CLI.hpp>

#include "ctl/session.h"

namespace outboxd::ctl {

void add_status(CLI::App& app, Session& session);
void add_why(CLI::App& app, Session& session);
void add_failures(CLI::App& app, Session& session);
void add_tail(CLI::App& app, Session& session);
void add_top(CLI::App& app, Session& session);
void add_dashboard(CLI::App& app, Session& session);
void add_event(CLI::App& app, Session& session);
void add_endpoint(CLI::App& app, Session& session);
void add_delivery(CLI::App& app, Session& session);  // and the short form `retry ID…`
void add_batch(CLI::App& app, Session& session);
void add_outbox(CLI::App& app, Session& session);
void add_source(CLI::App& app, Session& session);
void add_db(CLI::App& app, Session& session);
void add_doctor(CLI::App& app, Session& session);
void add_config(CLI::App& app, Session& session);
void add_token(CLI::App& app, Session& session);
void add_listen(CLI::App& app, Session& session);
void add_trigger(CLI::App& app, Session& session);
void add_dev(CLI::App& app, Session& session);
void add_signature(CLI::App& app, Session& session);
void add_help(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);
void add_man(CLI::App& app, Session& session);

// The groups that `outboxctl --help` shows.
inline constexpr const char* kLook = "Look";
inline constexpr const char* kAct = "Act";
inline constexpr const char* kRun = "Run the daemon";
inline constexpr const char* kDevelop = "Develop a subscriber";

// A command that leaves the global options to its parent, so that they may stand anywhere on the line.
inline CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& help,
                             const std::string& example = "") {
  CLI::App* command = parent.add_subcommand(name, help);
  command->fallthrough();
  if (!example.empty()) command->footer("Example:\n  " + example);
  return command;
}
inline CLI::App* add_group(CLI::App& app, const std::string& name, const std::string& help) {
  CLI::App* group = add_command(app, name, help);
  group->require_subcommand(1);
  return group;
}

}  // namespace outboxd::ctl
