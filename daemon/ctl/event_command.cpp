// `event`: the events that producers sent, and sending one by hand.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "common/text.h"
#include "ctl/batch_run.h"
#include "ctl/commands.h"
#include "ctl/event_batch.h"
#include "ctl/event_body.h"
#include "ctl/event_tail.h"
#include "ctl/event_types.h"
#include "ctl/input.h"
#include "ctl/json_text.h"
#include "ctl/listing.h"
#include "ctl/validators.h"
#include "ctl/whole_id.h"

namespace outboxd::ctl {
namespace {

std::vector<Column> event_columns() {
  return {column("ID", "id"),
          column("TYPE", "type"),
          number_column("DELIVERIES", "deliveries"),
          time_column("CREATED", "created_at"),
          column("TENANT", "tenant", true),
          column("ORDERING KEY", "ordering_key", true),
          number_column("PRIORITY", "priority", true),
          column("CONTENT TYPE", "content_type", true)};
}

struct SendOptions {
  EventFields fields;
  std::optional<std::string> type, source, data, data_file, batch, cloud_event;
  std::vector<std::string> headers;
};

std::string payload_of(const SendOptions& options) {
  if (options.source && *options.source != "-") {
    throw Failure(kExitUsage, "source: only - (read the payload from stdin) may follow the type");
  }
  const int given = options.source.has_value() + options.data.has_value() + options.data_file.has_value();
  if (given != 1)
    throw Failure(kExitUsage, "give the payload once: --data JSON, --data-file FILE, or - for stdin");
  if (options.data) return *options.data;
  return read_file(options.source ? "-" : *options.data_file, kMaxInputBytes,
                   options.source ? "-" : "--data-file");
}

Json send_cloud_event(Session& session, const std::string& file) {
  const std::string event = read_file(file, kMaxInputBytes, "--cloudevent");
  const HttpResponse response =
      session.api().send("POST", "/v1/events", event, "application/cloudevents+json");
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  return json_of(response);
}

Json send_event(Session& session, SendOptions& options) {
  options.fields.type = *options.type;
  options.fields.data = payload_of(options);
  for (const std::string& header : options.headers) options.fields.headers.push_back(split_header(header));
  return session.api().post("/v1/events", event_body(options.fields));
}

int send(Session& session, SendOptions& options) {
  const bool in_file = options.batch || options.cloud_event;
  if (in_file && options.type)
    throw Failure(kExitUsage, std::string(options.batch ? "--batch: the events' types are"
                                                        : "--cloudevent: its type is") +
                                  " in the file, give no TYPE");
  if (options.batch) return send_batch(session, *options.batch);
  if (!in_file && !options.type)
    throw Failure(kExitUsage, "TYPE is required (or --batch FILE, or --cloudevent FILE)");
  const Json answer =
      options.cloud_event ? send_cloud_event(session, *options.cloud_event) : send_event(session, options);
  const std::vector<Column> columns{column("ID", "id"), number_column("DELIVERIES", "deliveries"),
                                    column("DUPLICATE", "duplicate"), time_column("CREATED", "created_at")};
  if (session.format() == Format::kJson) {
    session.print(render_json(answer, true));
  } else {
    session.print_rows(columns, {answer});
  }
  if (member_text(answer, "deliveries") == "0") session.warn(nobody_wants(*options.type));
  return kExitOk;
}

void add_send(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "send", "Hand over an event; answers once it is durable",
                                  "outboxctl event send order.paid --data '{\"id\":42}'");
  auto o = std::make_shared<SendOptions>();
  command->add_option("type", o->type, "The event's type")->check(is_event_type_());
  command->add_option("source", o->source, "- reads the payload from stdin");
  auto* data = command->add_option("--data", o->data, "The payload: any JSON value, delivered byte for byte");
  auto* file = command->add_option("--data-file", o->data_file, "The payload from a file (- is stdin)");
  auto* batch = command->add_option("--batch", o->batch,
                                    "Many events: a file with one event object a line (- is stdin)");
  auto* cloud_event = command->add_option("--cloudevent", o->cloud_event,
                                          "A CloudEvent in the JSON format, in a file (- is stdin)");
  data->excludes(file)->excludes(batch)->excludes(cloud_event);
  file->excludes(batch)->excludes(cloud_event);
  batch->excludes(cloud_event);
  command
      ->add_option("--content-type", o->fields.content_type, "Of a payload that is not JSON: sent as bytes")
      ->check(has_length(1, 255));
  command->add_option("--tenant", o->fields.tenant, "Whose event it is")
      ->check(has_length(0, kMaxTenantLength));
  command->add_option("--ordering-key", o->fields.ordering_key, "Deliver in order with others of this key")
      ->check(has_length(1, kMaxKeyLength));
  command->add_option("--idempotency-key", o->fields.idempotency_key, "Accept the event once for this key")
      ->check(has_length(1, kMaxKeyLength));
  command->add_option("--delay", o->fields.delay, "Deliver no earlier than this from now")
      ->check(is_duration());
  command->add_option("--ttl", o->fields.ttl, "Give up after this")->check(is_duration());
  command->add_option("--priority", o->fields.priority, "0 to 9, a higher one goes first")
      ->check(CLI::Range(0, 9));
  command->add_option("--header", o->headers, "A header for the subscriber, name:value; may be repeated")
      ->check(is_header())
      ->allow_extra_args(false);
  command->callback([&session, o] { session.action = [&session, o] { return send(session, *o); }; });
}

void add_list(CLI::App& group, Session& session) {
  struct Options {
    Filters filters;
    ListOptions list;
    bool rejected = false, unmatched = false;
  };
  CLI::App* command =
      add_command(group, "list", "Events, newest first", "outboxctl event list --type order.paid --since 1h");
  auto o = std::make_shared<Options>();
  add_common_filters(command, o->filters);
  add_list_options(command, o->list);
  auto* rejected = command->add_flag("--rejected", o->rejected,
                                     "Rows of the SQL outbox that could not become events, with the reason");
  command->add_flag("--unmatched", o->unmatched, "Only those that no endpoint wanted")->excludes(rejected);
  command->callback([&session, o] {
    session.action = [&session, o] {
      Path path = o->filters.applied_to(Path("/v1/events"), session.style().now);
      if (o->unmatched) path.with("unmatched", "true");
      if (!o->rejected) return print_list(session, path, o->list, event_columns());
      return print_rejected_rows(session, path, o->list);
    };
  });
}

int show(Session& session, const std::string& id) {
  const Json event = session.api().get("/v1/events/" + id);
  constexpr std::string_view kSkip[] = {"deliveries", "deliveries_next_cursor"};
  session.print_object(event, fields_of(event, kSkip));
  const bool table = session.prints_table();
  const Json deliveries = event.value("deliveries", Json::array());
  if (!table || !deliveries.is_array() || deliveries.empty()) return kExitOk;
  session.print("\n");
  session.print_rows(
      {column("DELIVERY", "id"), endpoint_column(), state_column(), number_column("ATTEMPTS", "attempts"),
       column("ERROR", "error"), time_column("DUE", "due_at")},
      {deliveries.begin(), deliveries.end()});
  if (event.value("deliveries_next_cursor", Json()).is_string())
    session.note("there are more: outboxctl delivery list --event " + id);
  return kExitOk;
}

void add_show(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "show", "One event and its deliveries");
  auto id = std::make_shared<std::string>();
  command->add_option("id", *id, "The event")->required()->check(is_event_id());
  command->callback(
      [&session, id] { session.action = [&session, id] { return show(session, whole_id(session, *id)); }; });
}

// Prints the exact bytes; only for a terminal are control bytes escaped.
int print_payload(Session& session, const std::string& id) {
  const std::string payload = session.api().get_bytes("/v1/events/" + id + "/payload");
  session.print(::isatty(STDOUT_FILENO) ? escape_control(payload) + "\n" : payload);
  return kExitOk;
}

void add_payload(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "payload", "The payload's exact bytes",
                                  "outboxctl event payload evt_… > payload.json");
  auto id = std::make_shared<std::string>();
  command->add_option("id", *id, "The event")->required()->check(is_event_id());
  command->callback([&session, id] {
    session.action = [&session, id] { return print_payload(session, whole_id(session, *id)); };
  });
}

// Exit status 1 when the answer was no.
int erase(Session& session, const std::string& id, bool yes) {
  if (!yes && !session.confirm("Erase the payload of " + id +
                               "? Nothing brings it back, and what is pending of the event is discarded.")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  const HttpResponse response = session.api().send("DELETE", "/v1/events/" + id + "/payload", {}, {});
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  const Json erased = json_of(response);
  session.print_object(erased, fields_of(erased, {}));
  session.note(
      "the bytes are gone from the database; backups, and what subscribers were sent, are not touched");
  return kExitOk;
}

void add_erase(CLI::App& group, Session& session) {
  struct Options {
    std::string id;
    bool yes = false;
  };
  CLI::App* command =
      add_command(group, "erase", "Erase an event's payload for good; the rest of the event stays",
                  "outboxctl event erase evt_…");
  auto o = std::make_shared<Options>();
  command->add_option("id", o->id, "The event")->required()->check(is_event_id());
  command->add_flag("--yes", o->yes, "Do not ask");
  command->callback([&session, o] {
    session.action = [&session, o] { return erase(session, whole_id(session, o->id), o->yes); };
  });
}

// An endpoint that does not exist is reported as not found; one of another tenant is refused.
Json replay(ApiClient& api, const std::string& id, const std::optional<std::string>& endpoint,
            const std::string& body) try {
  return api.post("/v1/events/" + id + "/replay", body);
} catch (const Failure& failure) {
  if (failure.exit_code == kExitRefused && endpoint) (void)api.get(path_of_endpoint(*endpoint));
  throw;
}

int replay_one(Session& session, const std::string& id, const std::optional<std::string>& endpoint) {
  ObjectText body;
  body.add_if("endpoint", endpoint);
  Json answer = replay(session.api(), id, endpoint, body.text());
  if (answer.is_object() && !answer.contains("id")) answer["id"] = id;
  session.print_object(answer, fields_of(answer, {}));
  return kExitOk;
}

struct ReplayOptions {
  std::optional<std::string> id;
  bool missing = false;
  BatchOptions batch;
};

int run_replay(Session& session, const ReplayOptions& options) {
  const BatchOptions& batch = options.batch;
  Filters but_endpoint = batch.filters;
  but_endpoint.endpoint.reset();
  if (options.id) {
    if (options.missing || but_endpoint.any() || batch.rate || batch.note)
      throw Failure(kExitUsage, "give an id or filters, not both");
    if (batch.dry_run) throw Failure(kExitUsage, "--dry-run counts what filters find");
    return replay_one(session, whole_id(session, *options.id), batch.filters.endpoint);
  }
  if (!batch.filters.any())
    throw Failure(kExitUsage, "give an event's id, or filters like --type or --since");
  if (options.missing && !(batch.filters.endpoint && batch.filters.since))
    throw Failure(kExitUsage,
                  "--missing needs --endpoint and --since: who is missing events, and since when?");
  BatchOptions wanted = batch;
  wanted.action = options.missing ? "replay_missing" : "replay";
  return run_batch(session, wanted);
}

void add_replay(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "replay",
                                  "Deliver once more, to the endpoints that match now or to one of them: an "
                                  "event, or all that match the filters",
                                  "outboxctl event replay --missing --endpoint shop --since 7d");
  auto o = std::make_shared<ReplayOptions>();
  command->add_option("id", o->id, "The event")->check(is_event_id());
  command->add_option("--endpoint", o->batch.filters.endpoint, "Only to this endpoint, by name or id")
      ->check(names_endpoint());
  command->add_flag("--missing", o->missing, "Only what was never delivered to the endpoint");
  add_common_filters(command, o->batch.filters);
  add_batch_options(command, o->batch);
  command->callback([&session, o] { session.action = [&session, o] { return run_replay(session, *o); }; });
}

}  // namespace

void add_event(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "event", "send, list, show, payload, erase, tail, replay, types");
  group->group(kAct);
  add_send(*group, session);
  add_list(*group, session);
  add_show(*group, session);
  add_payload(*group, session);
  add_event_tail(*group, session);
  add_erase(*group, session);
  add_replay(*group, session);
  add_event_types(*group, session);
}

}  // namespace outboxd::ctl
