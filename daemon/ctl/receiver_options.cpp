#include "ctl/receiver_options.h"

#include <cstdlib>

#include "common/mutex.h"
#include "common/text.h"
#include "ctl/http_client.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kShownBodyBytes = 120;

Mutex printing;  // no line is cut in two

Json json_of(const Received& r) {
  return {{"received_at", format_time(r.at)},
          {"path", r.path},
          {"type", r.type},
          {"id", r.id},
          {"attempt", parse_int(r.attempt).value_or(0)},
          {"timestamp", r.timestamp},
          {"content_type", r.content_type},
          {"verified", r.verify_error ? Json(r.verify_error->empty()) : Json()},
          {"verify_error", r.verify_error.value_or("").empty() ? Json() : Json(*r.verify_error)},
          {"status", r.status},
          {"body_bytes", r.body.size()},
          {"body_base64", base64_encode(r.body)}};
}

std::string line_of(const Received& r, const Style& style) {
  std::string verified = "not checked";
  if (r.verify_error) verified = r.verify_error->empty() ? "verified" : "NOT VERIFIED: " + *r.verify_error;
  const bool good = r.status >= 200 && r.status < 300;
  std::string body = escape_control(std::string_view(r.body).substr(0, kShownBodyBytes));
  if (r.body.size() > kShownBodyBytes) body += "…";
  const auto shown = [](const std::string& text) { return text.empty() ? "-" : escape_control(text); };
  return format_time(r.at) + "  " +
         tinted(std::to_string(r.status), good ? Tint::kGood : Tint::kBad, style.color) + "  " +
         shown(r.type) + "  " + shown(r.id) + "  attempt " + shown(r.attempt) + "  " +
         escape_control(verified) + "  " + body + "\n";
}

CLI::Validator checked(const char* type_name, const std::string& wanted,
                       bool (*accepts)(const std::string&)) {
  return CLI::Validator(
      [wanted, accepts](std::string& value) -> std::string {
        return accepts(value) ? std::string()
                              : "\"" + escape_control(value.substr(0, 80)) + "\" is not " + wanted;
      },
      type_name);
}

}  // namespace

void add_receiver_flags(CLI::App* command, ReceiverFlags& flags) {
  command
      ->add_option("--fail", flags.fail,
                   "Answer with this status, 503 or 503:30% of the requests; may be repeated")
      ->check(checked("STATUS[:N%]", "a status from 200 to 599 like 503 or 503:30%",
                      [](const std::string& v) { return parse_fail_share(v).has_value(); }))
      ->allow_extra_args(false);
  command
      ->add_option("--fail-type", flags.fail_types,
                   "Always fail events of this type: order.bad or order.bad:500; may be repeated")
      ->check(checked("TYPE[:STATUS]",
                      "an event type or pattern with a status from 200 to 599, like order.bad:500",
                      [](const std::string& v) { return parse_fail_type(v).has_value(); }))
      ->allow_extra_args(false);
  command->add_option("--delay", flags.delay, "Wait before each answer")->check(is_duration());
  command
      ->add_option(
          "--forward-to", flags.forward_to,
          "POST each request to this URL and pass on its answer; without --verify, those of any web page too")
      ->check([](const std::string& v) { return why_base_url_refused(v).value_or(""); })
      ->type_name("URL");
}

Receiver::Options receiver_options(const ReceiverFlags& flags) {
  Receiver::Options options;
  for (const std::string& text : flags.fail) options.fail.push_back(*parse_fail_share(text));
  for (const std::string& text : flags.fail_types) options.fail_types.push_back(*parse_fail_type(text));
  if (flags.delay) options.delay = *parse_duration(*flags.delay);
  options.forward_to = flags.forward_to.value_or("");
  return options;
}

std::string render_received(const Received& received, const Style& style) {
  if (style.format == Format::kJsonl) return render_json(json_of(received), false);
  if (style.format == Format::kId) return escape_control(received.id) + "\n";
  return line_of(received, style);
}

Receiver::OnReceived printing_received(const Session& session) {
  if (session.format() == Format::kJson)
    throw Failure(kExitUsage, "--output: this never ends, so it cannot be one document; use jsonl");
  return [&session, style = session.style()](const Received& received) {
    const std::string text = render_received(received, style);
    const MutexLock lock(printing);
    try {
      session.print(text);
    } catch (const Failure&) {
      std::_Exit(kExitFailed);  // nobody reads the output any more
    }
  };
}

void end_listening() {
  const MutexLock lock(printing);
  std::_Exit(kExitOk);
}

}  // namespace outboxd::ctl
