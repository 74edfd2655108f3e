// `db`: the database, through the daemon (info, prune) and without it (check, backup, migrate).
#include <memory>

#include "common/text.h"
#include "common/time.h"
#include "config/store_url.h"
#include "ctl/commands.h"
#include "ctl/configuration.h"
#include "ctl/status.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::optional<std::string> config;
  bool quick = false;
  std::string target;
  std::string from, to;  // URLs
  std::optional<std::string> delivered, dead;
  bool yes = false;
};

template <class Tool>
auto with_database(Tool tool) {
  try {
    return tool();
  } catch (const DatabaseFailure& failure) {
    throw Failure(kExitFailed, escape_control(failure.what()));
  }
}

// The path of SQLite's file, or the URL of a database on a server.
std::string database_of(const Session& session, const Options& options) {
  const auto store = load_configuration(session, options.config).config.store;
  return store.is_sqlite() ? store.path() : store.url;
}

bool is_file(const std::string& database) {
  return database.starts_with('/');
}

int info(Session& session) {
  const Json status = session.api().get("/v1/status");
  session.print_object(status.value("store", Json::object()), database_fields(status), "url");
  return kExitOk;
}

int check(Session& session, const Options& options) {
  const std::string path = database_of(session, options);
  const auto problems = with_database([&] { return session.tools.check(path, options.quick); });
  const bool whole = problems.empty();
  if (session.prints_json()) {
    session.print_object({{"path", path}, {"whole", whole}, {"problems", problems}}, {});
    return whole ? kExitOk : kExitFailed;
  }
  if (whole) {
    session.note(path + " is whole");
    return kExitOk;
  }
  std::vector<Json> rows;
  rows.reserve(problems.size());
  for (const auto& problem : problems) rows.push_back({{"problem", problem}});
  session.print_rows({column("PROBLEM", "problem")}, rows, nullptr, "problem");
  session.warn(path + (is_file(path)
                           ? " is damaged. Stop outboxd, keep a copy of the file with its -wal, and "
                             "restore the newest backup that passes `outboxctl db check` "
                             "(docs/operations.md, \"Backup and restore\")"
                           : " is damaged. Stop every outboxd, keep a copy, and restore to a moment "
                             "before that (docs/several-machines.md)"));
  return kExitFailed;
}

int backup(Session& session, const Options& options) {
  const std::string path = database_of(session, options);
  if (!is_file(path))
    throw Failure(kExitFailed,
                  "this copies SQLite's file: of PostgreSQL, keep what pg_basebackup and the archive of its "
                  "write-ahead log give, or a managed database's snapshots (docs/several-machines.md)");
  const auto progress = [&](std::int64_t done, std::int64_t all) {
    if (session.shows_progress() && all > 0)
      std::fprintf(stderr, "\r%lld %%", static_cast<long long>(done * 100 / all));
  };
  with_database([&] { session.tools.backup(path, options.target, progress); });
  if (session.shows_progress()) std::fputs("\r\033[K", stderr);
  if (session.prints_json()) session.print_object({{"path", path}, {"copy", options.target}}, {});
  session.note("copied " + path + " to " + options.target + ", and checked the copy");
  return kExitOk;
}

int migrate_status(Session& session, const Options& options) {
  const std::string path = database_of(session, options);
  const auto schema = with_database([&] { return session.tools.schema(path); });
  session.print_object({{"path", path}, {"current", schema.current}, {"known", schema.known}},
                       {{"database", {path}},
                        {"schema",
                         {schema.current == 0 ? (is_file(path) ? "none: there is no file" : "none yet")
                                              : std::to_string(schema.current)}},
                        {"known to this program", {std::to_string(schema.known)}}},
                       "path");
  return schema.current == schema.known ? kExitOk : kExitFailed;
}

int migrate_up(Session& session, const Options& options) {
  const std::string path = database_of(session, options);
  const auto schema = with_database([&] { return session.tools.migrate(path); });
  if (session.prints_json())
    session.print_object({{"path", path}, {"before", schema.current}, {"current", schema.known}}, {});
  session.note(schema.current == schema.known
                   ? path + " has schema " + std::to_string(schema.known) + " already"
                   : path + " is at schema " + std::to_string(schema.known) + " now");
  return kExitOk;
}

