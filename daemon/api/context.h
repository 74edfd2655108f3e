// What the API's handlers work with. The app fills one in and keeps it, unchanged, for as long as requests
// are served. What the API changes it changes in the store alone; the functions here ask, and may be called from any
// thread, and none may block.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/attempt_feed.h"
#include "api/reader_pool.h"
#include "common/clock.h"
#include "common/endpoint_url.h"
#include "ingest/endpoint_directory.h"
#include "ingest/ingest.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd::api {

// How delivery is doing, by what the delivery loops know and by what is due in the store.
struct DeliveryStatus {
  struct Lane {
    EndpointId endpoint;
    std::optional<Millis> oldest_due_age;  // absent: nothing has been due for a second
    std::int64_t backlog = 0;              // pending deliveries, counted up to 1,000
    int in_flight = 0;
    int consecutive_failures = 0;
    std::string last_error;  // an outcome class; empty: none
  };
  std::optional<std::int64_t> in_flight;  // absent: a loop has said nothing in time
  std::optional<Millis> oldest_due_age;   // whatever holds it back; absent: nothing is due
  std::vector<Lane> worst_endpoints;      // at most ten: longest due first, then most failures
};

// What cannot be seen of the daemon from outside: with what it runs.
struct DaemonSetup {
  std::int64_t pid = 0;
  std::string config_file;                             // "": there was none
  std::string database;                                // its path
  std::int64_t free_disk = 0;                          // below so many bytes new events are refused
  std::int64_t open_files = 0, open_files_wanted = 0;  // the limit, and what the configuration may need
  std::string tcp;                                     // "": not over TCP
  bool asks_for_tokens = false;
  std::vector<std::pair<std::string, std::string>> private_files;  // the configuration's key, the path
  std::vector<std::string> name_servers;
};

// What POST /v1/prune wants kept; absent: as configured.
struct PrunePeriods {
  std::optional<Millis> delivered, dead;
};

// A step of encrypting secrets in place.
struct SecretsEncrypted {
  std::int64_t endpoints = 0;       // that were not encrypted, or with another key
  std::optional<EndpointSeq> next;  // the last one looked at; absent: there are no more
};

struct Context {
  Ingest& ingest;
  const EndpointDirectory& directory;
  GroupCommit& commits;
  const Clock& clock;
  UuidGenerator& ids;
  telemetry::Metrics& metrics;
  ReaderPool& readers;
  const AttemptFeed& attempts;

  // Shown by GET /v1/status. The URL holds no password.
  std::string store_url = {};
  std::vector<std::string> listeners = {};
  Time started_at = {};

  // Sends one signed attempt of an event that is in no store; the callback may run on any thread.
  std::function<void(EndpointPtr, Event, std::function<void(Attempt)>)> send_test = {};
  // What the delivery loops know, for /v1/status and /metrics. Nobody waits for a loop: the callback runs on one of
  // their threads, or without what they know on another when they take too long. What it is given makes the numbers;
  // that is work for a worker (Exchange::resume).
  template <class T>
  using Asked = std::function<void(std::function<T()> make)>;
  std::function<void(Asked<DeliveryStatus>)> ask_delivery_status = {};
  std::function<void(Asked<telemetry::Snapshot>)> ask_snapshot = {};
  std::function<DaemonSetup()> setup = {};
  // One step of retention, from there on (store/commands.h, Prune); the callback runs on the writer thread.
  std::function<void(const PrunePeriods&, DeliveryKey after, std::function<void(Result<Pruned>)>)> prune = {};
  // One step behind that endpoint; the callback runs on the writer thread.
  std::function<void(EndpointSeq after, std::function<void(Result<SecretsEncrypted>)>)> encrypt_secrets = {};
  // Would a request to this URL, with these TLS files, be sent now? kBlocked and kTls: no; all else: yes, or that is not
  // known yet. `denial`: with kBlocked, what was denied and which setting would allow it, for operators alone. The
  // callback runs on a delivery loop.
  using Preflighted = std::function<void(Outcome, const std::string& error, const std::string& denial)>;
  std::function<void(EndpointUrl, EndpointTls, Preflighted)> preflight = {};
  // Of the key that encrypts secrets on disk; "": none is configured.
  std::string secrets_key = {};
  // Why the daemon should get no traffic now; nullopt: it is ready.
  std::function<std::optional<std::string>()> why_not_ready = {};
};

}  // namespace outboxd::api
