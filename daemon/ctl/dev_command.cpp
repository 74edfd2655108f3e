// `dev`: a daemon and a subscriber in one command, for whoever develops a producer or wants to see what arrives.
#include <cstdlib>
#include <memory>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/dev_daemon.h"
#include "ctl/interrupt.h"
#include "ctl/receiver_options.h"
#include "ctl/subscription.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

constexpr Millis kLook{200};  // how soon the end of the daemon is noticed

struct Options {
  int port = 8877;
  std::string types = "**";
  std::optional<std::string> outboxd;
  ReceiverFlags flags;
};

// Where the daemon listens over TCP.
std::string tcp_url(ApiClient& api) {
  const Json status = api.get("/v1/status");
  for (const Json& listener : status.value("listeners", Json::array())) {
    if (listener.is_string() && listener.get<std::string>().starts_with("127."))
      return "http://" + listener.get<std::string>();
  }
  return "";
}

void introduce(const Session& session, const DevDaemon& daemon, const std::string& url,
               const std::string& receiver, const Subscription& subscription) {
  if (session.format() == Format::kJsonl) {
    session.print(render_json(
        {{"socket", daemon.socket()}, {"url", url}, {"receiver", receiver}, {"endpoint", subscription.id}},
        false));
    return;
  }
  session.note("outboxd serves " + url + " and " + daemon.socket() + ", on a store that goes with Ctrl-C");
  session.note(
      "send events:  curl " + url +
      R"(/v1/events -H 'content-type: application/json' -d '{"type":"order.paid","payload":{"id":42}}')");
  session.note("or:           outboxctl --socket " + daemon.socket() + " trigger order.paid");
  session.note("each delivery is shown here, verified with the endpoint's secret " + subscription.secret);
}

int run_dev(Session& session, const Options& o) {
  const Receiver::OnReceived print = printing_received(session);
  hold_interrupts();
  auto daemon = std::make_unique<DevDaemon>(o.outboxd ? *o.outboxd : find_outboxd(), o.port);
  daemon->wait_until_ready();
  const ApiClient::Options target{.socket = daemon->socket(), .url = {}, .token = {}, .ca_file = {}};
  ApiClient api(target);
  Receiver::Options options = receiver_options(o.flags);
  options.sent_body = body_known_to(target);
  Receiver receiver(std::move(options), print);
  const Subscription subscription = subscribe(api, receiver.port(), split_list(o.types), std::nullopt);
  receiver.add_secret(subscription.secret);
  receiver.start();
  introduce(session, *daemon, tcp_url(api), "http://127.0.0.1:" + std::to_string(receiver.port()) + "/",
            subscription);
  while (!wait_for_interrupt(kLook)) {
    if (daemon->runs()) continue;
    session.warn("outboxd has ended by itself:" + daemon->log_end());
    daemon.reset();
    std::_Exit(kExitFailed);
  }
  daemon.reset();  // before the receiver, so that nothing is sent to nobody
  end_listening();
}

}  // namespace

void add_dev(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "dev", "An outboxd on a temporary store, and a subscriber that shows what arrives",
                  "outboxctl dev --forward-to http://127.0.0.1:3000/hook");
  command->group(kDevelop);
  auto o = std::make_shared<Options>();
  command->add_option("--port", o->port, "Of the daemon's API; 0 is any free port")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->add_option("--types", o->types, "Patterns of the event types to show")
      ->check(is_patterns())
      ->capture_default_str();
  command->add_option("--outboxd", o->outboxd, "The daemon's program (default: beside this one, or in PATH)")
      ->check(CLI::ExistingFile);
  add_receiver_flags(command, o->flags);
  command->callback([&session, o] { session.action = [&session, o] { return run_dev(session, *o); }; });
}

}  // namespace outboxd::ctl
