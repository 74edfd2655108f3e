// The sockets that the API is served on: what is known of each, and how they are made. acceptor.h accepts on them.
#pragma once

#include <memory>
#include <string>

#include "api/exchange.h"
#include "api/tls_server.h"
#include "common/problem.h"

namespace outboxd::api {

struct Listener {
  int fd = -1;  // bound and listening; the server closes it
  // What a caller may do without a token. On a Unix socket the file's mode decides who can call; on TCP it is kNone,
  // which leaves the decision to the Authenticator.
  Scope scope = Scope::kNone;
  bool unix_socket = false;
  std::string name;  // for logs and /v1/status: "127.0.0.1:8877", "/run/outboxd/admin.sock"
  // The file that listen_unix made and the server removes; "" for inherited sockets.
  std::string unlink_path = {};
  // TCP: what it speaks TLS with; null: plain HTTP.
  std::shared_ptr<TlsServer> tls = {};
};

// Bind and listen. Errors say what to do. A stale Unix socket file is replaced, one that answers is not.
// `mode` and `group` ("" keeps it) of the file are set before it can be connected to. No SO_REUSEPORT. Port 0
// takes a free one; `name` says which.
Result<Listener> listen_tcp(const std::string& address, Scope scope);
Result<Listener> listen_unix(const std::string& path, unsigned mode, const std::string& group, Scope scope);

}  // namespace outboxd::api
