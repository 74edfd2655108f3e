#include "ctl/endpoint_secret.h"

#include <memory>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/input.h"
#include "ctl/json_text.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::string id;
  std::optional<std::string> overlap, secret_file;
};

int list(Session& session, const std::string& id, bool reveal) {
  Path path(path_of_endpoint(id) + "/secrets");
  if (reveal) path.with("reveal", "true");
  const Json answer = session.api().get(path.text());
  const Json data = answer.is_object() ? answer.value("data", Json::array()) : Json::array();
  session.print_rows({column(reveal ? "SECRET" : "HINT", reveal ? "secret" : "hint"), column("KIND", "kind"),
                      column("PUBLIC KEY", "public_key"), time_column("CREATED", "created_at"),
                      time_column("EXPIRES", "expires_at")},
                     {data.begin(), data.end()}, nullptr, reveal ? "secret" : "hint");
  return kExitOk;
}

int rotate(Session& session, const Options& options) {
  ObjectText body;
  body.add_if("overlap", options.overlap);
  if (options.secret_file) body.add("secret", read_secret(*options.secret_file, "--secret-file"));
  Session::require_stdout();
  const Json answer = session.api().post(path_of_endpoint(options.id) + "/secrets/rotate", body.text());
  const std::string reveal = "outboxctl endpoint secret reveal " + options.id;
  Session::print_once([&] { session.print_object(answer, fields_of(answer, {}), "secret"); },
                      "; the secret is in use: " + reveal + " shows it");
  session.note("the previous secret signs along until " +
               escape_control(member_text(answer, "expires_previous_at")) + "; " + reveal +
               " shows what it signs with");
  return kExitOk;
}

}  // namespace

void add_endpoint_secret(CLI::App& endpoint_group, Session& session) {
  CLI::App* group = add_group(endpoint_group, "secret", "list, reveal, rotate");
  auto o = std::make_shared<Options>();
  for (const bool reveal : {false, true}) {
    CLI::App* command = add_command(*group, reveal ? "reveal" : "list",
                                    reveal ? "Its secrets in full" : "Its secrets, cut, with their expiry");
    command->add_option("endpoint", o->id, kEndpointHelp)->required()->check(names_endpoint());
    command->callback([&session, o, reveal] {
      session.action = [&session, o, reveal] { return list(session, o->id, reveal); };
    });
  }
  CLI::App* command = add_command(*group, "rotate", "Make a new secret; both sign until the overlap ends",
                                  "outboxctl endpoint secret rotate orders --overlap 24h");
  command->add_option("endpoint", o->id, kEndpointHelp)->required()->check(names_endpoint());
  command->add_option("--overlap", o->overlap, "How long the previous secret signs along")
      ->check(is_duration());
  command->add_option("--secret-file", o->secret_file,
                      "A file with the new secret, whsec_… or whsk_… (default: one is made)");
  command->callback([&session, o] { session.action = [&session, o] { return rotate(session, *o); }; });
}

}  // namespace outboxd::ctl
