// `delivery`, and the short form `retry ID…`: what became of events.
#include <memory>

#include "ctl/commands.h"
#include "ctl/delivery_change.h"
#include "ctl/listing.h"
#include "ctl/validators.h"
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

std::vector<Column> attempt_columns() {
  const auto timing = [](const char* title, const char* member, bool wide_only) {
    return Column{title,
                  [member](const Json& row, const Style&) {
                    const std::string ms = member_text(row.value("timings", Json::object()), member);
                    return Cell{ms == "-" ? ms : ms + " ms"};
                  },
                  wide_only, true};
  };
  const auto outcome = [](const Json& row, const Style&) {
    const std::string text = member_text(row, "outcome");
    return Cell{text, text == "success" ? Tint::kGood : Tint::kBad};
  };
  const auto sent = [](const Json& row, const Style&) {
    return Cell{member_text(row, "resent") == "true" ? "twice" : "once"};
  };
  return {number_column("#", "number"),
          time_column("STARTED", "started_at"),
          {"OUTCOME", outcome},
          number_column("STATUS", "status"),
          timing("TOTAL", "total_ms", false),
          timing("DNS", "dns_ms", true),
          timing("CONNECT", "connect_ms", true),
          timing("TLS", "tls_ms", true),
          timing("FIRST BYTE", "first_byte_ms", true),
          column("ADDRESS", "remote_address"),
          {"SENT", sent, true},
          column("ERROR", "error"),
          column("ID", "id", true)};
}

std::vector<Json> attempts_of(const Json& delivery) {
  const Json list = delivery.is_object() ? delivery.value("attempt_list", Json::array()) : Json::array();
  return {list.begin(), list.end()};
}

bool is_table(const Session& session) {
  return session.format() == Format::kTable || session.format() == Format::kWide;
}

int show(Session& session, const std::string& id) {
  const Json delivery = session.api().get("/v1/deliveries/" + id);
  constexpr std::string_view kSkip[] = {"attempt_list"};
  session.print_object(delivery, fields_of(delivery, kSkip));
  const std::vector<Json> attempts = attempts_of(delivery);
  if (!is_table(session) || attempts.empty()) return kExitOk;
  session.print("\n");
  session.print_rows(attempt_columns(), attempts);
  const Json& last = attempts.back();
  if (member_text(last, "response_body") == "-") return kExitOk;
  session.print(
      "\nlast answer: " +
      render_fields({{member_text(last, "status"), {member_text(last, "response_body")}}}, session.style()));
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
      Path path = o->filters.applied_to(Path("/v1/deliveries"), session.style().now);
      if (o->waiting) path.with("waiting", *o->waiting);
      return print_list(session, path, o->list, delivery_columns(),
                        [&session, o] { require_named(session.api(), o->filters); });
    };
  });
}

using OnDelivery = int (*)(Session&, const std::string& id);
void add_by_id(CLI::App& group, Session& session, const std::string& name, const std::string& help,
               OnDelivery run) {
  CLI::App* command = add_command(group, name, help);
  auto id = std::make_shared<std::string>();
  command->add_option("id", *id, "The delivery")->required()->check(is_delivery_id());
  command->callback(
      [&session, id, run] { session.action = [&session, id, run] { return run(session, *id); }; });
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
  CLI::App* group = add_group(app, "delivery", "list, show, attempts, retry, discard");
  group->group(kAct);
  add_list(*group, session);
  add_by_id(*group, session, "show", "One delivery and its attempts", show);
  add_by_id(*group, session, "attempts", "Each attempt of a delivery", attempts);
  add_change(*group, session, "retry", "Deliver again: by id, or all dead ones that match the filters");
  add_change(*group, session, "discard", "Give up: by id, or all dead ones that match the filters");

  CLI::App* retry = add_command(app, "retry", "Deliver again: deliveries, or the dead deliveries of events",
                                "outboxctl retry dlv_… dlv_…");
  retry->group(kAct);
  auto ids = std::make_shared<std::vector<std::string>>();
  retry->add_option("id", *ids, "Deliveries or events")->required()->check(is_delivery_or_event_id());
  retry->callback([&session, ids] { session.action = [&session, ids] { return retry_ids(session, *ids); }; });
}

}  // namespace outboxd::ctl
