// `doctor`: what is wrong with this installation, and how to mend it. It only looks, and changes nothing.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "common/secret_file.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/configuration.h"
#include "ctl/doctor_findings.h"
#include "ctl/doctor_server.h"
#include "ctl/doctor_setup.h"
#include "ctl/listing.h"
#include "ctl/socket_access.h"
#include "ctl/status.h"
#include "version.h"

namespace outboxd::ctl {
namespace {

constexpr std::int64_t kLargeWal = 64 << 20;
constexpr const char* kCertificates = "/etc/ssl/certs/ca-certificates.crt";

struct Options {
  std::optional<std::string> config;
  bool full = false;
};

class Doctor {
 public:
  Doctor(Session& session, Setup setup, bool full)
      : session_(session),
        setup_(std::move(setup)),
        path_(setup_.database),
        ingest_socket_(setup_.ingest_socket),
        full_(full) {}

  std::vector<Json> examine(const Options& options) {
    configuration(options);
    if (!path_.empty()) {  // otherwise the store is on a server, which the daemon tells of
      files();
      disk();
      integrity();
    }
    daemon();
    ingest_socket();
    limits();
    clock();
    names();
    certificates();
    callers();
    secrets();
    sources();
    return std::move(rows_);
  }
  bool healthy() const { return healthy_; }

 private:
  void add(const char* result, const std::string& what, const std::string& found, const std::string& mend) {
    rows_.push_back({{"check", what},
                     {"result", result},
                     {"found", found},
                     {"mend", mend.empty() ? Json(nullptr) : Json(mend)}});
  }
  void add(const Finding& finding) {
    finding.good ? good(finding.what, finding.found) : warn(finding.what, finding.found, finding.mend);
  }
  void add(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) add(finding);
  }
  void good(const std::string& what, const std::string& found) { add("ok", what, found, ""); }
  void warn(const std::string& what, const std::string& found, const std::string& mend) {
    add("warning", what, found, mend);
  }
  void bad(const std::string& what, const std::string& found, const std::string& mend) {
    healthy_ = false;
    add("wrong", what, found, mend);
  }

  // The daemon may use another file than the one found here, or a file that has changed since.
  void configuration(const Options& options) {
    if (setup_.told.is_null()) return good("configuration", options.config.value_or(config::kDefaultFile));
    const std::string runs_with = path_in(setup_.told, "config_file");
    const std::string found =
        runs_with.empty() ? "outboxd runs without a file" : "outboxd runs with " + runs_with;
    std::error_code error;
    if (options.config && !runs_with.empty() &&
        !std::filesystem::equivalent(*options.config, runs_with, error)) {
      return warn("configuration", found + ", not with " + *options.config,
                  "give doctor the file that outboxd is started with, or outboxd this one (--config)");
    }
    if (runs_with.empty()) return good("configuration", found);
    const auto loaded = config::load(configuration_sources(runs_with));
    if (!loaded) {
      return bad("configuration", found + ", which has errors: " + loaded.error().front(),
                 "outboxctl config check --config " + runs_with + " before it is started again");
    }
    ingest_socket_ = loaded->config.listen.ingest_socket;
    good("configuration", found);
  }

  std::string folder() const { return std::filesystem::path(path_).parent_path().string(); }

  void files() {
    struct stat file {};
    if (stat(folder().c_str(), &file) != 0) {
      return bad("permissions", "there is no folder " + folder(),
                 "run systemd-tmpfiles --create, or set [store] url");
    }
    if ((file.st_mode & S_IWOTH) != 0)
      return bad("permissions", "everybody may write to " + folder(), "chmod o-w " + folder());
    if (stat(path_.c_str(), &file) != 0)
      return warn("permissions", "there is no " + path_ + " yet", "the daemon makes it at its first start");
    if ((file.st_mode & S_IRWXO) != 0)
      return bad("permissions", "everybody may open " + path_ + ", which holds signing secrets",
                 "chmod 0660 " + path_);
    if ((file.st_mode & (S_IRGRP | S_IWGRP)) != (S_IRGRP | S_IWGRP)) {
      return warn("permissions", "the group may not write to " + path_,
                  "chmod 0660 " + path_ + ", if SQL producers are to use it");
    }
    good("permissions", path_);
  }

  void disk() {
    struct statvfs disk {};
    if (statvfs(folder().c_str(), &disk) != 0) return;
    const auto free = static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
    const std::string found = bytes_text(free) + " free at " + folder();
    if (free < setup_.free_disk) {
      bad("disk", found + ", less than retention.free_disk: new events are refused",
          "make room, shorten [retention], or run outboxctl db prune");
    } else if (free < 4 * setup_.free_disk) {
      warn("disk", found, "new events are refused below " + bytes_text(setup_.free_disk));
    } else {
      good("disk", found);
    }
    std::error_code error;
    const auto wal = std::filesystem::file_size(path_ + "-wal", error);
    if (error) return;
    if (static_cast<std::int64_t>(wal) > kLargeWal) {
      warn("write-ahead log", bytes_text(static_cast<std::int64_t>(wal)),
           "a process reads the database for long (lsof " + path_ + "), or [store] checkpoint is external");
    } else {
      good("write-ahead log", bytes_text(static_cast<std::int64_t>(wal)));
    }
  }

