#include "ctl/endpoint_test_command.h"

#include <memory>

#include "common/json_span.h"
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
};

std::string test_body(const TestOptions& options) {
  ObjectText body;
  body.add_if("type", options.type);
  if (!options.data) return body.text();
  const std::string data = options.data->starts_with('@')
                               ? read_file(options.data->substr(1), kMaxInputBytes, "--data")
                               : *options.data;
  if (!is_json(data))
    throw Failure(kExitUsage, "--data: the payload is not JSON; give JSON, or @FILE that holds it");
  return body.add_raw("payload", trim(data)).text();
}

// Exit status 1 when the subscriber did not accept.
int test(Session& session, const TestOptions& options) {
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
  command->callback([&session, o] { session.action = [&session, o] { return test(session, *o); }; });
}

}  // namespace outboxd::ctl
