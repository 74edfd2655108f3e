// What the API's handlers work with. The app fills one in and keeps it unchanged as long as requests are served. The
// API changes nothing but the store. The functions here may be called from any thread, and none may block.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/attempt_feed.h"
#include "api/audit_log.h"
#include "api/exchange.h"
#include "api/reader_pool.h"
#include "common/clock.h"
#include "common/endpoint_url.h"
#include "common/json.h"
#include "common/partition.h"
#include "common/waiting.h"
#include "ingest/batch_targets.h"
#include "ingest/endpoint_directory.h"
#include "ingest/ingest.h"
#include "ingest/relay.h"
#include "store/clock_steps.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd::api {

class Authenticator;  // auth.h

// What the lane of an endpoint does, as its delivery loop sees it.
struct LaneView {
  int in_flight = 0;
  int consecutive_failures = 0;
  bool breaker_open = false;
  // What those of its deliveries wait for that are due, first in their order and not under way.
  Waiting holds = {};
  std::vector<EventSeq> under_way;  // their deliveries are being sent or recorded; sorted
  struct Failure {
    std::string error;
    int status = 0;  // 0: there was no answer
    Time at{};
  };
  std::optional<Failure> last_failure;  // since the start, or since the receiver was changed
  // Of the certificate it showed last; absent: none since the start, or since its URL was changed.
  std::optional<Time> certificate_expires_at = {};
};
// Of endpoints that are failing, sending or held back, or have shown a certificate; what is due at any other one is about
// to be sent, if its partition is among `owned`. Of the others' endpoints nothing is known here.
struct LaneViews : std::unordered_map<EndpointSeq, LaneView> {
  using std::unordered_map<EndpointSeq, LaneView>::unordered_map;
  PartitionSet owned = PartitionSet().set();
};
// Absent: a loop did not answer in time.
using Lanes = std::optional<LaneViews>;
inline bool is_known(EndpointSeq endpoint, const Lanes& lanes) {
  return lanes && lanes->owned.test(static_cast<std::size_t>(partition_of(endpoint)));
}

// How delivery is doing, from what the delivery loops know and from what is due in the store.
struct DeliveryStatus {
  struct Lane {
    EndpointId endpoint;
    std::optional<Millis> oldest_due_age;  // absent: nothing has been due for a second
    std::int64_t backlog = 0;              // pending deliveries
    std::optional<Waiting> holds;          // what those that are due wait for; absent: not known
    // False: it is another daemon's, and of what follows only failing_since is known.
    bool is_ours = true;
    int in_flight = 0;
    int consecutive_failures = 0;
    std::string last_error;                  // an outcome class; empty: none
    int last_status = 0;                     // with last_error; 0: there was no answer
    std::optional<Time> failing_since = {};  // every attempt since then has failed
  };
  std::optional<std::int64_t> in_flight;     // of this daemon; absent: a loop did not answer in time
  std::optional<Millis> oldest_due_age;      // whatever holds it back; absent: nothing is due
  std::vector<Lane> worst_endpoints;         // at most ten: longest due first, then most failures
  std::vector<Lane> failing_endpoints = {};  // at most ten: most failures in a row first, then most pending
  std::array<std::int64_t, kWaitingFors> waiting = {};  // pending deliveries, by what they wait for
  // Otherwise those of `waiting` that wait for their time or their order are not all counted as such.
  bool waiting_complete = true;
  DeliveryCounts deliveries = {};  // of the endpoints that there are
};

// How the running daemon is set up, which cannot be seen from outside.
struct DaemonSetup {
  std::int64_t pid = 0;
  std::string config_file;                             // "": there was none
  std::string database;                                // its path
  std::int64_t free_disk = 0;                          // new events are refused below this many bytes
  std::int64_t open_files = 0, open_files_wanted = 0;  // the limit, and what the configuration may need
  std::string tcp;                                     // "": not over TCP
  bool asks_for_tokens = false;
  std::vector<std::pair<std::string, std::string>> private_files;  // the configuration's key, the path
  std::vector<std::string> name_servers;
  struct Setting {
    std::string key;  // "store.url"
    Json value;
    std::string origin;  // "default", "/etc/outboxd/outboxd.toml:12:9"
  };
  std::vector<Setting> settings = {};  // all of the configuration, which holds no secret
  int partitions = 0;                  // that belong to this daemon, of kPartitions
  int members = 1;                     // daemons that share the store
};

