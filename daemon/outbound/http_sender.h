// Sends HTTP requests: libcurl's multi interface on the event loop it is given, addresses from a resolver of
// our own, every one judged by the address policy. Knows no store, no delivery and no schedule: one request
// in, one result out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt.h"
#include "common/endpoint.h"
#include "common/endpoint_url.h"
#include "common/event.h"
#include "outbound/address_policy.h"
#include "runtime/event_loop.h"

namespace outboxd {

struct SendRequest {
  EndpointUrl url;
  std::vector<HeaderField> headers;  // outboxd's own, all but Host and Content-Length
  // What endpoint and event ask for. Judged once more before they are sent (common/event.h, why_header_refused): a
  // row may have been edited by hand.
  std::vector<HeaderField> extra_headers;
  std::shared_ptr<const EndpointTls> tls;  // null: the system's authorities, no client certificate
  std::shared_ptr<const std::string> body;
  Millis timeout{20'000};  // whole request: resolve, connect, send, response headers
  Millis connect_timeout{5'000};
  // Only whether it would be let go: URL, addresses and TLS files are looked at as for any request, and nothing is
  // sent. kSuccess: it would, as far as is known.
  bool judge_only = false;
};

struct SendResult {
  Outcome outcome = Outcome::kConnect;
  int status = 0;
  std::string error;        // for people; empty on success
  std::string denial = {};  // kBlocked: what was denied, and what would allow it; for operators alone
  AttemptTimings timings;
  std::vector<HeaderField> response_headers;  // bounded (attempt.h)
  std::string response_body;                  // bounded
  std::optional<std::string> retry_after;     // that header's value, unparsed
  std::string remote_address;                 // as in Attempt
  bool resent = false;                        // as in Attempt
  bool aborted = false;                       // abort_all() ended it: nothing is known, do not record it
};

// A request is on the wire once. It goes out a second time, on a connection of its own, only when it went to a kept one
// that ended before any byte of a response, as when the other side closed it at that moment; the result then says `resent`.
class HttpSender {  // every call on the loop's thread
 public:
  struct Options {
    std::string proxy;  // an operator's egress proxy, "" for none; the environment's is never used
    std::size_t max_idle_connections = 1024;
    // libcurl 7.88 walks over all its connections after each transfer (curl_multi_remove_handle), so with thousands
    // under way they had better be in many heaps. URLs are spread over these; each may keep its share of the idle
    // connections twice over.
    std::size_t heaps = 1;
    // Of a body, then hang up. Four times what is kept: a thousand subscribers that never end must not keep the
    // loop reading.
    std::size_t max_response_bytes = 16u << 10;
    Millis dns_timeout{5'000};
    std::size_t max_dns_queries = 256;  // under way at once; more wait their turn
    Millis dns_cache{30'000};           // answers, positive ones, are kept this long at most
    std::string dns_servers;            // "127.0.0.1:5353": instead of resolv.conf's; for tests and odd hosts
    std::string ca_file;                // PEM certificates to trust instead of the system's
    std::function<void(std::string_view reason)> on_denied = {};  // by the policy: counts them
  };
  using Done = std::function<void(SendResult)>;

  // Throws std::invalid_argument for a proxy that is no http:// or https:// URL, std::runtime_error for bad
  // dns_servers.
  HttpSender(EventLoop& loop, const std::shared_ptr<const AddressPolicy>& policy, Options options);
  ~HttpSender();  // drops what is in flight without calling its `done`: abort_all() first. Not from inside a
                  // `done`
  HttpSender(const HttpSender&) = delete;

  // `done` is called exactly once, later, on the loop (never from inside send()).
  void send(SendRequest request, Done done);
  // Starts what send() has gathered, which else happens in the loop's next round. May call a `done`.
  void flush();
  // From the next request on, also on connections that are open already.
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy);
  std::size_t in_flight() const;
  void abort_all();  // each done is called, with `aborted`

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd
