// `delivery`, and the short form `retry ID…`: what became of events.
#include <memory>

#include "ctl/commands.h"
#include "ctl/delivery_change.h"
#include "ctl/delivery_page.h"
#include "ctl/listing.h"
#include "ctl/shell.h"
#include "ctl/validators.h"
#include "ctl/whole_id.h"
#include "ctl/why.h"

namespace outboxd::ctl {
namespace {

std::vector<Column> delivery_columns() {
  const auto waiting = [](const Json& row, const Style& style) { return Cell{waiting_text(row, style.now)}; };
  return {column("ID", "id"),
          state_column(),
          endpoint_column(),
          {"WAITS FOR", waiting},
          column("ERROR", "error"),
          number_column("ATTEMPTS", "attempts"),
          column("TYPE", "type"),
          time_column("DUE", "due_at"),
          time_column("CREATED", "created_at"),
          column("EVENT", "event", true),
          column("ENDPOINT ID", "endpoint", true),
          time_column("FINISHED", "finished_at", true)};
}

// What belongs to a delivery and may be gone.
Json get_if_there(Session& session, const std::string& path) try {
  return session.api().get(path);
} catch (const Failure& failure) {
  if (failure.exit_code != kExitNotFound && failure.exit_code != kExitRefused) throw;
  return nullptr;
}

int show(Session& session, const std::string& id) {
  DeliveryPage page{session.api().get("/v1/deliveries/" + id), {}, {}, {}, {}};
  if (!session.prints_table() || !page.delivery.is_object()) {
    session.print_object(page.delivery, {});
    return kExitOk;
  }
  page.event = get_if_there(session, "/v1/events/" + percent_encode(member_text(page.delivery, "event")));
  const std::string endpoint = path_of_endpoint(member_text(page.delivery, "endpoint"));
  page.endpoint = get_if_there(session, endpoint);
  page.stats = get_if_there(session, endpoint + "/stats");
  page.request = get_if_there(session, "/v1/deliveries/" + id + "/request");
  session.print(render_delivery(page, session.style()));
  return kExitOk;
}

int print_curl(Session& session, const std::string& id, bool reveal) {
  Path path("/v1/deliveries/" + id + "/request");
  if (reveal) path.with("reveal", "true");
  const Json request = session.api().get(path.text());
  if (session.prints_json()) {
    session.print(render_json(request, session.format() == Format::kJson));
    return kExitOk;
  }
  session.print(curl_command(request));
  session.note(reveal
                   ? "signed for now: most receivers refuse it after five minutes. It proves to be outboxd: "
                     "show it to nobody"
                   : "signatures and authorization are left out: a receiver that verifies will refuse it");
  return kExitOk;
}

int attempts(Session& session, const std::string& id) {
  session.print_rows(attempt_columns(), attempts_of(session.api().get("/v1/deliveries/" + id)));
  return kExitOk;
}

void add_list(CLI::App& group, Session& session) {
  struct Options {
    Filters filters;
    std::optional<std::string> waiting;
    ListOptions list;
  };
  CLI::App* command = add_command(group, "list", "Deliveries, newest first",
                                  "outboxctl delivery list --state dead --since 1h");
  auto o = std::make_shared<Options>();
  add_delivery_filters(command, o->filters);
  command->add_option("--waiting", o->waiting, "Only pending ones that wait for this now")
      ->check(CLI::IsMember(
          {"due", "slot", "breaker", "retry_after", "rate_limit", "order", "paused", "disabled"}));
  add_list_options(command, o->list);
  command->callback([&session, o] {
    session.action = [&session, o] {
      o->filters.find_whole(session);
      Path path = o->filters.applied_to(Path("/v1/deliveries"), session.style().now);
      if (o->waiting) path.with("waiting", *o->waiting);
      return print_list(session, path, o->list, delivery_columns(),
                        [&session, o] { require_named(session.api(), o->filters); });
    };
  });
}

void add_curl(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "curl", "A curl command that sends the same request, signed anew",
                                  "outboxctl delivery curl dlv_… --reveal | sh");
  auto id = std::make_shared<std::string>();
  auto reveal = std::make_shared<bool>(false);
  command->add_option("id", *id, "The delivery")->required()->check(is_delivery_id());
  command->add_flag("--reveal", *reveal, "With its signatures and authorization");
  command->callback([&session, id, reveal] {
    session.action = [&session, id, reveal] { return print_curl(session, whole_id(session, *id), *reveal); };
  });
}

using OnDelivery = int (*)(Session&, const std::string& id);
void add_by_id(CLI::App& group, Session& session, const std::string& name, const std::string& help,
               OnDelivery run) {
  CLI::App* command = add_command(group, name, help);
  auto id = std::make_shared<std::string>();
  command->add_option("id", *id, "The delivery")->required()->check(is_delivery_id());
  command->callback([&session, id, run] {
    session.action = [&session, id, run] { return run(session, whole_id(session, *id)); };
  });
}

void add_change(CLI::App& group, Session& session, const std::string& action, const std::string& help) {
  CLI::App* command = add_command(group, action, help,
                                  "outboxctl delivery " + action + " --endpoint orders --since 1h --dry-run");
  auto o = std::make_shared<ChangeOptions>();
  o->batch.action = action;
  command->add_option("id", o->ids, "Deliveries")->check(is_delivery_id());
  add_delivery_filters(command, o->batch.filters);
  add_batch_options(command, o->batch);
  command->callback(
      [&session, o] { session.action = [&session, o] { return change_deliveries(session, *o); }; });
}

}  // namespace

void add_delivery(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "delivery", "list, show, attempts, retry, discard, curl");
  group->group(kAct);
  add_list(*group, session);
  add_by_id(*group, session, "show", "One delivery: its attempts, what came back, what comes next", show);
  add_by_id(*group, session, "attempts", "Each attempt of a delivery", attempts);
  add_change(*group, session, "retry", "Deliver again: by id, or all dead ones that match the filters");
  add_change(*group, session, "discard", "Give up: by id, or all dead ones that match the filters");
  add_curl(*group, session);

  CLI::App* retry = add_command(app, "retry", "Deliver again: deliveries, or the dead deliveries of events",
                                "outboxctl retry dlv_… dlv_…");
  retry->group(kAct);
  auto ids = std::make_shared<std::vector<std::string>>();
  retry->add_option("id", *ids, "Deliveries or events")->required()->check(is_delivery_or_event_id());
  retry->callback([&session, ids] { session.action = [&session, ids] { return retry_ids(session, *ids); }; });
}

}  // namespace outboxd::ctl
