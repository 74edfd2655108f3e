// `batch`: the acts on many deliveries that the daemon carries out.
#include <memory>

#include "ctl/batch_run.h"
#include "ctl/commands.h"
#include "ctl/listing.h"
#include "ctl/validators.h"
#include "ctl/whole_id.h"

namespace outboxd::ctl {
namespace {

// "state=dead endpoint=shop"
Cell filter_cell(const Json& row, const Style&) {
  const Json filter = row.is_object() ? row.value("filter", Json::object()) : Json::object();
  std::string text;
  for (const auto& [name, value] : filter.items()) {
    const bool named = name == "endpoint" && member_text(row, "endpoint_name") != "-";
    text += (text.empty() ? "" : " ") + name + "=" +
            member_text(named ? row : filter, named ? "endpoint_name" : name);
  }
  return Cell{text};
}

Cell progress_cell(const Json& row, const Style&) {
  return Cell{member_text(row, "done") + " of " + (member_text(row, "exact") == "true" ? "" : "at least ") +
              member_text(row, "matched")};
}

std::vector<Column> columns() {
  return {column("ID", "id"),
          column("ACTION", "action"),
          {"FILTER", filter_cell},
          state_column(),
          {"DONE", progress_cell, false, true},
          number_column("SKIPPED", "skipped"),
          column("RATE", "rate", true),
          column("WHO", "who"),
          column("WHY", "reason", true),
          time_column("CREATED", "created_at"),
          time_column("FINISHED", "finished_at", true)};
}

void add_list(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "list", "Batches, newest first");
  auto o = std::make_shared<ListOptions>();
  add_list_options(command, *o);
  command->callback([&session, o] {
    session.action = [&session, o] { return print_list(session, Path("/v1/batches"), *o, columns()); };
  });
}

int show(Session& session, const std::string& id) {
  const Json batch = session.api().get("/v1/batches/" + id);
  session.print_object(batch, fields_of(batch, {}));
  return kExitOk;
}

int cancel(Session& session, const std::string& id) {
  const Json batch = session.api().post("/v1/batches/" + id + "/cancel", "{}");
  const bool table = session.prints_table();
  if (table) {
    session.print(describe_batch(batch) + "\n");
  } else {
    session.print_object(batch, {});
  }
  return kExitOk;
}

using OnBatch = int (*)(Session&, const std::string& id);
void add_by_id(CLI::App& group, Session& session, const std::string& name, const std::string& help,
               OnBatch run) {
  CLI::App* command = add_command(group, name, help);
  auto id = std::make_shared<std::string>();
  command->add_option("id", *id, "The batch")->required()->check(is_batch_id());
  command->callback([&session, id, run] {
    session.action = [&session, id, run] { return run(session, whole_id(session, *id)); };
  });
}

}  // namespace

void add_batch(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "batch", "list, show, watch, cancel");
  group->group(kAct);
  add_list(*group, session);
  add_by_id(*group, session, "show", "One batch: how far it has come, who made it and why", show);
  add_by_id(*group, session, "watch", "Its progress until it has ended; Ctrl-C leaves it running",
            watch_batch);
  add_by_id(*group, session, "cancel", "End it; what it has done stays done", cancel);
}

}  // namespace outboxd::ctl
