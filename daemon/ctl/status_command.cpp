// `status`.
#include <memory>
#include <optional>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/status.h"
#include "ctl/terminal.h"

namespace outboxd::ctl {

namespace {

constexpr Millis kWatchInterval = std::chrono::seconds(2);

std::int64_t number(const Json& object, const char* name) {
  const auto it = object.is_object() ? object.find(name) : object.end();
  return it != object.end() && it->is_number() ? it->get<std::int64_t>() : 0;
}

Json part(const Json& object, const char* name) {
  return object.is_object() ? object.value(name, Json::object()) : Json::object();
}

// "pending 12, dead 0": each member of an object of counts.
std::string counts(const Json& object) {
  std::string text;
  for (const auto& [name, value] : object.items())
    text += (text.empty() ? "" : ", ") + name + " " + dump(value);
  return text.empty() ? "-" : text;
}

struct Options {
  bool watch = false;
  bool exit_code = false;
};

int report_health(Session& session, const Json& status, bool exit_code) {
  const auto why = exit_code ? why_unhealthy(status) : std::nullopt;
  if (why) session.note(*why);
  return why ? kExitFailed : kExitOk;
}

// Draws over what a terminal shows; a file or a pipe gets one after the other.
void show_again(Session& session, const std::string& text, const std::string& complaint) {
  if (can_draw() && !session.prints_json()) return draw(text + escape_control(complaint) + "\n");
  if (!complaint.empty()) return session.note(complaint);
  session.print(text);
}

int run_status(Session& session, const Options& options) {
  if (session.format() == Format::kId) {
    throw Failure(kExitUsage, "--output: a status has no id; use table, json or jsonl");
  }
  if (options.watch && session.format() == Format::kJson)
    throw Failure(kExitUsage, "--output: --watch never ends, so it cannot be one document; use jsonl");
  if (options.watch) hold_interrupts();
  std::optional<Json> status;
  for (;;) {
    std::string complaint;
    try {
      status = session.api().get("/v1/status");
    } catch (const Failure& failure) {
      if (!status || failure.exit_code != kExitUnreachable) throw;
      complaint = std::string(failure.what()) + " (trying again)";  // a restart ends no watch
    }
    const Style style = session.style();
    const std::string text = session.prints_json() ? render_json(*status, style.format == Format::kJson)
                                                   : render_status(*status, style);
    if (options.watch) {
      show_again(session, text, complaint);
    } else {
      session.print(text);
    }
    if (!options.watch || wait_for_interrupt(kWatchInterval))
      return report_health(session, *status, options.exit_code);
  }
}

}  // namespace

std::optional<std::string> why_unhealthy(const Json& status) {
  if (const auto age = number(status, "oldest_due_age_seconds"); age > kOverdueSeconds) {
    return "the oldest due delivery waits since " + coarse_duration(std::chrono::seconds(age));
  }
  if (const auto disabled = number(part(status, "endpoints"), "disabled"); disabled > 0) {
    return std::to_string(disabled) + (disabled == 1 ? " endpoint is disabled" : " endpoints are disabled");
  }
  return std::nullopt;
}

Fields database_fields(const Json& status) {
  const Json store = part(status, "store");
  Fields fields{{"url", {member_text(store, "url")}},
                {"database", {bytes_text(number(store, "database_bytes"))}}};
  if (store.contains("wal_bytes")) fields.push_back({"wal", {bytes_text(number(store, "wal_bytes"))}});
  fields.push_back({"schema version", {member_text(store, "schema_version")}});
  return fields;
}

namespace {

std::string store_text(const Json& store) {
  std::string text = member_text(store, "url") + ", " + bytes_text(number(store, "database_bytes"));
  if (store.contains("wal_bytes")) text += " and " + bytes_text(number(store, "wal_bytes")) + " WAL";
  return text;
}

// The daemons that share the store; "" if it is for one alone.
std::string render_members(const Json& status, const Style& style) {
  const Json members = status.is_object() ? status.value("members", Json()) : Json();
  if (!members.is_array() || members.empty()) return "";
  const std::vector<Column> columns{{"MEMBERS",
                                     [](const Json& row, const Style&) {
                                       const bool self = row.is_object() && row.value("self", Json()) == true;
                                       return Cell{member_text(row, "name") + (self ? " (this one)" : "")};
                                     }},
                                    column("ADDRESS", "address"),
                                    number_column("PARTITIONS", "partitions"),
                                    {"HEARTBEAT",
                                     [](const Json& row, const Style&) {
                                       const std::int64_t age = number(row, "heartbeat_age_seconds");
                                       return Cell{coarse_duration(std::chrono::seconds(age)) + " ago",
                                                   age >= kSilentSeconds ? Tint::kBad : Tint::kPlain};
                                     },
                                     false, true},
                                    {"UP",
                                     [](const Json& row, const Style& its) {
                                       const auto joined = parse_time(member_text(row, "joined_at"));
                                       return Cell{joined ? coarse_duration(its.now - *joined) : "-"};
                                     },
                                     false, true}};
  return "\n" + render_table(columns, std::vector<Json>(members.begin(), members.end()), style);
}

}  // namespace

std::string render_status(const Json& status, const Style& style) {
  const Json deliveries = part(status, "deliveries");
  const Json store = part(status, "store");
  const auto why = why_unhealthy(status);
  const auto started = parse_time(member_text(status, "started_at"));
  Fields fields{
      {"outboxd",
       {member_text(status, "version") + (started ? ", up " + coarse_duration(style.now - *started) : "")}},
      {"health", {why.value_or("ok"), why ? Tint::kBad : Tint::kGood}},
      {"deliveries", {counts(deliveries)}},
      {"in flight", {member_text(status, "in_flight")}},
      {"oldest due", {coarse_duration(std::chrono::seconds(number(status, "oldest_due_age_seconds")))}},
      {"events", {member_text(status, "events")}},
      {"endpoints", {counts(part(status, "endpoints"))}}};
  // The status of one tenant has neither.
  if (store.is_object()) {
    fields.push_back({"store", {store_text(store)}});
    fields.push_back({"listening", {member_text(status, "listeners")}});
  }
  if (const auto rejected = number(status, "outbox_rejected"); rejected > 0) {
    fields.push_back({"rejected rows",
                      {std::to_string(rejected) + ", see: outboxctl outbox list --rejected", Tint::kWarn}});
  }
  const std::string text = render_fields(fields, style) + render_members(status, style);
  const Json worst = status.is_object() ? status.value("worst_endpoints", Json::array()) : Json::array();
  if (!worst.is_array() || worst.empty()) return text;
  const std::vector<Json> rows(worst.begin(), worst.end());
  const std::vector<Column> columns{{"WORST ENDPOINTS",
                                     [](const Json& row, const Style&) {
                                       const std::string name = member_text(row, "name");
                                       return Cell{name == "-" ? member_text(row, "endpoint") : name};
                                     }},
                                    column("ID", "endpoint", true),
                                    column("STATE", "state"),
                                    number_column("BACKLOG", "backlog"),
                                    column("WAITS FOR", "waiting_for"),
                                    {"OLDEST DUE",
                                     [](const Json& row, const Style&) {
                                       const auto age = number(row, "oldest_due_age_seconds");
                                       return Cell{age > 0 ? coarse_duration(std::chrono::seconds(age)) : "-",
                                                   age > kOverdueSeconds ? Tint::kBad : Tint::kPlain};
                                     },
                                     false, true},
                                    number_column("IN FLIGHT", "in_flight"),
                                    number_column("FAILURES IN A ROW", "consecutive_failures"),
                                    column("LAST ERROR", "last_error")};
  return text + "\n" + render_table(columns, rows, style);
}

void add_status(CLI::App& app, Session& session) {
  CLI::App* command = add_command(app, "status", "How the daemon is doing", "outboxctl status --watch");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  command->add_flag("--watch", o->watch, "Again every 2 seconds until Ctrl-C");
  command->add_flag(
      "--exit-code", o->exit_code,
      "Exit status 1 when deliveries are over 60s late, whatever holds them, or an endpoint is disabled");
  command->callback([&session, o] { session.action = [&session, o] { return run_status(session, *o); }; });
}

}  // namespace outboxd::ctl