  void integrity() {
    if (!std::filesystem::exists(path_)) return;
    try {
      const DatabaseSchema schema = session_.tools.schema(path_);
      const std::string found = "schema " + std::to_string(schema.current);
      if (schema.current > schema.known) {
        return bad("schema", found + ", this program knows " + std::to_string(schema.known),
                   "install the outboxd that it was last used with, or a newer one");
      }
      if (schema.current < schema.known) {
        return warn("schema", found + ", the newest is " + std::to_string(schema.known),
                    "restart outboxd: it migrates at its start");
      }
      good("schema", found);
      const auto problems = session_.tools.check(path_, !full_);
      if (!problems.empty()) {
        return bad("integrity", problems.front(),
                   "outboxctl db check; docs/operations.md, \"Backup and restore\"");
      }
      good("integrity",
           full_ ? "whole" : "whole, as far as a quick check sees (--full: compares indexes too)");
    } catch (const DatabaseFailure& failure) {
      bad("database", failure.what(),
          "run as root or as the user outboxd; docs/operations.md, \"Exit status of the daemon\"");
    }
  }

  void daemon() {
    try {
      session_.api().get("/readyz");  // if not, it says why
      status_ = session_.api().get("/v1/status");
      const std::string version = member_text(status_, "version");
      if (version != OUTBOXD_VERSION) {
        warn("daemon", "version " + version + " runs, outboxctl is " OUTBOXD_VERSION, "restart outboxd");
      } else {
        good("daemon", "version " + version + " answers");
      }
      if (const auto why = why_unhealthy(status_))
        warn("deliveries", *why, "outboxctl failures, outboxctl endpoint list");
      else
        good("deliveries", "none is late");
      if (const Json rejected = status_.value("outbox_rejected", Json(0));
          rejected.is_number() && rejected > 0)
        warn("SQL outbox", rejected.dump() + " rejected rows", "outboxctl outbox list --rejected");
      // A caller of one tenant is not told of the store.
      if (const Json store = status_.value("store", Json()); store.is_object() && store.contains("wal_bytes"))
        add(finding_of_log(status_));
      add(findings_of_members(status_));
      add(findings_of_server(status_));
      const ListOptions all{.limit = kMaxListed, .cursor = {}};
      const Listed endpoints = fetch_list(session_.api(), Path("/v1/endpoints").with("stats", "true"), all);
      const Time now = session_.style().now;
      add(findings_of_endpoints(endpoints.rows, now));
      add(findings_of_certificates(endpoints.rows, now));
      const ListOptions page{.limit = kMaxPage, .cursor = {}};
      const Listed unmatched =
          fetch_list(session_.api(), Path("/v1/events").with("unmatched", "true").with("since", "1h"), page);
      add(findings_of_unmatched(unmatched.rows, unmatched.next_cursor.is_string(), endpoints.rows));
    } catch (const Failure& failure) {
      if (const auto denied = why_socket_denied(session_.api().options().socket))
        return bad("daemon", denied->found, denied->mend);
      bad("daemon", failure.what(), "systemctl status outboxd; journalctl -u outboxd");
      server();
    }
  }

  // Of a daemon that does not answer: perhaps it waits for its server, or ended because of it.
  void server() {
    if (setup_.server.empty()) return;
    try {
      good("database", session_.tools.examine(setup_.server));
    } catch (const DatabaseFailure& failure) {
      bad("database", failure.what(),
          "docs/several-machines.md; doctor connects as the user who calls it: sudo -u outboxd outboxctl "
          "doctor");
    }
  }

  // The one for producers. Of the operators' own the daemon's row says it.
  void ingest_socket() {
    if (const auto denied = why_socket_denied(ingest_socket_))
      warn("ingest socket", denied->found, denied->mend);
  }

  void limits() {
    if (setup_.told.is_null()) return;
    const Json open_files = setup_.told.value("open_files", Json::object());
    const std::int64_t limit = number(open_files, "limit"), wanted = number(open_files, "wanted");
    const std::string found = std::to_string(limit) + " open files";
    if (limit < wanted) {
      return warn("limits", found + ", " + std::to_string(wanted) + " may be needed",
                  "LimitNOFILE= in the unit, or lower delivery.max_in_flight and limits.connections");
    }
    good("limits", found);
  }

  void clock() {
    timex state{};
    const bool synchronised = adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    add(findings_of_clock(synchronised, status_, session_.style().now));
  }

