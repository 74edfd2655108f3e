// The sockets that the API is served on: those that systemd handed over, and those that the configuration names for the
// rest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/auth.h"
#include "api/http_server.h"
#include "config/config.h"
#include "outbound/address_policy.h"

namespace outboxd {

// All throw std::runtime_error with a message for the user.
std::shared_ptr<const api::Authenticator> make_authenticator(const config::Config& config);
std::shared_ptr<api::TlsServer> tls_server(const config::Config& config);  // null: not configured
// Reads the certificate files of the listeners again and returns what failed, "" if nothing did. After a failure, to be
// called again with that text until it returns "": certificate and key are two files, and one may be replaced before
// the other.
std::string reload_tls(const std::vector<api::Listener>& listeners, const std::string& last_error);
std::vector<api::Listener> open_listeners(const config::Config& config);
// The addresses at which the API can be reached by TCP, which no attempt may connect to.
std::vector<AddressPolicy::OwnListener> own_listeners(const std::vector<api::Listener>& listeners);

// The tokens file, read every second because a revoked token must not stay valid until a restart. Changes are found by
// comparing the text and not the file's time: a file may change twice within one tick of the file system's clock.
class TokensFile {
 public:
  explicit TokensFile(std::string path) : path_(std::move(path)) {}  // "": there is none
  // Who may call from now on; null: no change. If the file is gone, nobody may. If it cannot be read or holds something
  // else, nothing changes until it can be read again.
  std::shared_ptr<const api::Authenticator> read_if_changed();

 private:
  std::shared_ptr<const api::Authenticator> unreadable(const std::string& why);

  const std::string path_;
  std::optional<std::string> text_;  // as last read; absent: the file is gone, or was never read
  bool gone_ = false;
  std::string error_;  // the error that was logged last
};

}  // namespace outboxd
