// Who is at the other end of a connection, as the kernel reports it when the connection is accepted.
#pragma once

#include <memory>
#include <string>

#include "api/listeners.h"
#include "api/peers.h"

namespace outboxd::api {

struct Caller {
  Scope scope = Scope::kNone;  // what it may do without a token
  bool unix_socket = false;
  std::string peer;           // for logs, like Request::peer
  std::string local_address;  // TCP: without port
  Peer counted_as;            // whose quota it uses
  bool tls = false;
};

// `fd` is a connection that was accepted on `listener`.
std::shared_ptr<const Caller> describe_caller(int fd, const Listener& listener);

}  // namespace outboxd::api