int adopt(Session& session, const Options& options) {
  const std::string url = database_of(session, options);
  if (is_file(url))
    throw Failure(kExitFailed,
                  "only a database on a server is adopted: a copy of SQLite's file is just started");
  if (!options.yes &&
      !session.confirm("Will no outboxd send from the database that this is a copy of, ever again?")) {
    session.warn("nothing was changed");
    return kExitFailed;
  }
  const bool changed = with_database([&] { return session.tools.adopt(url); });
  if (session.prints_json()) session.print_object({{"url", url}, {"adopted", changed}}, {});
  session.note(changed ? url + " may be served on this server from now on: start outboxd"
                       : url + " was made on this server: there is nothing to adopt");
  return kExitOk;
}

// A database as the tools take it: the path of SQLite's file, or the URL of a database on a server.
std::string database_at(const std::string& option, const std::string& url) {
  constexpr std::string_view kFile = "sqlite://";
  if (url.starts_with("sqlite:///")) return url.substr(kFile.size());
  if (config::is_postgresql_url(url)) return url;
  throw Failure(kExitUsage, option + ": expected sqlite:// and a path, or postgresql:// without a password");
}

int copy(Session& session, const Options& options) {
  const std::string from = database_at("--from", options.from), to = database_at("--to", options.to);
  if (is_file(from) == is_file(to))
    throw Failure(kExitUsage, "--to: is of the same kind as --from; see `db backup`, and pg_dump");
  const auto progress = [&](std::string_view table, bool compares, std::int64_t rows) {
    if (session.shows_progress())
      std::fprintf(stderr, "\r\033[K%s %.*s: %lld", compares ? "comparing" : "copying",
                   static_cast<int>(table.size()), table.data(), static_cast<long long>(rows));
  };
  const std::string copied = with_database([&] { return session.tools.copy(from, to, progress); });
  if (session.shows_progress()) std::fputs("\r\033[K", stderr);
  if (session.prints_json()) session.print_object({{"from", from}, {"to", to}, {"copied", copied}}, {});
  session.note("copied " + copied + ", and compared every row. Next: set [store] url = \"" + options.to +
               "\" and start outboxd");
  return kExitOk;
}

Failure not_ahead() {
  return {kExitFailed, "the answer's next step does not lie ahead; is it outboxd that listens there?"};
}

// Where the next step begins; null: that was the last one. Checked, because something else than outboxd may be
// answering.
Json next_step(const Json& answer, const Json& last) {
  Json next = answer.is_object() ? answer.value("next", Json()) : Json();
  if (next.is_null()) return next;
  if (!next.is_number_integer() || next <= last) throw not_ahead();
  return next;
}

// One bounded step after another, as the daemon does on its own.
int prune(Session& session, const Options& options) {
  Json body = Json::object();
  if (options.delivered) body["delivered"] = *options.delivered;
  if (options.dead) body["dead"] = *options.dead;
  if (!body.empty() && !options.yes && !session.confirm("Delete what is older than that for good?")) {
    session.warn("nothing was deleted");
    return kExitFailed;
  }
  Json all = Json::object();
  bool more = true;
  while (more) {
    const Json step = session.api().post("/v1/prune", body.dump());
    std::int64_t deleted = 0;
    for (const auto& [name, count] : step.items()) {
      if (!count.is_number_integer()) continue;
      all[name] = all.value(name, std::int64_t{0}) + count.get<std::int64_t>();
      deleted += count.get<std::int64_t>();
    }
    const Json next = step.is_object() ? step.value("next", Json()) : Json();
    more = !next.is_null();
    if (more && deleted == 0 && (!next.is_string() || next == body.value("after", Json()))) throw not_ahead();
    body["after"] = next;
    if (session.shows_progress())
      std::fprintf(stderr, "\r%s events deleted", member_text(all, "events").c_str());
  }
  if (session.shows_progress()) std::fputs("\r\033[K", stderr);
  session.print_object(all, fields_of(all, {}), "events");
  return kExitOk;
}

int secrets(Session& session) {
  const Json found = session.api().get("/v1/secrets");
  Fields fields = {{"key",
                    {found.value("key", Json()).is_null() ? "none: secrets are stored in plain"
                                                          : member_text(found, "key")}},
                   {"in plain", {member_text(found, "plain")}}};
  for (const Json& key : found.value("encrypted", Json::array()))
    fields.push_back({"with " + member_text(key, "id"), {member_text(key, "secrets")}});
  session.print_object(found, fields, "key");
  return kExitOk;
}

