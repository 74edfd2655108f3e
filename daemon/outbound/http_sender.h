// Sends HTTP/1.1 requests on the given event loop, over connections that are kept for the next one. Addresses come from
// our own resolver, and each is checked by the address policy. Knows no store, no delivery and no schedule: one request
// in, one result out.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "outbound/sender.h"
#include "runtime/event_loop.h"

namespace outboxd {

// A request is sent once. It is sent a second time, on a new connection, only if it went out on a kept-alive connection
// that ended before any byte of a response, as happens when the other side was just closing it; the result then says
// `resent`. No redirect is followed, no cookie kept, nothing taken from the environment.
class HttpSender final : public Sender {  // every call on the loop's thread
 public:
  struct Options {
    std::string proxy;  // an operator's egress proxy, "" for none; the environment's is never used
    std::size_t max_idle_connections = 1024;
    // How much of a body is read before hanging up: four times what is kept. A thousand subscribers whose bodies never
    // end must not keep the loop reading.
    std::size_t max_response_bytes = 16u << 10;
    Millis dns_timeout{5'000};
    std::size_t max_dns_queries = 256;  // under way at once; further ones wait their turn
    Millis dns_cache{30'000};           // positive answers are cached for at most this long
    std::string dns_servers;            // "127.0.0.1:5353": replaces resolv.conf's; for tests and odd hosts
    std::string ca_file;                // PEM certificates to trust instead of the system's
    std::function<void(std::string_view reason)> on_denied = {};  // called for each denial by the policy
    // Asked before a request of a group (SendRequest) leaves, whatever it waited for; false aborts it. Null: it may.
    std::function<bool()> may_leave = {};
  };
  // Throws std::invalid_argument for a proxy that is not an http:// or https:// URL, std::runtime_error for bad
  // dns_servers.
  HttpSender(EventLoop& loop, const std::shared_ptr<const AddressPolicy>& policy, Options options);
  // Drops requests in flight without calling their `done`, so call abort_all() first. Not from inside a `done`.
  ~HttpSender() override;
  HttpSender(const HttpSender&) = delete;

  void send(SendRequest request, Done done) override;
  void flush() override;
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy) override;
  std::size_t in_flight() const;
  void abort(std::int64_t group) override;
  void abort_all() override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd
