// `endpoint`: where subscribers listen.
#include <algorithm>
#include <memory>

#include "common/endpoint.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/endpoint_apply.h"
#include "ctl/endpoint_fields.h"
#include "ctl/endpoint_secret.h"
#include "ctl/endpoint_test_command.h"
#include "ctl/input.h"
#include "ctl/json_text.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

Json stats_of(const Json& endpoint) {
  return endpoint.is_object() ? endpoint.value("stats", Json::object()) : Json::object();
}

Column stats_column(std::string title, std::string member) {
  return {std::move(title),
          [member = std::move(member)](const Json& row, const Style&) {
            return Cell{member_text(stats_of(row), member)};
          },
          false, true, false};
}

Cell oldest_due(const Json& row, const Style& style) {
  const auto since = parse_time(member_text(stats_of(row), "oldest_due_at"));
  return {since ? coarse_duration(std::max(style.now - *since, Millis(0))) : "-"};
}

// Most first: "breaker 12, due 3".
Cell waits_for(const Json& row, const Style&) {
  std::vector<std::pair<std::int64_t, std::string>> counts;
  const Json waiting = stats_of(row).value("waiting", Json::object());
  for (const auto& [what, count] : waiting.items()) {
    if (count.is_number()) counts.emplace_back(-count.get<std::int64_t>(), what);
  }
  std::ranges::sort(counts);
  std::string text;
  for (const auto& [count, what] : counts)
    text += (text.empty() ? "" : ", ") + what + ' ' + std::to_string(-count);
  return {text.empty() ? "-" : text};
}

// Only while the endpoint fails: what went wrong once is in its stats.
Cell last_error(const Json& row, const Style&) {
  const Json stats = stats_of(row);
  if (member_text(stats, "consecutive_failures") == "0") return {"-"};
  const std::string error = member_text(stats.value("last_error", Json::object()), "error");
  return {error, error == "-" ? Tint::kPlain : Tint::kBad};
}

std::vector<Column> endpoint_columns() {
  const auto name = [](const Json& row, const Style&) { return Cell{name_of_endpoint(row)}; };
  return {{"NAME", name},
          state_column(),
          stats_column("PENDING", "pending"),
          stats_column("DEAD", "dead"),
          {"OLDEST DUE", oldest_due},
          {"WAITS FOR", waits_for},
          {"LAST ERROR", last_error},
          column("URL", "url"),
          column("TYPES", "types"),
          column("FILTER", "filter", true),
          column("ID", "id", true),
          column("TENANT", "tenant", true),
          column("FORMAT", "format", true),
          column("TIMEOUT", "timeout", true),
          number_column("MAX IN FLIGHT", "max_in_flight", true),
          column("RATE LIMIT", "rate_limit", true),
          column("ORDERING", "ordering", true),
          time_column("FAILING SINCE", "failing_since", true),
          time_column("CREATED", "created_at", true)};
}

int print_endpoint(Session& session, const Json& endpoint) {
  session.print_object(endpoint, fields_of(endpoint, {}));
  return kExitOk;
}

void add_add(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "add", "Add an endpoint; prints it with its signing secret",
                                  "outboxctl endpoint add https://example.com/hook --types 'order.*'");
  auto f = std::make_shared<EndpointFields>();
  command->add_option("url", f->url, "Where to POST")->required()->check(is_endpoint_url());
  command->add_option("--tenant", f->tenant, "Whose events it gets")->check(has_length(0, kMaxTenantLength));
  add_field_options(command, *f);
  command->callback([&session, f] {
    session.action = [&session, f] {
      Session::require_stdout();
      const Json endpoint = session.api().post("/v1/endpoints", endpoint_body(*f));
      const std::string id = member_text(endpoint, "id");
      Session::print_once(
          [&] { session.print_object(endpoint, fields_of(endpoint, {})); },
          "; the endpoint was added: outboxctl endpoint secret reveal " + id + " shows its secret");
      if (endpoint.is_object() && endpoint.contains("secret") && session.format() != Format::kId) {
        session.note(
            "give the secret to the subscriber, who verifies signatures with it; outboxctl endpoint secret "
            "reveal " +
            escape_control(id) + " shows it again");
      }
      return kExitOk;
    };
  });
}

void add_set(CLI::App& group, Session& session) {
  struct Options {
    std::string id;
    EndpointFields fields;
  };
  CLI::App* command = add_command(group, "set", "Change an endpoint; what is not named stays",
                                  "outboxctl endpoint set orders --timeout 10s");
  auto o = std::make_shared<Options>();
  command->add_option("endpoint", o->id, kEndpointHelp)->required()->check(names_endpoint());
  command->add_option("--url", o->fields.url, "Where to POST")->check(is_endpoint_url());
  add_field_options(command, o->fields);
  command->add_flag("--no-tls", o->fields.no_tls, "Forget its own authorities and certificate")
      ->excludes("--ca-file", "--client-cert");
  command->callback([&session, o] {
    session.action = [&session, o] {
      const std::string body = endpoint_body(o->fields);
      if (body.empty()) throw Failure(kExitUsage, "nothing to set: name a field, like --timeout 10s");
      return print_endpoint(session, session.api().patch(path_of_endpoint(o->id), body));
    };
  });
}

