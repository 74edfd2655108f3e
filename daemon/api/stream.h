// The bytes of one accepted socket, in the clear or under TLS. Never blocks: what cannot be done yet says
// what the socket has to be ready for. TLS shakes hands within the first reads and writes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "api/tls_server.h"

namespace outboxd::api {

class Stream {
 public:
  enum class Outcome {
    kDone,        // `bytes` were moved; a write may be partial
    kWantsRead,   // call again, with the same bytes, when the socket can be read
    kWantsWrite,  // ... or written
    kEnd,         // the client has sent all it will
    kNotTls,      // the client does not speak TLS; the stream is plain now, so that it can be told
    kTlsFailed,   // why_failed(); the client has been sent an alert
    kGone,
  };
  struct Transfer {
    Outcome outcome;
    std::size_t bytes = 0;
  };

  explicit Stream(int fd) : fd_(fd) {}
  Stream(int fd, TlsSession session) : fd_(fd), session_(std::move(session)) {}

  Transfer read(char* to, std::size_t size);
  Transfer write(std::string_view bytes);
  // Tells a TLS client that no more will be written, and ends TLS: kDone, or kWantsWrite.
  Outcome finish();

  bool handshaking() const;
  // Holds bytes that were read from the socket already, so the socket will not become readable because of them.
  bool holds_bytes() const;
  const std::string& why_failed() const { return why_failed_; }

 private:
  bool speaks_tls(Transfer& otherwise);
  Outcome after_failure(int returned);

  const int fd_;
  TlsSession session_;   // null: in the clear
  bool spoken_ = false;  // the first byte has arrived, and it begins TLS
  std::string why_failed_;
};

}  // namespace outboxd::api
