// The sockets that the API is served on: those systemd handed over, else those the configuration names.
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
// Has the files of the listeners' certificates read again. Why that failed, "" if it did not; to be called until then, with
// the answer of the last time: the certificate and its key are two files, and were perhaps not both in their places.
std::string reload_tls(const std::vector<api::Listener>& listeners, const std::string& last_error);
std::vector<api::Listener> open_listeners(const config::Config& config);
// Where they can be reached by TCP: what no attempt may reach.
std::vector<AddressPolicy::OwnListener> own_listeners(const std::vector<api::Listener>& listeners);

// The file of the tokens, read every second: a token that was revoked must not wait for a restart. What it says is compared,
// and not when it was written: a file may change twice within one tick of the file system's clock.
class TokensFile {
 public:
  explicit TokensFile(std::string path) : path_(std::move(path)) {}  // "": there is none
  // Who may call from now on; null: as before. A file that is gone lets nobody in; one that cannot be read, or holds
  // something else, changes nothing until it can be.
  std::shared_ptr<const api::Authenticator> read_if_changed();

 private:
  std::shared_ptr<const api::Authenticator> unreadable(const std::string& why);

  const std::string path_;
  std::optional<std::string> text_;  // as it was last read; absent: it is gone, or never was
  bool gone_ = false;
  std::string error_;  // told of already
};

}  // namespace outboxd
