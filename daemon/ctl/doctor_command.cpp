// `doctor`: what is wrong with this installation, and how to mend it. Looks, and changes nothing.
#include <netdb.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>

#include "common/endpoint_url.h"
#include "common/text.h"
#include "ctl/commands.h"
#include "ctl/configuration.h"
#include "ctl/status.h"
#include "version.h"

namespace outboxd::ctl {
namespace {

constexpr std::int64_t kLargeWal = 64 << 20;
constexpr std::int64_t kOtherFiles = 256;  // descriptors besides those of attempts and connections
constexpr std::size_t kHostsAsked = 20;
constexpr const char* kCertificates = "/etc/ssl/certs/ca-certificates.crt";

struct Options {
  std::optional<std::string> config;
  bool full = false;
};

class Doctor {
 public:
  Doctor(Session& session, const config::Config& config, bool full)
      : session_(session), config_(config), path_(config.store.path()), full_(full) {}

  std::vector<Json> examine() {
    files();
    disk();
    integrity();
    daemon();
    limits();
    clock();
    names();
    certificates();
    callers();
    secrets();
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
  void good(const std::string& what, const std::string& found) { add("ok", what, found, ""); }
  void warn(const std::string& what, const std::string& found, const std::string& mend) {
    add("warning", what, found, mend);
  }
  void bad(const std::string& what, const std::string& found, const std::string& mend) {
    healthy_ = false;
    add("wrong", what, found, mend);
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
    if (free < config_.retention.free_disk) {
      bad("disk", found + ", less than retention.free_disk: new events are refused",
          "make room, shorten [retention], or run outboxctl db prune");
    } else if (free < 4 * config_.retention.free_disk) {
      warn("disk", found, "new events are refused below " + bytes_text(config_.retention.free_disk));
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
        return bad("integrity", problems.front(), "outboxctl db check; README, \"Backup and restore\"");
      }
      good("integrity",
           full_ ? "whole" : "whole, as far as a quick check sees (--full: compares indexes too)");
    } catch (const DatabaseFailure& failure) {
      bad("database", failure.what(),
          "run as root or as the user outboxd; README, \"Exit status of the daemon\"");
    }
  }

  void daemon() {
    try {
      const Json status = session_.api().get("/v1/status");
      const std::string version = member_text(status, "version");
      if (version != OUTBOXD_VERSION) {
        warn("daemon", "version " + version + " runs, outboxctl is " OUTBOXD_VERSION, "restart outboxd");
      } else {
        good("daemon", "version " + version + " answers");
      }
      if (const auto why = why_unhealthy(status))
        warn("deliveries", *why, "outboxctl failures, outboxctl endpoint list");
      else
        good("deliveries", "none is late");
      if (const Json rejected = status.value("outbox_rejected", Json(0)); rejected != 0)
        warn("SQL outbox", rejected.dump() + " rejected rows", "outboxctl event list --rejected");
      session_.api().get("/readyz");
    } catch (const Failure& failure) {
      bad("daemon", failure.what(), "systemctl status outboxd; journalctl -u outboxd");
    }
  }

  // Of the running daemon, which may have been given others than this shell.
  void limits() {
    std::ifstream lock(path_ + ".lock");
    std::string pid;
    if (!std::getline(lock, pid)) return;
    std::ifstream file("/proc/" + pid + "/limits");
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("Max open files")) continue;
      const std::int64_t limit =
          std::strtoll(line.c_str() + std::string_view("Max open files").size(), nullptr, 10);
      const std::int64_t wanted =
          3 * config_.delivery.max_in_flight + config_.limits.connections + kOtherFiles;
      const std::string found = std::to_string(limit) + " open files";
      if (limit < wanted) {
        return warn("limits", found + ", " + std::to_string(wanted) + " may be needed",
                    "LimitNOFILE= in the unit, or lower delivery.max_in_flight and limits.connections");
      }
      return good("limits", found);
    }
  }

  void clock() {
    timex state{};
    const int answer = adjtimex(&state);
    if (answer == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
      return warn(
          "clock", "the kernel's clock is not synchronised",
          "run systemd-timesyncd or chrony: subscribers refuse signatures whose timestamp is minutes off");
    }
    good("clock", "synchronised");
  }

  void names() {
    std::set<std::string> hosts;
    try {
      const Json page = session_.api().get("/v1/endpoints?limit=250");
      for (const Json& endpoint : page.value("data", Json::array())) {
        const auto url = parse_endpoint_url(member_text(endpoint, "url"));
        if (url && !url->host_is_address && hosts.size() < kHostsAsked) hosts.insert(url->host);
      }
    } catch (const Failure&) {
      return;  // the daemon's row says so
    }
    std::string failed;
    for (const std::string& host : hosts) {
      addrinfo* found = nullptr;
      if (const int error = getaddrinfo(host.c_str(), nullptr, nullptr, &found); error != 0)
        failed += (failed.empty() ? "" : ", ") + host + " (" + gai_strerror(error) + ")";
      else
        freeaddrinfo(found);
    }
    if (!failed.empty()) {
      return warn("DNS", "no address for " + failed, "look at /etc/resolv.conf, or at the endpoint's URL");
    }
    good("DNS", hosts.empty() ? "no endpoint has a name"
                              : std::to_string(hosts.size()) + " hosts of endpoints have addresses");
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
    private_file("listen.tokens_file", config_.listen.tokens_file);
    private_file("listen.tls_key", config_.listen.tls_key);
    if (config_.listen.tcp.empty()) return good("callers", "by Unix sockets alone");
    if (config_.listen.tokens_file.empty()) {
      return warn("callers",
                  "whoever is on this machine may send events to " + config_.listen.tcp + " (and no more)",
                  "set [listen] tokens_file and outboxctl token create, or [listen] tcp = \"\"");
    }
    good("callers", "tokens are asked for at " + config_.listen.tcp);
  }

  void secrets() {
    private_file("store.secrets_key_file", config_.store.secrets_key_file);
    try {
      const Json found = session_.api().get("/v1/secrets");
      const bool has_key = !found.value("key", Json()).is_null();
      const std::string key = member_text(found, "key");
      std::int64_t others = 0;
      for (const Json& one : found.value("encrypted", Json::array()))
        if (member_text(one, "id") != key) others += one.value("secrets", std::int64_t{0});
      const auto plain = found.value("plain", std::int64_t{0});
      if (!has_key) {
        return warn("secrets",
                    std::to_string(plain) + " signing secrets are stored in plain, and no key is configured",
                    "set [store] secrets_key_file, restart, outboxctl db encrypt (README, \"Security\")");
      }
      if (plain + others > 0) {
        return warn(
            "secrets",
            std::to_string(plain) + " are in plain, " + std::to_string(others) + " have an earlier key",
            "outboxctl db encrypt");
      }
      good("secrets", "encrypted with " + key);
    } catch (const Failure&) {
      // the daemon's row says so
    }
  }

  Session& session_;
  const config::Config& config_;
  const std::string path_;
  const bool full_;
  bool healthy_ = true;
  std::vector<Json> rows_;
};

Cell result_cell(const Json& row, const Style&) {
  const std::string result = member_text(row, "result");
  return {result, result == "ok" ? Tint::kGood : result == "wrong" ? Tint::kBad : Tint::kWarn};
}

int run_doctor(Session& session, const Options& options) {
  const config::Loaded loaded = load_configuration(session, options.config);
  Doctor doctor(session, loaded.config, options.full);
  const auto rows = doctor.examine();
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
