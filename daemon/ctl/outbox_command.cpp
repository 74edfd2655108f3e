// Rows of the SQL outbox that could not become events.
#include "ctl/commands.h"
#include "ctl/listing.h"
#include "ctl/output.h"

namespace outboxd::ctl {
namespace {

void add_list(CLI::App& group, Session& session) {
  struct Options {
    ListOptions list;
    bool rejected = false;
  };
  CLI::App* command = add_command(group, "list", "Rows that were set aside, newest first, and why",
                                  "outboxctl outbox list --rejected");
  auto o = std::make_shared<Options>();
  add_list_options(command, o->list);
  command
      ->add_flag("--rejected", o->rejected,
                 "The only ones there are to see: all others become events at once")
      ->required();
  command->callback([&session, o] {
    session.action = [&session, o] { return print_rejected_rows(session, Path("/v1/events"), o->list); };
  });
}

}  // namespace

void add_outbox(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "outbox", "list");
  group->group(kLook);
  add_list(*group, session);
}

}  // namespace outboxd::ctl
