// `listen`: the demo subscriber, on its own or registered at the daemon.
#include <memory>

#include "common/signature.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/input.h"
#include "ctl/interrupt.h"
#include "ctl/receiver_options.h"
#include "ctl/subscription.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  int port = 0;
  std::vector<std::string> secrets;
  std::optional<std::string> types, tenant;
  ReceiverFlags flags;
};

std::vector<std::string> secrets_of(const Options& o) {
  std::vector<std::string> secrets;
  for (const std::string& text : o.secrets)
    secrets.push_back(text.starts_with('@') ? read_secret(text.substr(1), "--verify", true) : text);
  return secrets;
}

int run_listen(Session& session, const Options& o) {
  const Receiver::OnReceived print = printing_received(session);
  hold_interrupts();
  Receiver::Options options = receiver_options(o.flags);
  options.port = o.port;
  options.secrets = secrets_of(o);
  if (o.types) options.sent_body = body_known_to(session.api().options());
  Receiver receiver(std::move(options), print);
  const std::string url = "http://127.0.0.1:" + std::to_string(receiver.port()) + "/";
  std::optional<Subscription> subscription;
  if (o.types) {
    subscription = subscribe(session.api(), receiver.port(), split_list(*o.types), o.tenant);
    receiver.add_secret(subscription->secret);
  }
  if (session.format() == Format::kJsonl) {
    Json first = {{"listening", url}, {"port", receiver.port()}};
    if (subscription) first["endpoint"] = subscription->id;
    session.print(render_json(first, false));
  }
  session.note("listening on " + url + (subscription ? ", as endpoint " + subscription->name : "") +
               " until Ctrl-C");
  receiver.start();
  wait_for_interrupt();
  std::string why;
  if (subscription && !unsubscribe(session.api(), *subscription, why)) {
    session.warn(why);
    session.warn("the endpoint is left: outboxctl endpoint remove " + subscription->name + " --yes");
  }
  end_listening();
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
                  "outboxctl listen --types 'order.**' --forward-to http://127.0.0.1:3000/hook");
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
  auto* types =
      command
          ->add_option(
              "--types", o->types,
              "Be an endpoint of the daemon for these types (order.*,invoice.**) while this runs, and "
              "check signatures with its secret")
          ->check(is_patterns());
  command->add_option("--tenant", o->tenant, "Of this tenant")
      ->check(has_length(0, kMaxTenantLength))
      ->needs(types);
  add_receiver_flags(command, o->flags);
  command->callback([&session, o] { session.action = [&session, o] { return run_listen(session, *o); }; });
}

}  // namespace outboxd::ctl