int encrypt(Session& session) {
  std::int64_t changed = 0;
  for (Json next = 0; !next.is_null();) {
    const Json step = session.api().post("/v1/secrets/encrypt", Json{{"after", next}}.dump());
    changed += step.value("endpoints", std::int64_t{0});
    next = next_step(step, next);
  }
  session.print_object({{"endpoints", changed}}, {{"endpoints changed", {std::to_string(changed)}}},
                       "endpoints");
  return kExitOk;
}

}  // namespace

void add_db(CLI::App& app, Session& session) {
  CLI::App* group =
      add_group(app, "db", "info, check, backup, prune, migrate, secrets, encrypt, copy, adopt");
  group->group(kRun);
  auto o = std::make_shared<Options>();
  add_command(*group, "info", "The database: where, how large, which schema")->callback([&session] {
    session.action = [&session] { return info(session); };
  });

  add_command(*group, "secrets", "With which keys the endpoints' secrets are encrypted on disk")
      ->callback([&session] { session.action = [&session] { return secrets(session); }; });
  add_command(
      *group, "encrypt",
      "Encrypt every secret with the first key of [store] secrets_key_file, also those of earlier keys")
      ->callback([&session] { session.action = [&session] { return encrypt(session); }; });
  CLI::App* check_command = add_command(
      *group, "check",
      "Is the database whole? Reads all of it; works with and without the daemon; changes nothing",
      "outboxctl db check");
  check_command->add_flag("--quick", o->quick,
                          "Do not compare indexes with tables, nor events with their checksums");
  CLI::App* backup_command = add_command(
      *group, "backup", "Copy the database as of one moment, while the daemon goes on, and check the copy",
      "outboxctl db backup /var/backups/outbox-$(date +%F).db");
  backup_command->add_option("FILE", o->target, "Must not exist; readable by its owner only")->required();
  CLI::App* prune_command = add_command(*group, "prune", "Delete now what retention would delete, or more",
                                        "outboxctl db prune --delivered 1d --yes");
  prune_command
      ->add_option("--delivered", o->delivered, "Keep delivered and discarded deliveries for so long")
      ->type_name("DURATION");
  prune_command->add_option("--dead", o->dead, "Keep dead letters for so long")->type_name("DURATION");
  prune_command->add_flag("--yes", o->yes, "Do not ask");
  CLI::App* migrate_group = add_group(*group, "migrate", "status, up");
  CLI::App* status_command =
      add_command(*migrate_group, "status", "Which schema the database has; exit status 1 if not the newest");
  CLI::App* up_command = add_command(
      *migrate_group, "up",
      "Bring it to this program's schema; stop the daemon before. (It does so itself at its start)");

  CLI::App* copy_command = add_command(
      *group, "copy",
      "Move everything from SQLite's file into an empty PostgreSQL database, or back, and compare every row; "
      "no outboxd may run on either. Goes on where an earlier one was interrupted",
      "outboxctl db copy --from sqlite:///var/lib/outboxd/outbox.db --to "
      "postgresql://outboxd@db.corp/outboxd");
  copy_command->add_option("--from", o->from, "What there is")->required()->type_name("URL");
  copy_command->add_option("--to", o->to, "A new file, or an empty database")->required()->type_name("URL");
  copy_command->callback([&session, o] { session.action = [&session, o] { return copy(session, *o); }; });
  CLI::App* adopt_command = add_command(
      *group, "adopt",
      "Let a copy of a PostgreSQL database, restored on another server, be served: it is refused until then, "
      "because the original may send the same",
      "outboxctl db adopt --yes");
  adopt_command->add_flag("--yes", o->yes, "Do not ask");

  for (CLI::App* command : {check_command, backup_command, status_command, up_command, adopt_command})
    add_config_option(*command, o->config);
  check_command->callback([&session, o] { session.action = [&session, o] { return check(session, *o); }; });
  backup_command->callback([&session, o] { session.action = [&session, o] { return backup(session, *o); }; });
  prune_command->callback([&session, o] { session.action = [&session, o] { return prune(session, *o); }; });
  status_command->callback(
      [&session, o] { session.action = [&session, o] { return migrate_status(session, *o); }; });
  adopt_command->callback([&session, o] { session.action = [&session, o] { return adopt(session, *o); }; });
  up_command->callback([&session, o] { session.action = [&session, o] { return migrate_up(session, *o); }; });
}

}  // namespace outboxd::ctl
