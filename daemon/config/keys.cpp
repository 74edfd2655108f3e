#include "config/keys.h"

#include <algorithm>
#include <array>

#include "common/endpoint.h"
#include "common/secret_file.h"
#include "config/values.h"

namespace outboxd::config {
namespace {

using C = Config;

template <auto Section, auto Member>
auto& at(Config& config) {
  return config.*Section.*Member;
}

constexpr std::int64_t ms(std::chrono::milliseconds d) {
  return d.count();
}
using std::chrono::days, std::chrono::hours, std::chrono::minutes, std::chrono::seconds;
constexpr std::int64_t kMaxPath = 4096;
constexpr std::int64_t kMaxSocketPath = 107;  // sockaddr_un, unix(7)
constexpr std::int64_t kKiB = 1 << 10, kMiB = 1 << 20, kTiB = std::int64_t{1} << 40;

const Key kKeys[] = {
    {"store", "url", Kind::kStoreUrl, at<&C::store, &C::Store::url>, 1, kMaxPath,
     "Where events are kept: one SQLite file, in a folder on a local disk; or a PostgreSQL database, which "
     "several daemons may share (docs/several-machines.md). A URL of PostgreSQL is read by libpq and "
     "holds no "
     "password: that is in ~/.pgpass, in the file named by passfile=, or in a service file."},
    {"store", "checkpoint", Kind::kCheckpoint, at<&C::store, &C::Store::checkpoint>, 1, 8,
     "Who moves the write-ahead log into the database: auto (outboxd), or external (Litestream or the "
     "like)."},
    {"store", "commit_delay", Kind::kAutoDuration, at<&C::store, &C::Store::commit_delay>, 1, 100,
     "How long an event may wait for others to share its commit, when others are likely to come: it is "
     "acknowledged that much later, and the daemon and the disk have less to do. A producer alone never "
     "waits. "
     "auto: 1 ms. 0: never."},
    {"store", "secrets_key_file", Kind::kSecretFile, at<&C::store, &C::Store::secrets_key_file>, 0,
     kMaxSecretFileName,
     "File of the keys that endpoint secrets are encrypted with on disk, a line each: 64 hex digits (openssl "
     "rand -hex "
     "32). The first one encrypts, all decrypt. Empty: secrets are stored in plain."},

    {"listen", "ingest_socket", Kind::kPath, at<&C::listen, &C::Listen::ingest_socket>, 0, kMaxSocketPath,
     "Unix socket for producers: events only. Empty: none."},
    {"listen", "ingest_group", Kind::kText, at<&C::listen, &C::Listen::ingest_group>, 0, 32,
     "Group that may connect to ingest_socket. Empty: the daemon's own."},
    {"listen", "admin_socket", Kind::kPath, at<&C::listen, &C::Listen::admin_socket>, 0, kMaxSocketPath,
     "Unix socket for operators: everything. Empty: none."},
    {"listen", "admin_group", Kind::kText, at<&C::listen, &C::Listen::admin_group>, 0, 32,
     "Group that may connect to admin_socket. Empty: the daemon's own."},
    {"listen", "tcp", Kind::kAddress, at<&C::listen, &C::Listen::tcp>, 0, 64,
     "Address and port of the API over TCP. Empty: none. Without tokens_file it is for producers alone, and "
     "only on "
     "loopback."},
    {"listen", "tokens_file", Kind::kSecretFile, at<&C::listen, &C::Listen::tokens_file>, 0,
     kMaxSecretFileName,
     "File of the bearer tokens for TCP, a line each: scope (ingest, view or admin; view:acme is for one "
     "tenant), SHA-256 of the token in hex, name. outboxctl token writes it; a change is noticed within "
     "seconds."},
    {"listen", "tls_cert", Kind::kSecretFile, at<&C::listen, &C::Listen::tls_cert>, 0, kMaxSecretFileName,
     "Certificate and its chain (PEM) of the API over TCP, which then speaks TLS only. Empty: plain HTTP."},
    {"listen", "tls_key", Kind::kSecretFile, at<&C::listen, &C::Listen::tls_key>, 0, kMaxSecretFileName,
     "Private key (PEM, not encrypted) of tls_cert."},
    {"listen", "allowed_hosts", Kind::kHosts, at<&C::listen, &C::Listen::allowed_hosts>, 0, 0,
     "Values of the Host header that TCP accepts besides loopback names and addresses."},

    {"ingest", "event_types", Kind::kTypePatterns, at<&C::ingest, &C::Ingest::event_types>, 0, 0,
     "Event types that are accepted, as patterns: order.paid, order.* for one level below, order.** for any. "
     "Others are refused (422; rows of the SQL outbox are rejected), with the nearest of these: a typing "
     "error "
     "in a type would otherwise reach nobody. Empty: any. outboxd's own types, outboxd.*, are always "
     "accepted."},

    {"delivery", "timeout", Kind::kDuration, at<&C::delivery, &C::Delivery::timeout>, 100, ms(minutes(10)),
     "Longest time of one attempt, from resolving the name to the end of the response headers."},
    {"delivery", "connect_timeout", Kind::kDuration, at<&C::delivery, &C::Delivery::connect_timeout>, 10,
     ms(minutes(10)), "Longest time to connect, TLS included. At most timeout."},
    {"delivery", "retry_schedule", Kind::kDurations, at<&C::delivery, &C::Delivery::retry_schedule>, 0,
     ms(days(30)),
     "Waits before each attempt, the first one before the first: as many attempts as waits, then dead."},
    {"delivery", "max_in_flight", Kind::kInteger, at<&C::delivery, &C::Delivery::max_in_flight>, 1, 100'000,
     "Attempts under way at once. Each takes a file descriptor and a few KB of memory."},
    {"delivery", "max_in_flight_per_endpoint", Kind::kInteger,
     at<&C::delivery, &C::Delivery::max_in_flight_per_endpoint>, 1, 100'000,
     "The same for one endpoint that sets no limit of its own."},
    {"delivery", "threads", Kind::kInteger, at<&C::delivery, &C::Delivery::threads>, 1, 64,
     "Threads that send; each has its share of the endpoints and of max_in_flight. One is enough for two "
     "cores."},
    {"delivery", "proxy", Kind::kProxy, at<&C::delivery, &C::Delivery::proxy>, 0, 512,
     "HTTP proxy for all attempts, such as http://proxy.corp:3128. The environment's http_proxy is never "
     "used."},
    {"delivery", "user_agent", Kind::kText, at<&C::delivery, &C::Delivery::user_agent>, 0, 256,
     "User-Agent of attempts. Empty: outboxd/ and the version."},
    {"delivery", "dns_servers", Kind::kText, at<&C::delivery, &C::Delivery::dns_servers>, 0, 512,
     "Name servers to ask instead of those of resolv.conf, address:port, separated by commas."},
    {"delivery", "stop_timeout", Kind::kDuration, at<&C::delivery, &C::Delivery::stop_timeout>, 0,
     ms(minutes(10)),
     "How long a stop waits for attempts under way. Those cut off are due again at the next start."},
    {"delivery", "store_responses", Kind::kBoolean, at<&C::delivery, &C::Delivery::store_responses>, 0, 0,
     "Keep the headers and the first 4 KiB of what subscribers answer. False: the status alone."},

    {"policy", "allow_http", Kind::kBoolean, at<&C::policy, &C::Policy::allow_http>, 0, 0,
     "Allow http:// endpoints, whose events and signatures travel in the clear."},
    {"policy", "allow_networks", Kind::kNetworks, at<&C::policy, &C::Policy::allow_networks>, 0, 0,
     "Networks that attempts may reach although they are not global, such as 10.20.0.0/16."},
    {"policy", "deny_networks", Kind::kNetworks, at<&C::policy, &C::Policy::deny_networks>, 0, 0,
     "Networks that no attempt may reach, whatever else is allowed."},
    {"policy", "ports", Kind::kPorts, at<&C::policy, &C::Policy::ports>, 1, 65535,
     "Ports that attempts may use. Empty: any."},
    {"policy", "allow_hosts", Kind::kHosts, at<&C::policy, &C::Policy::allow_hosts>, 0, 0,
     "Names (hooks.corp, or *.corp for those below) that may resolve to addresses that are not global."},

    {"limits", "event_bytes", Kind::kSize, at<&C::limits, &C::Limits::event_bytes>, kKiB, 64 * kMiB,
     "Largest event. At most request_bytes."},
    {"limits", "request_bytes", Kind::kSize, at<&C::limits, &C::Limits::request_bytes>, kKiB, 256 * kMiB,
     "Largest body of a request to the API."},
    {"limits", "queue", Kind::kInteger, at<&C::limits, &C::Limits::queue>, 1, 1'000'000,
     "Requests that may wait for a commit; beyond it producers are answered 429."},
    {"limits", "backlog", Kind::kInteger, at<&C::limits, &C::Limits::backlog>, 0, 1'000'000'000'000,
     "When so many deliveries are pending, outboxd.backlog.high is told to endpoints of tenant _ops, and "
     "again after fewer than half of that were. 0: never. Nothing is refused."},
    {"limits", "connections", Kind::kInteger, at<&C::limits, &C::Limits::connections>, 1, 100'000,
     "Connections to the API at once."},
    {"limits", "connections_per_peer", Kind::kInteger, at<&C::limits, &C::Limits::connections_per_peer>, 1,
     100'000, "The same of one peer: an IP address (IPv6: its /64), or a user on a Unix socket."},
    {"limits", "idempotency_window", Kind::kDuration, at<&C::limits, &C::Limits::idempotency_window>, 1000,
     ms(days(30)), "How long an idempotency key is remembered."},

    {"retention", "delivered", Kind::kDuration, at<&C::retention, &C::Retention::delivered>, 0,
     ms(days(3650)),
     "How long delivered and discarded deliveries are kept, with their attempts; an event goes with its last "
     "one. Never less than limits.idempotency_window."},
    {"retention", "dead", Kind::kDuration, at<&C::retention, &C::Retention::dead>, 0, ms(days(3650)),
     "How long dead letters are kept, and rejected rows of the SQL outbox."},
    {"retention", "payload", Kind::kDurationOrNone, at<&C::retention, &C::Retention::payload>, 1000,
     ms(days(3650)),
     "How long payloads are kept, from when the event was accepted: then the bytes are overwritten, as by an "
     "erasure, and the rest of the event stays. What is pending keeps its payload until it has ended. A dead "
     "letter loses it too and cannot be retried, nor the event replayed. Empty: as long as the event."},
    {"retention", "free_disk", Kind::kSize, at<&C::retention, &C::Retention::free_disk>, 0, kTiB,
     "Refuse new events when the disk has less room than this, so that outcomes can still be recorded."},
    {"retention", "ballast", Kind::kSize, at<&C::retention, &C::Retention::ballast>, 0, kTiB,
     "Size of the file beside the database that is given up when the disk is full all the same. 0: none."},

    {"dashboard", "payloads", Kind::kBoolean, at<&C::dashboard, &C::Dashboard::payloads>, 0, 0,
     "Let the dashboard show what producers sent. False: a browser that signed in is refused payloads, "
     "prepared requests and rejected rows, and the pages do not offer them."},

    {"log", "level", Kind::kLogLevel, at<&C::log, &C::Log::level>, 0, 0, "debug, info, warn or error."},
    {"log", "format", Kind::kLogFormat, at<&C::log, &C::Log::format>, 0, 0,
     "logfmt, json, journald, or auto: journald when standard error is the journal, else logfmt."},
};

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 4> kFormatNames = {"auto", "json", "logfmt", "journald"};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

constexpr std::size_t kMaxWord = 64;  // beyond this nothing is similar, and computing the distance is slow

bool similar(std::string_view wrong, std::string_view right) {
  if (wrong.size() > kMaxWord) return false;
  return edit_distance(wrong, right) <= std::max<std::size_t>(1, (right.size() + 1) / 3);
}

template <class List, class Format>
std::string list_text(const List& list, Format format) {
  std::string out = "[";
  for (const auto& element : list) {
    if (out.size() > 1) out += ", ";
    out += format(element);
  }
  return out + "]";
}

struct ValueText {
  Kind kind;
  std::string operator()(const std::string& value) const { return toml_string(value); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const {
    return kind == Kind::kSize ? toml_string(format_size(value)) : std::to_string(value);
  }
  std::string operator()(Millis value) const {
    const bool none = kind == Kind::kDurationOrNone && value == Millis(0);
    return toml_string(none ? "" : format_duration(value));
  }
  std::string operator()(const std::vector<std::string>& value) const {
    return list_text(value, toml_string);
  }
  std::string operator()(const std::vector<std::uint16_t>& value) const {
    return list_text(value, [](int port) { return std::to_string(port); });
  }
  std::string operator()(const std::vector<Millis>& value) const {
    return list_text(value, [](Millis d) { return toml_string(format_duration(d)); });
  }
  std::string operator()(log::Level value) const {
    return toml_string(kLevelNames[static_cast<std::size_t>(value)]);
  }
  std::string operator()(log::Format value) const {
    return toml_string(kFormatNames[static_cast<std::size_t>(value)]);
  }
};

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::span<const Key> keys() {
  return kKeys;
}

const Key* find_key(std::string_view section, std::string_view name) {
  const auto it = std::find_if(std::begin(kKeys), std::end(kKeys),
                               [&](const Key& key) { return key.section == section && key.name == name; });
  return it == std::end(kKeys) ? nullptr : it;
}

bool is_section(std::string_view name) {
  return std::any_of(std::begin(kKeys), std::end(kKeys), [&](const Key& key) { return key.section == name; });
}

std::string suggest_section(std::string_view wrong) {
  for (const auto& key : kKeys) {
    if (similar(wrong, key.section)) return ", did you mean [" + std::string(key.section) + "]?";
  }
  return "";
}

std::string suggest_key(std::string_view section, std::string_view wrong) {
  for (const auto& key : kKeys) {
    if (key.name == wrong) return ", did you mean " + key.id() + "?";
  }
  const Key* best = nullptr;
  for (const auto& key : kKeys) {
    if (key.section != section || !similar(wrong, key.name)) continue;
    if (best == nullptr || edit_distance(wrong, key.name) < edit_distance(wrong, best->name)) best = &key;
  }
  return best == nullptr ? "" : ", did you mean " + std::string(best->name) + "?";
}

std::string value_text(const Key& key, const Config& config) {
  // The fields only give write access; reading does not change anything.
  auto& readable = const_cast<Config&>(config);
  return std::visit([&](auto field) { return ValueText{key.kind}(field(readable)); }, key.field);
}

std::string expectation(const Key& key) {
  const auto durations = [&] {
    return "from " + format_duration(Millis(key.min)) + " to " + format_duration(Millis(key.max));
  };
  const std::string or_empty = key.min == 0 ? ", or \"\"" : "";
  switch (key.kind) {
    case Kind::kText:
      return "printable ASCII of at most " + std::to_string(key.max) + " characters";
    case Kind::kPath:
      return "an absolute path of at most " + std::to_string(key.max) + " bytes" + or_empty;
    case Kind::kSecretFile:
      return "an absolute path, or credential:NAME" + or_empty;
    case Kind::kStoreUrl:
      return "a URL such as \"sqlite:///var/lib/outboxd/outbox.db\" or "
             "\"postgresql://outboxd@db.corp/outboxd\"";
    case Kind::kAddress:
      return "an address with a port, such as \"127.0.0.1:8877\" or \"[::1]:8877\"" + or_empty;
    case Kind::kProxy:
      return "a URL such as \"http://proxy.corp:3128\", without user name or password" + or_empty;
    case Kind::kBoolean:
      return "true or false";
    case Kind::kInteger:
      if (key.min == key.max) return std::to_string(key.min);
      return "a number from " + std::to_string(key.min) + " to " + std::to_string(key.max);
    case Kind::kSize:
      return "a size from " + format_size(key.min) + " to " + format_size(key.max) + ", such as \"16MiB\"";
    case Kind::kDuration:
      return "a duration " + durations() + ", such as \"90s\" or \"2h30m\"";
    case Kind::kDurationOrNone:
      return "a duration " + durations() + ", such as \"90d\", or \"\"";
    case Kind::kDurations:
      return "1 to " + std::to_string(kMaxRetrySchedule) + " durations " + durations() +
             ", such as [\"0s\", \"5s\", \"5m\"]";
    case Kind::kNetworks:
      return "networks such as [\"10.20.0.0/16\", \"fd00:1::/32\"], the bits after the prefix zero";
    case Kind::kPorts:
      return "ports from 1 to 65535, such as [80, 443]";
    case Kind::kTypePatterns:
      return "patterns of event types, such as [\"order.*\", \"user.created\"]";
    case Kind::kHosts:
      return key.section == "listen" ? "names or addresses in lower case, such as [\"outbox.corp\"]"
                                     : "names in lower case, such as [\"hooks.corp\", \"*.internal\"]";
    case Kind::kCheckpoint:
      return "auto or external";
    case Kind::kAutoDuration:
      return "\"auto\", \"0\", or a duration " + durations() + ", such as \"2ms\"";
    case Kind::kLogLevel:
      return "debug, info, warn or error";
    case Kind::kLogFormat:
      break;
  }
  return "auto, json, logfmt or journald";
}

}  // namespace outboxd::config
