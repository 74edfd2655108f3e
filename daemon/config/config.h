// outboxd's configuration: what it holds, and how it is put together from files, environment and flags. Only app, main
// and `outboxctl config` see it; every module takes its own Options. It holds no secrets: those come from files that it
// names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "common/retry_schedule.h"
#include "common/time.h"
#include "telemetry/log.h"

namespace outboxd::config {

inline constexpr const char* kDefaultFile = "/etc/outboxd/outboxd.toml";

// The defaults are these initialisers; bounds and documentation of each key are in keys.cpp.
struct Config {
  struct Store {
    std::string url = "sqlite:///var/lib/outboxd/outbox.db";
    bool is_sqlite() const;
    std::string path() const;  // of a sqlite:// URL; of any other: ""
    std::string checkpoint = "auto";
    std::string commit_delay = "auto";
    std::optional<Millis> longest_commit_delay() const;  // absent: auto
    std::string secrets_key_file;
  } store;
  struct Listen {
    std::string ingest_socket = "/run/outboxd/ingest.sock";
    std::string ingest_group = "outboxd-ingest";
    std::string admin_socket = "/run/outboxd/admin.sock";
    std::string admin_group = "outboxd-admin";
    std::string tcp = "127.0.0.1:8877";
    std::string tokens_file;
    std::string tls_cert;
    std::string tls_key;
    std::vector<std::string> allowed_hosts;
  } listen;
  struct Ingest {
    std::vector<std::string> event_types;  // patterns; empty: any
  } ingest;
  struct Delivery {
    Millis timeout{20'000};
    Millis connect_timeout{5'000};
    std::vector<Millis> retry_schedule = default_retry_schedule();
    std::int64_t max_in_flight = 20'000;
    std::int64_t max_in_flight_per_endpoint = 32;
    std::int64_t threads = 1;
    std::string proxy;
    std::string user_agent;  // "": outboxd/<version>
    std::string dns_servers;
    Millis stop_timeout{20'000};
    bool store_responses = true;
  } delivery;
  struct Policy {
    bool allow_http = false;
    std::vector<std::string> allow_networks;  // CIDR, checked
    std::vector<std::string> deny_networks;
    std::vector<std::uint16_t> ports = {80, 443};
    std::vector<std::string> allow_hosts;
  } policy;
  struct Limits {
    std::int64_t event_bytes = 1 << 20;
    std::int64_t request_bytes = 16 << 20;
    std::int64_t queue = 8192;
    std::int64_t backlog = 100'000;  // 0: never high
    std::int64_t connections = 4096;
    std::int64_t connections_per_peer = 1024;
    Millis idempotency_window = std::chrono::hours(24);
  } limits;
  struct Retention {
    Millis delivered = std::chrono::days(7);
    Millis dead = std::chrono::days(30);
    Millis payload{0};  // 0: as long as the event
    std::int64_t free_disk = 256 << 20;
    std::int64_t ballast = 8 << 20;
  } retention;
  struct Source {  // an application's own database, whose outbox is relayed
    std::string name, url;
    bool is_sqlite() const;
    std::string path() const;      // of SQLite's file
    std::string database() const;  // the file's path, or the URL
  };
  std::vector<Source> sources;
  struct Dashboard {
    bool payloads = true;
  } dashboard;
  struct Log {
    log::Level level = log::Level::kInfo;
    log::Format format = log::Format::kAuto;
  } log;
};

struct Sources {
  std::string file = kDefaultFile;
  bool file_required = false;  // named by the user, so it must exist
  // Each {name, value}. Environment: OUTBOXD_<SECTION>__<KEY>; overrides: "section.key". Lists are separated
  // by commas.
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::pair<std::string, std::string>> overrides;
};

// The variables of the process's environment that are meant for the configuration.
std::vector<std::pair<std::string, std::string>> environment_of_process();

// Where a value came from.
struct Origin {
  std::string source = "default";  // a file's path, "environment OUTBOXD_…", "--set section.key"
  int line = 0, column = 0;        // in a file
  std::string text() const;        // "default", "/etc/outboxd/outboxd.toml:12:9"
};

struct Loaded {
  Config config;
  // "section.key", those that are not the default; "source.NAME"
  std::map<std::string, Origin> origins;
};

// Reads the file, then conf.d/*.toml beside it by name, then the environment, then the overrides; later values win. On
// failure returns all errors, each "origin: section.key: what is wrong; what is expected", in the order of the sources.
tl::expected<Loaded, std::vector<std::string>> load(const Sources& sources);

// Every key with its value as TOML writes it, in the order of the documentation.
struct Setting {
  std::string section, key, value, origin;
  std::size_t element = 0;  // of an array of tables, from 1; 0: the section is none

  std::string header() const;  // "[store]", "[[source]]"
  std::string id() const;      // "store.url", "source[1].url"
};
// As a configuration file; a header stands before each section and each element.
std::string as_toml(const std::vector<Setting>& settings, bool with_origins);
std::vector<Setting> settings(const Loaded& loaded);

std::string example_file();  // systemd/outboxd.toml
std::string man_page();      // outboxd.toml(5)
std::string reference();     // the keys in README.md of this folder

}  // namespace outboxd::config
