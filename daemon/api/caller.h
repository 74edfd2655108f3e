// Who is at the other end of a connection: the kernel's word on it, taken once when the connection is accepted.
#pragma once

#include <memory>
#include <string>

#include "api/listeners.h"
#include "api/peers.h"

namespace outboxd::api {

struct Caller {
  Scope scope = Scope::kNone;  // without a token
  bool unix_socket = false;
  std::string peer;           // for logs, as Request::peer
  std::string local_address;  // TCP: without port
  Peer counted_as;            // in what peers share
};

// Of a connection `fd` that was accepted on `listener`.
std::shared_ptr<const Caller> describe_caller(int fd, const Listener& listener);

}  // namespace outboxd::api