// The request that an attempt would be.
struct PreparedRequest {
  std::string url;
  std::vector<HeaderField> headers;
  std::string body;
};

// How long POST /v1/prune shall keep deliveries; absent: as configured.
struct PrunePeriods {
  std::optional<Millis> delivered, dead;
};

// The result of one step of encrypting secrets in place.
struct SecretsEncrypted {
  std::int64_t endpoints = 0;       // re-encrypted: not encrypted before, or with another key
  std::optional<EndpointSeq> next;  // the last endpoint examined, to continue after; absent: that was all
};

struct NotReady {
  std::string why;                 // for load balancers, and so for anybody
  std::string for_operators = {};  // more of it: names hosts and roles; "": there is no more
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
  std::function<ClockSteps::Seen()> clock_steps = [] { return ClockSteps::Seen{}; };

  // Sends one signed attempt of an event that is not stored; the callback may run on any thread.
  std::function<void(EndpointPtr, Event, std::function<void(Attempt)>)> send_test = {};
  // The request that attempt `number` of this event to this endpoint would be, signed now. Sends nothing.
  std::function<Result<PreparedRequest>(const EndpointPtr&, const std::shared_ptr<const Event>&, int number)>
      prepare = {};
  // What the delivery loops know, for /v1/status and /metrics. No thread blocks on a loop: the callback runs on a
  // loop's thread, or, if the loops take too long, on another one and without their part. It is given a function that
  // computes the figures, which is work for a worker (Exchange::resume).
  template <class T>
  using Asked = std::function<void(std::function<T()> make)>;
  // Of one tenant's endpoints, or of all. What it tells may be a second old.
  std::function<void(const std::optional<std::string>& tenant, Asked<DeliveryStatus>)> ask_delivery_status =
      {};
  std::function<void(Asked<telemetry::Snapshot>)> ask_snapshot = {};
  // Only the lane of one endpoint, or all that there is anything to tell of.
  std::function<void(std::optional<EndpointSeq> only, Asked<Lanes>)> ask_lanes = {};
  std::function<std::vector<SourceStatus>()> sources = [] { return std::vector<SourceStatus>(); };
  const BatchTargets* batch_targets = nullptr;  // always set where batches are made
  std::function<DaemonSetup()> setup = {};
  std::shared_ptr<const AuditLog> audit = {};  // always set
  // One step of retention, starting after `after` (store/commands.h, Prune); the callback runs on the writer thread.
  std::function<void(const PrunePeriods&, DeliveryKey after, std::function<void(Result<Pruned>)>)> prune = {};
  // One step of encrypting secrets, starting after endpoint `after`; the callback runs on the writer thread.
  std::function<void(EndpointSeq after, std::function<void(Result<SecretsEncrypted>)>)> encrypt_secrets = {};
  // Would a request to this URL, with these TLS files, be sent now? kBlocked and kTls mean no; anything else means yes
  // or not known yet. With kBlocked, `denial` says what was denied and which setting would allow it; only operators may
  // see it. The callback runs on a delivery loop.
  using Preflighted = std::function<void(Outcome, const std::string& error, const std::string& denial)>;
  std::function<void(EndpointUrl, EndpointTls, Preflighted)> preflight = {};
  // The id of the key that encrypts secrets on disk; "": none is configured.
  std::string secrets_key = {};
  // Who may call over TCP now.
  std::function<std::shared_ptr<const Authenticator>()> authenticator = {};
  // Logs that a handler refused a caller for who he is.
  std::function<void(const Request&, const Problem&)> note_refusal = {};
  // [dashboard] payloads: may the dashboard show what producers sent?
  bool dashboard_payloads = true;
  // Why the daemon should get no traffic now; nullopt: it is ready.
  std::function<std::optional<NotReady>()> why_not_ready = {};
};

}  // namespace outboxd::api
