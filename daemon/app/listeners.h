// The sockets that the API is served on: those systemd handed over, else those the configuration names.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/auth.h"
#include "api/front.h"
#include "config/config.h"
#include "outbound/address_policy.h"

namespace outboxd {

// All throw std::runtime_error with a message for the user.
std::shared_ptr<const api::Authenticator> make_authenticator(const config::Config& config);
std::shared_ptr<api::TlsServer> tls_server(const config::Config& config);  // null: not configured
std::vector<api::Listener> open_listeners(const config::Config& config);
// Where they can be reached by TCP: what no attempt may reach.
std::vector<AddressPolicy::OwnListener> own_listeners(const std::vector<api::Listener>& listeners);

// The file of the tokens, looked at now and then: a token that was revoked must not wait for a restart.
class TokensFile {
 public:
  explicit TokensFile(std::string path) : path_(std::move(path)) {}  // "": there is none
  // Who may call from now on; null: as before. A file that is gone lets nobody in, one that cannot be read changes nothing.
  std::shared_ptr<const api::Authenticator> look();

 private:
  struct State {
    bool there = false;
    std::uint64_t inode = 0;
    std::int64_t size = 0, seconds = 0, nanoseconds = 0;
    bool operator==(const State&) const = default;
  };
  const std::string path_;
  std::optional<State> seen_;
};

}  // namespace outboxd
