// `source`: applications' own SQLite files whose outboxes are relayed; list through the daemon, ddl and check without it.
#include <algorithm>
#include <memory>

#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/configuration.h"
#include "ctl/shell.h"

namespace outboxd::ctl {
namespace {

int list(Session& session) {
  const Json answer = session.api().get("/v1/sources");
  const Json data = answer.is_object() ? answer.value("data", Json::array()) : Json::array();
  const std::vector<Json> rows(data.begin(), data.end());
  session.print_rows({column("NAME", "name"),
                      {"STATE",
                       [](const Json& row, const Style&) {
                         const std::string state = member_text(row, "state");
                         return Cell{state, state == "failing" ? Tint::kBad : Tint::kGood};
                       }},
                      time_column("SINCE", "since"),
                      number_column("RELAYED", "relayed"),
                      number_column("WAITING", "waiting"),
                      number_column("REJECTED", "rejected"),
                      time_column("LAST", "last_relayed_at"),
                      column("ERROR", "error"),
                      column("URL", "url", true)},
                     rows, nullptr, "name");
  if (rows.empty()) session.note("no source is configured: [[source]] in the configuration names one");
  return kExitOk;
}

int print_ddl(Session& session) {
  const std::string ddl = session.tools.source_ddl();
  if (session.prints_json()) {
    session.print_object({{"ddl", ddl}}, {});
  } else {
    session.print(ddl);
  }
  return kExitOk;
}

struct CheckOptions {
  std::optional<std::string> config;
  std::string source;  // a file or a name
};

std::string path_of(const Session& session, const CheckOptions& options) {
  if (options.source.find('/') != std::string::npos) return options.source;
  const auto sources = load_configuration(session, options.config).config.sources;
  const auto found = std::find_if(sources.begin(), sources.end(),
                                  [&](const auto& source) { return source.name == options.source; });
  if (found == sources.end()) {
    throw Failure(kExitNotFound, "there is no source " + escape_control(options.source) +
                                     " in the configuration; a file is named with a slash: ./app.db");
  }
  return found->path();
}

std::vector<std::string> advice_on(const SourceCheck& found, const std::string& path) {
  std::vector<std::string> advice;
  if (found.problem.empty() && found.journal_mode != "wal") {
    advice.push_back("it is in journal mode " + found.journal_mode +
                     ", in which readers and writers wait for each other: sqlite3 " + shell_quoted(path) +
                     " 'PRAGMA journal_mode=WAL'");
  }
  if (found.rejected > 0) {
    advice.push_back(
        std::to_string(found.rejected) + " rows are rejected; see why: sqlite3 " + shell_quoted(path) +
        " 'SELECT seq, rejected FROM outbox WHERE rejected IS NOT NULL', and when that no longer holds:"
        " UPDATE outbox SET rejected = NULL WHERE seq = ...");
  }
  return advice;
}

int check(Session& session, const CheckOptions& options) {
  const std::string path = path_of(session, options);
  const SourceCheck found = session.tools.source_check(path);
  const bool good = found.problem.empty();
  const auto advice = advice_on(found, path);
  session.print_object(
      {{"path", path},
       {"good", good},
       {"problem", good ? Json(nullptr) : Json(found.problem)},
       {"journal_mode", good ? Json(found.journal_mode) : Json(nullptr)},
       {"waiting", found.waiting},
       {"rejected", found.rejected},
       {"advice", advice}},
      {{"file", {path}},
       {"can be relayed", {good ? "yes" : "no: " + found.problem, good ? Tint::kGood : Tint::kBad}},
       {"journal mode", {good ? found.journal_mode : "-"}},
       {"rows that wait", {std::to_string(found.waiting)}},
       {"rejected rows", {std::to_string(found.rejected)}}},
      "path");
  for (const std::string& line : advice) session.note(line);
  return good ? kExitOk : kExitFailed;
}

}  // namespace

void add_source(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "source", "list, ddl, check: applications' SQLite files that are relayed");
  group->group(kRun);
  add_command(*group, "list", "The sources, how far each is relayed, and what keeps one from it")
      ->callback([&session] { session.action = [&session] { return list(session); }; });
  add_command(*group, "ddl", "The SQL that makes an application's SQLite file a source; it may be run again",
              "outboxctl source ddl | sqlite3 /srv/shop/app.db")
      ->callback([&session] { session.action = [&session] { return print_ddl(session); }; });
  auto o = std::make_shared<CheckOptions>();
  CLI::App* check_command = add_command(
      *group, "check", "Could this file be relayed? What is missing, and what to do; changes nothing",
      "outboxctl source check /srv/shop/app.db");
  check_command->add_option("SOURCE", o->source, "A file (with a slash), or the name of a source")
      ->required();
  add_config_option(*check_command, o->config);
  check_command->callback([&session, o] { session.action = [&session, o] { return check(session, *o); }; });
}

}  // namespace outboxd::ctl
