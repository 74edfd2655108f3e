// `source`: applications' own databases whose outboxes are relayed; list through the daemon, ddl and check without it.
#include <algorithm>
#include <memory>

#include "common/text.h"
#include "config/store_url.h"
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

int print_ddl(Session& session, bool postgresql) {
  std::string ddl;
  try {
    ddl = session.tools.source_ddl(postgresql);
  } catch (const DatabaseFailure& failure) {
    throw Failure(kExitFailed, failure.what());
  }
  if (session.prints_json()) {
    session.print_object({{"ddl", ddl}}, {});
  } else {
    session.print(ddl);
  }
  return kExitOk;
}

struct CheckOptions {
  std::optional<std::string> config;
  std::string source;  // a file, a URL or a name
};

bool is_url(const std::string& database) {
  return database.find("://") != std::string::npos;
}

// As the tools take it: the path of a file, or the URL of a database on a server.
std::string database_of(const Session& session, const CheckOptions& options) {
  if (config::holds_password(options.source))
    throw Failure(kExitUsage, "SOURCE: " + std::string(config::kHoldsPassword));
  if (config::is_sqlite_url(options.source))
    return options.source.substr(std::string_view("sqlite://").size());
  if (is_url(options.source) && !config::is_postgresql_url(options.source))
    throw Failure(kExitUsage, "SOURCE: expected a file, sqlite:// and a path, postgresql://, or a name");
  if (options.source.find('/') != std::string::npos) return options.source;
  const auto sources = load_configuration(session, options.config).config.sources;
  const auto found = std::find_if(sources.begin(), sources.end(),
                                  [&](const auto& source) { return source.name == options.source; });
  if (found == sources.end()) {
    throw Failure(kExitNotFound, "there is no source " + escape_control(options.source) +
                                     " in the configuration; a file is named with a slash: ./app.db");
  }
  return found->database();
}

std::vector<std::string> advice_on(const SourceCheck& found, const std::string& database) {
  const std::string shell = (is_url(database) ? "psql " : "sqlite3 ") + shell_quoted(database);
  std::vector<std::string> advice;
  if (found.problem.empty() && !is_url(database) && found.journal_mode != "wal") {
    advice.push_back("it is in journal mode " + found.journal_mode +
                     ", in which readers and writers wait for each other: " + shell +
                     " 'PRAGMA journal_mode=WAL'");
  }
  if (found.rejected > 0) {
    advice.push_back(
        std::to_string(found.rejected) + " rows are rejected; see why: " + shell +
        (is_url(database) ? " -c" : "") +
        " 'SELECT seq, rejected FROM outbox WHERE rejected IS NOT NULL', and when that no longer "
        "holds: UPDATE outbox SET rejected = NULL WHERE seq = ...");
  }
  return advice;
}

int check(Session& session, const CheckOptions& options) {
  const std::string database = database_of(session, options);
  SourceCheck found;
  try {
    found = session.tools.source_check(database);
  } catch (const DatabaseFailure& failure) {
    found.problem = failure.what();
  }
  const bool good = found.problem.empty(), on_server = is_url(database);
  const auto advice = advice_on(found, database);
  Fields facts{{on_server ? "database" : "file", {database}},
               {"can be relayed", {good ? "yes" : "no: " + found.problem, good ? Tint::kGood : Tint::kBad}}};
  if (!on_server) facts.push_back({"journal mode", {good ? found.journal_mode : "-"}});
  facts.push_back({"rows that wait", {std::to_string(found.waiting)}});
  facts.push_back({"rejected rows", {std::to_string(found.rejected)}});
  session.print_object({{on_server ? "url" : "path", database},
                        {"good", good},
                        {"problem", good ? Json(nullptr) : Json(found.problem)},
                        {"journal_mode", good && !on_server ? Json(found.journal_mode) : Json(nullptr)},
                        {"waiting", found.waiting},
                        {"rejected", found.rejected},
                        {"advice", advice}},
                       facts, on_server ? "url" : "path");
  for (const std::string& line : advice) session.note(line);
  return good ? kExitOk : kExitFailed;
}

}  // namespace

void add_source(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "source", "list, ddl, check: applications' databases that are relayed");
  group->group(kRun);
  add_command(*group, "list", "The sources, how far each is relayed, and what keeps one from it")
      ->callback([&session] { session.action = [&session] { return list(session); }; });
  auto postgresql = std::make_shared<bool>(false);
  CLI::App* ddl_command =
      add_command(*group, "ddl", "The SQL that makes an application's database a source; it may be run again",
                  "outboxctl source ddl | sqlite3 /srv/shop/app.db\n"
                  "  outboxctl source ddl --postgresql | psql -q -1 postgresql://shop@db.corp/shop");
  ddl_command->add_flag("--postgresql", *postgresql, "For PostgreSQL; without it, for SQLite");
  ddl_command->callback([&session, postgresql] {
    session.action = [&session, postgresql] { return print_ddl(session, *postgresql); };
  });
  auto o = std::make_shared<CheckOptions>();
  CLI::App* check_command = add_command(
      *group, "check", "Could this database be relayed? What is missing, and what to do; changes nothing",
      "outboxctl source check /srv/shop/app.db");
  check_command
      ->add_option("SOURCE", o->source, "A file (with a slash), a postgresql:// URL, or the name of a source")
      ->required();
  add_config_option(*check_command, o->config);
  check_command->callback([&session, o] { session.action = [&session, o] { return check(session, *o); }; });
}

}  // namespace outboxd::ctl
