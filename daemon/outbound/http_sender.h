// Sends HTTP requests: libcurl's multi interface on the event loop it is given, addresses from a resolver of
// our own, every one checked by the address policy. Knows no store, no delivery and no schedule: one request
// in, one result out.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "outbound/sender.h"
#include "runtime/event_loop.h"

namespace outboxd {

// A request is on the wire once. It goes out a second time, on a connection of its own, only when it went to a kept one
// that ended before any byte of a response, as when the other side closed it at that moment; the result then says `resent`.
class HttpSender final : public Sender {  // every call on the loop's thread
 public:
  struct Options {
    std::string proxy;  // an operator's egress proxy, "" for none; the environment's is never used
    std::size_t max_idle_connections = 1024;
    // libcurl 7.88 walks over all its connections after each transfer (curl_multi_remove_handle), so with thousands
    // under way they had better be in several pools. URLs are spread over these; each may keep its share of the idle
    // connections twice over.
    std::size_t connection_pools = 1;
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
  // Throws std::invalid_argument for a proxy that is no http:// or https:// URL, std::runtime_error for bad
  // dns_servers.
  HttpSender(EventLoop& loop, const std::shared_ptr<const AddressPolicy>& policy, Options options);
  ~HttpSender()
      override;  // drops what is in flight without calling its `done`: abort_all() first. Not from inside a
                 // `done`
  HttpSender(const HttpSender&) = delete;

  void send(SendRequest request, Done done) override;
  void flush() override;
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy) override;
  std::size_t in_flight() const;
  void abort(std::int64_t group) override;
  void abort_all() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd
