// `trigger`: a sample event, to see what becomes of it.
#include <memory>

#include "common/clock.h"
#include "common/json_span.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/event_body.h"
#include "ctl/input.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::string type;
  std::optional<std::string> data, tenant;
};

std::string payload_of(const Options& options) {
  if (!options.data) {
    return dump(Json{{"sample", true},
                     {"type", options.type},
                     {"id", 42},
                     {"created_at", format_time(SystemClock().wall())},
                     {"note", "sent by outboxctl trigger"}});
  }
  return options.data->starts_with('@') ? read_file(options.data->substr(1), kMaxInputBytes, "--data")
                                        : *options.data;
}

int trigger(Session& session, const Options& options) {
  EventFields fields;
  fields.type = options.type;
  fields.tenant = options.tenant;
  fields.data = payload_of(options);
  const Json answer = session.api().post("/v1/events", event_body(fields));
  session.print_object(answer, fields_of(answer, {}));
  const std::string id = escape_control(member_text(answer, "id"));
  if (member_text(answer, "deliveries") == "0") {
    session.note("no endpoint wants " + options.type + ": outboxctl listen --types '" + options.type +
                 "', or outboxctl endpoint add URL --types '" + options.type + "'");
  } else {
    session.note("what becomes of it: outboxctl event show " + id);
  }
  return kExitOk;
}

}  // namespace

void add_trigger(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "trigger", "Send a sample event of a type", "outboxctl trigger order.paid");
  command->group(kDevelop);
  auto o = std::make_shared<Options>();
  command->add_option("type", o->type, "The event's type")->required()->check(is_event_type_());
  command->add_option("--data", o->data, "Its payload instead of the sample: JSON, or @FILE")
      ->type_name("JSON|@FILE");
  command->add_option("--tenant", o->tenant, "Whose event it is")->check(has_length(0, kMaxTenantLength));
  command->callback([&session, o] { session.action = [&session, o] { return trigger(session, *o); }; });
}

}  // namespace outboxd::ctl
