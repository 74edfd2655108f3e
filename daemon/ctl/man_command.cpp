// `man PAGE`: the manual pages that are written from the programs, for those who build and package them.
#include <memory>

#include "config/config.h"
#include "ctl/commands.h"
#include "ctl/man_page.h"

namespace outboxd::ctl {

void add_man(CLI::App& app, Session& session) {
  CLI::App* command = add_command(app, "man", "A manual page, as man(7) reads it");
  command->group("");
  auto page = std::make_shared<std::string>();
  command->add_option("page", *page, "Which one")
      ->required()
      ->check(CLI::IsMember({"outboxctl", "outboxd", "outboxd.toml"}));
  command->callback([&app, &session, page] {
    session.action = [&app, &session, page] {
      session.print(*page == "outboxctl" ? man_page(app)
                    : *page == "outboxd" ? daemon_man_page()
                                         : config::man_page());
      return kExitOk;
    };
  });
}

}  // namespace outboxd::ctl
