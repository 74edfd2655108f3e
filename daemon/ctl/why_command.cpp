// `why ID|ENDPOINT`: what holds a delivery, an event or an endpoint, and which command helps.
#include <memory>

#include "common/id.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/validators.h"
#include "ctl/whole_id.h"
#include "ctl/why.h"

namespace outboxd::ctl {
namespace {

// Null when the endpoint was removed.
Json stats_of(ApiClient& api, const std::string& endpoint) {
  try {
    return api.get(path_of_endpoint(endpoint) + "/stats");
  } catch (const Failure& failure) {
    if (failure.exit_code != kExitNotFound) throw;
    return nullptr;
  }
}

Explanation explain(Session& session, const std::string& word) {
  ApiClient& api = session.api();
  const Time now = session.style().now;
  if (begins_id(word, "dlv_")) {
    const Json delivery = api.get("/v1/deliveries/" + whole_id(session, word));
    return explain_delivery(delivery, stats_of(api, member_text(delivery, "endpoint")), now);
  }
  if (begins_id(word, "evt_")) return explain_event(api.get("/v1/events/" + whole_id(session, word)), now);
  const Json endpoint = api.get(path_of_endpoint(word));
  return explain_endpoint(endpoint, stats_of(api, member_text(endpoint, "id")), now);
}

int run_why(Session& session, const std::string& word) {
  const Explanation why = explain(session, word);
  const Json json = {{"id", word}, {"why", why.text}, {"details", why.details}, {"commands", why.commands}};
  if (session.prints_json() || session.format() == Format::kId) {
    session.print_object(json, {});
    return kExitOk;
  }
  std::string text = escape_control(why.text) + '\n';
  for (const std::string& line : why.details) text += "  " + escape_control(line) + '\n';
  for (const std::string& command : why.commands) text += "  try: " + escape_control(command) + '\n';
  session.print(text);
  return kExitOk;
}

}  // namespace

void add_why(CLI::App& app, Session& session) {
  CLI::App* command = add_command(app, "why", "Why a delivery, an event or an endpoint waits, and what helps",
                                  "outboxctl why orders");
  command->group(kLook);
  auto word = std::make_shared<std::string>();
  command->add_option("subject", *word, "A delivery or an event by its id, or an endpoint by its name or id")
      ->required()
      ->type_name("ID|ENDPOINT")
      ->check(has_length(1, 255));
  command->callback(
      [&session, word] { session.action = [&session, word] { return run_why(session, *word); }; });
}

}  // namespace outboxd::ctl
