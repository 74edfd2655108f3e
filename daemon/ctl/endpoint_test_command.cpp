#include "ctl/endpoint_test_command.h"

#include <memory>

#include "common/text.h"
#include "ctl/endpoint_advice.h"
#include "ctl/input.h"
#include "ctl/json_text.h"
#include "ctl/listing.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

// A test sends a real request and waits for the subscriber, whose endpoint may allow minutes.
constexpr Millis kTestTimeout = std::chrono::minutes(6);

int resume(Session& session, const std::string& name) {
  const Json before = session.api().get(path_of_endpoint(name));
  const std::string path = path_of_endpoint(member_text(before, "id"));
  const std::string pending = count_pending(session.api(), member_text(before, "id"));
  const Json endpoint = session.api().post(path + "/resume", "{}");
  session.print_object(endpoint, fields_of(endpoint, {}));
  session.note(resumed_text(escape_control(name), before, pending, session.style().now));
  return kExitOk;
}

struct TestOptions {
  std::string id;
  std::optional<std::string> type, data;
  bool filter = false;
};

std::string test_body(const TestOptions& options) {
  ObjectText body;
  body.add_if("type", options.type);
  if (options.data) body.add_raw("payload", json_argument(*options.data, "--data"));
  return body.text();
}

// Sends nothing. Exit status 1 when the endpoint does not want such a payload.
int test_filter(Session& session, const TestOptions& options) {
  if (!options.data) throw Failure(kExitUsage, "--filter needs --data: the payload that is looked at");
  if (options.type)
    throw Failure(kExitUsage, "--type goes without --filter, which looks at the payload alone");
  const Json answer = session.api().post(path_of_endpoint(options.id) + "/filter/test", test_body(options));
  const bool matches = answer.is_object() && answer.value("matches", false);
  if (session.prints_table()) {
    const Json conditions = answer.is_object() ? answer.value("conditions", Json::array()) : Json::array();
    session.print_rows({column("POINTER", "pointer"), column("CONDITION", "condition"),
                        column("WANTED", "wanted"), column("FOUND", "found"), column("HOLDS", "holds")},
                       {conditions.begin(), conditions.end()});
    session.note(matches ? "the endpoint gets such an event, if its type matches"
                         : "the endpoint does not get such an event");
  } else {
    session.print_object(answer, {});
  }
  return matches ? kExitOk : kExitFailed;
}

// Exit status 1 when the subscriber did not accept.
int test(Session& session, const TestOptions& options) {
  if (options.filter) return test_filter(session, options);
  const std::string body = test_body(options);
  const Json endpoint = session.api().get(path_of_endpoint(options.id));
  const std::string path = path_of_endpoint(member_text(endpoint, "id"));
  const Json answer = session.api().post(path + "/test", body, kTestTimeout);
  const Json attempt = answer.is_object() ? answer.value("attempt", answer) : answer;
  session.print_object(attempt, attempt_fields(attempt));
  session.note(escape_control(attempt_advice(options.id, endpoint, attempt)));
  return member_text(attempt, "outcome") == "success" ? kExitOk : kExitFailed;
}

}  // namespace

void add_endpoint_resume(CLI::App& group, Session& session) {
  CLI::App* command = add_command(group, "resume", "Go on with an endpoint, and say what held it",
                                  "outboxctl endpoint resume orders");
  auto id = std::make_shared<std::string>();
  command->add_option("endpoint", *id, kEndpointHelp)->required()->check(names_endpoint());
  command->callback([&session, id] { session.action = [&session, id] { return resume(session, *id); }; });
}

void add_endpoint_test(CLI::App& group, Session& session) {
  CLI::App* command = add_command(
      group, "test", "Send it a real signed event and say what came back; success ends the breaker's pause",
      "outboxctl endpoint test orders --type order.paid --data '{\"id\":42}'");
  auto o = std::make_shared<TestOptions>();
  command->add_option("endpoint", o->id, kEndpointHelp)->required()->check(names_endpoint());
  command->add_option("--type", o->type, "The event's type (default outboxd.test)")->check(is_event_type_());
  command->add_option("--data", o->data, "Its payload: JSON, or @FILE")->type_name("JSON|@FILE");
  command->add_flag("--filter", o->filter,
                    "Send nothing: say whether its filter lets the payload pass, and why not");
  command->callback([&session, o] { session.action = [&session, o] { return test(session, *o); }; });
}

}  // namespace outboxd::ctl