void add_list(CLI::App& group, Session& session) {
  struct Options {
    std::optional<std::string> tenant;
    ListOptions list;
  };
  CLI::App* command = add_command(group, "list", "Endpoints, oldest first");
  auto o = std::make_shared<Options>();
  command->add_option("--tenant", o->tenant, "Only this tenant's")->check(has_length(0, kMaxTenantLength));
  add_list_options(command, o->list);
  command->callback([&session, o] {
    session.action = [&session, o] {
      Path path("/v1/endpoints");
      path.with("stats", "true");
      if (o->tenant) path.with("tenant", *o->tenant);
      return print_list(session, path, o->list, endpoint_columns());
    };
  });
}

using OnEndpoint = int (*)(Session&, const std::string& id);
void add_by_id(CLI::App& group, Session& session, const std::string& name, const std::string& help,
               OnEndpoint run) {
  CLI::App* command = add_command(group, name, help);
  auto id = std::make_shared<std::string>();
  command->add_option("endpoint", *id, kEndpointHelp)->required()->check(names_endpoint());
  command->callback(
      [&session, id, run] { session.action = [&session, id, run] { return run(session, *id); }; });
}

// Its members that are objects, as words.
int stats(Session& session, const std::string& id) {
  const Json json = session.api().get(path_of_endpoint(id) + "/stats");
  constexpr std::string_view kWords[] = {"waiting", "last_error"};
  Fields fields = fields_of(json, kWords);
  fields.emplace_back("waits for", waits_for(Json{{"stats", json}}, session.style()));
  const Json last = json.is_object() ? json.value("last_error", Json()) : Json();
  if (!last.is_null())
    fields.emplace_back("last error", Cell{member_text(last, "error") + " (status " +
                                           member_text(last, "status") + "), " + member_text(last, "at")});
  session.print_object(json, fields, "endpoint");
  return kExitOk;
}

int show(Session& session, const std::string& id) {
  const Json endpoint = session.api().get(path_of_endpoint(id));
  Fields fields = fields_of(endpoint, {});
  if (session.prints_table() && member_text(endpoint, "url").starts_with("https:")) {
    const Json stats = session.api().get(path_of_endpoint(id) + "/stats");
    fields.emplace_back("certificate_expires_at", Cell{member_text(stats, "certificate_expires_at")});
  }
  session.print_object(endpoint, fields);
  return kExitOk;
}

// Asks only when something would be lost by it.
int remove(Session& session, const std::string& name, bool yes) {
  const std::string id = member_text(session.api().get(path_of_endpoint(name)), "id");
  const std::string pending = count_pending(session.api(), id);
  if (pending != "0" && !yes &&
      !session.confirm("Remove " + name + " and discard the " + pending + " deliveries that wait for it?")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  session.api().remove(path_of_endpoint(id));
  if (!session.prints_table()) session.print_object({{"id", id}, {"removed", true}}, {});
  session.note("removed " + name + ", " + pending + " pending deliveries are discarded");
  return kExitOk;
}

void add_remove(CLI::App& group, Session& session) {
  struct Options {
    std::string id;
    bool yes = false;
  };
  CLI::App* command = add_command(group, "remove", "Remove an endpoint; its pending deliveries are discarded",
                                  "outboxctl endpoint remove orders");
  auto o = std::make_shared<Options>();
  command->add_option("endpoint", o->id, kEndpointHelp)->required()->check(names_endpoint());
  command->add_flag("--yes", o->yes, "Do not ask when deliveries wait for it");
  command->callback(
      [&session, o] { session.action = [&session, o] { return remove(session, o->id, o->yes); }; });
}

int pause(Session& session, const std::string& id) {
  print_endpoint(session, session.api().post(path_of_endpoint(id) + "/pause", "{}"));
  session.note("its deliveries wait until: outboxctl endpoint resume " + id);
  return kExitOk;
}

int enable(Session& session, const std::string& id) {
  return print_endpoint(session, session.api().patch(path_of_endpoint(id), R"({"state":"active"})"));
}

int disable(Session& session, const std::string& id) {
  print_endpoint(session, session.api().patch(path_of_endpoint(id), R"({"state":"disabled"})"));
  session.note("its deliveries wait until: outboxctl endpoint enable " + id);
  return kExitOk;
}

}  // namespace

void add_endpoint(CLI::App& app, Session& session) {
  CLI::App* group = add_group(
      app, "endpoint",
      "add, list, show, stats, set, remove, pause, resume, enable, disable, test, export, apply, secret");
  group->group(kAct);
  add_add(*group, session);
  add_list(*group, session);
  add_by_id(*group, session, "show", "One endpoint", show);
  add_by_id(*group, session, "stats", "How it is doing: what waits for what, its breaker, its last error",
            stats);
  add_set(*group, session);
  add_remove(*group, session);
  add_by_id(*group, session, "pause", "Hold its deliveries back for a while", pause);
  add_endpoint_resume(*group, session);
  add_by_id(*group, session, "enable", "Take a disabled endpoint back into service", enable);
  add_by_id(*group, session, "disable", "Take an endpoint out of service; its deliveries wait", disable);
  add_endpoint_test(*group, session);
  add_endpoint_export(*group, session);
  add_endpoint_apply(*group, session);
  add_endpoint_secret(*group, session);
}

}  // namespace outboxd::ctl
