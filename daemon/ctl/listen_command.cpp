// `listen`: the demo subscriber's options and what it prints.
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "common/signature.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/input.h"
#include "ctl/interrupt.h"
#include "ctl/receiver.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kShownBodyBytes = 120;

struct Options {
  int port = 0;
  std::vector<std::string> secrets, fail, fail_types;
  std::optional<std::string> delay, forward_to;
};

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

Receiver::Options receiver_options(const Options& o) {
  Receiver::Options options;
  options.port = o.port;
  for (const std::string& text : o.secrets) {
    options.secrets.push_back(text.starts_with('@') ? read_secret(text.substr(1), "--verify", true) : text);
  }
  for (const std::string& text : o.fail) options.fail.push_back(*parse_fail_share(text));
  for (const std::string& text : o.fail_types) options.fail_types.push_back(*parse_fail_type(text));
  if (o.delay) options.delay = *parse_duration(*o.delay);
  options.forward_to = o.forward_to.value_or("");
  return options;
}

int run_listen(Session& session, const Options& o) {
  const Format format = session.format();
  if (format == Format::kJson)
    throw Failure(kExitUsage, "--output: listen never ends, so it cannot be one document; use jsonl");
  hold_interrupts();
  std::mutex printing;
  const Style style = session.style();
  Receiver receiver(receiver_options(o), [&](const Received& received) {
    const std::string text = format == Format::kJsonl ? render_json(json_of(received), false)
                             : format == Format::kId  ? escape_control(received.id) + "\n"
                                                      : line_of(received, style);
    const std::lock_guard lock(printing);
    try {
      session.print(text);
    } catch (const Failure&) {
      std::_Exit(kExitFailed);  // nobody reads the output any more
    }
  });
  const std::string url = "http://127.0.0.1:" + std::to_string(receiver.port()) + "/";
  if (format == Format::kJsonl)
    session.print(render_json({{"listening", url}, {"port", receiver.port()}}, false));
  session.note("listening on " + url + " until Ctrl-C");
  receiver.start();
  wait_for_interrupt();
  const std::lock_guard lock(printing);  // no line is cut in two
  // Ordinary destruction would wait until every idle connection's keep-alive time is over.
  std::_Exit(kExitOk);
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

// A secret is never quoted in a message.
std::string why_secret_refused(const std::string& value) {
  if (value.starts_with('@') || value.starts_with("whpk_")) return {};
  const auto key = SigningKey::parse(value);
  return key ? std::string() : escape_control(key.error().detail);
}

}  // namespace

void add_listen(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "listen", "A subscriber to try things with, on 127.0.0.1, until Ctrl-C",
                  "outboxctl listen --port 9000 --verify whsec_… --fail 503:30%");
  command->group(kDevelop);
  auto o = std::make_shared<Options>();
  command->add_option("--port", o->port, "Where to listen; 0 is any free port")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      ->add_option("--verify", o->secrets,
                   "Check signatures with this secret, or @FILE; 401 if none verifies; may be repeated")
      ->check(why_secret_refused)
      ->type_name("SECRET")
      ->allow_extra_args(false);
  command
      ->add_option("--fail", o->fail,
                   "Answer with this status, 503 or 503:30% of the requests; may be repeated")
      ->check(checked("STATUS[:N%]", "a status from 200 to 599 like 503 or 503:30%",
                      [](const std::string& v) { return parse_fail_share(v).has_value(); }))
      ->allow_extra_args(false);
  command
      ->add_option("--fail-type", o->fail_types,
                   "Always fail events of this type: order.bad or order.bad:500; may be repeated")
      ->check(checked("TYPE[:STATUS]",
                      "an event type or pattern with a status from 200 to 599, like order.bad:500",
                      [](const std::string& v) { return parse_fail_type(v).has_value(); }))
      ->allow_extra_args(false);
  command->add_option("--delay", o->delay, "Wait before each answer")->check(is_duration());
  command
      ->add_option(
          "--forward-to", o->forward_to,
          "POST each request to this URL and pass on its answer; without --verify, those of any web page too")
      ->check([](const std::string& v) { return why_base_url_refused(v).value_or(""); })
      ->type_name("URL");
  command->callback([&session, o] { session.action = [&session, o] { return run_listen(session, *o); }; });
}

}  // namespace outboxd::ctl