  // Whether names resolve as the daemon sees it, with its own name servers.
  void names() {
    if (setup_.told.is_null()) return;
    std::string servers;
    for (const Json& server : list(setup_.told, "name_servers"))
      servers +=
          (servers.empty() ? "" : ", ") + (server.is_string() ? server.get<std::string>() : dump(server));
    const std::string asked = " (asked: " + (servers.empty() ? "no name server" : servers) + ")";
    if (setup_.told.contains("hosts") && setup_.told["hosts"].is_null())
      return warn("DNS", "hosts of endpoints are looked up for operators only",
                  "use the admin socket, or a token of scope admin");
    const std::vector<Json> hosts = list(setup_.told, "hosts");
    std::size_t wrong = 0;
    for (const Json& host : hosts) {
      const std::string outcome = member_text(host, "outcome"), error = member_text(host, "error");
      if (outcome == "success") continue;
      ++wrong;
      const std::string found = member_text(host, "host") + ": " + (error == "-" ? outcome : error);
      if (outcome == "blocked") {
        warn("policy", found,
             "set [policy] to allow it, or correct the endpoint " + member_text(host, "endpoint"));
      } else if (outcome == "tls") {
        warn("TLS", found, "look at the tls files of the endpoint " + member_text(host, "endpoint"));
      } else {
        warn("DNS", found + asked,
             "look at [delivery] dns_servers and /etc/resolv.conf, or at the endpoint's URL");
      }
    }
    if (wrong > 0) return;
    good("DNS", (hosts.empty() ? "no endpoint has a name"
                               : std::to_string(hosts.size()) + " hosts of endpoints are found") +
                    asked);
  }

  void certificates() {
    std::error_code error;
    if (std::filesystem::file_size(kCertificates, error) == 0 || error) {
      return bad("TLS", std::string("no certificate authorities in ") + kCertificates,
                 "install the package ca-certificates");
    }
    good("TLS", std::string("certificate authorities in ") + kCertificates);
  }

  void private_file(const std::string& key, const std::string& name) {
    struct stat file {};
    if (!name.starts_with('/') || stat(name.c_str(), &file) != 0) return;
    if ((file.st_mode & S_IRWXO) != 0)
      bad("permissions", "everybody may open " + name + " (" + key + ")", "chmod 0640 " + name);
  }

  void callers() {
    for (const auto& [key, path] : setup_.private_files) private_file(key, path);
    if (setup_.tcp.empty()) return good("callers", "by Unix sockets alone");
    if (!setup_.asks_for_tokens) {
      return warn("callers", "whoever is on this machine may send events to " + setup_.tcp + " (and no more)",
                  "set [listen] tokens_file and outboxctl token create, or [listen] tcp = \"\"");
    }
    good("callers", "tokens are asked for at " + setup_.tcp);
  }

  // Null: there is no answer, and the daemon's row says so.
  Json told(const char* path) try { return session_.api().get(path); } catch (const Failure&) {
    return nullptr;
  }

  void secrets() {
    if (const Json answer = told("/v1/secrets"); !answer.is_null()) add(finding_of_secrets(answer));
  }

  void sources() { add(findings_of_sources(list(told("/v1/sources"), "data"), session_.style().now)); }

  Session& session_;
  const Setup setup_;
  const std::string path_;
  std::string ingest_socket_;
  const bool full_;
  bool healthy_ = true;
  std::vector<Json> rows_;
  Json status_;  // null: the daemon does not answer
};

Cell result_cell(const Json& row, const Style&) {
  const std::string result = member_text(row, "result");
  return {result, result == "ok" ? Tint::kGood : result == "wrong" ? Tint::kBad : Tint::kWarn};
}

// Prefers what the daemon says. If it cannot be asked, the doctor's row about the daemon says why.
Setup find_setup(Session& session, const Options& options) try {
  return setup_told(session.api().get("/v1/setup"));
} catch (const Failure& failure) {
  if (failure.exit_code == kExitUsage) throw;
  return setup_of(load_configuration(session, options.config).config);
}

int run_doctor(Session& session, const Options& options) {
  Doctor doctor(session, find_setup(session, options), options.full);
  const auto rows = doctor.examine(options);
  session.print_rows(
      {column("CHECK", "check"), {"RESULT", result_cell}, column("FOUND", "found"), column("MEND", "mend")},
      rows, nullptr, "check");
  return doctor.healthy() ? kExitOk : kExitFailed;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "doctor",
                  "What is wrong with this installation, and how to mend it; exit status 1 if something is",
                  "outboxctl doctor --full");
  command->group(kLook);
  auto o = std::make_shared<Options>();
  add_config_option(*command, o->config);
  command->add_flag("--full", o->full, "Check the whole database, indexes included");
  command->callback([&session, o] { session.action = [&session, o] { return run_doctor(session, *o); }; });
}

}  // namespace outboxd::ctl
