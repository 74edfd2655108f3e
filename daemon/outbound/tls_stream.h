// The client's end of one TLS connection, over a socket or inside the TLS connection to a proxy. Never blocks: what
// cannot be done yet says what the socket has to be ready for. The certificate is verified within the handshake: a
// stream whose handshake is done leads to the host that it was made for. Only for the sender, on its loop's thread.
//
// Measured with OpenSSL 3.0 on 2 cores, with chains of one intermediate: a full handshake costs 0.8 ms (RSA 2048) to
// 0.9 ms (P-256), nearly all of it in the step that reads the certificates (0.15 ms to parse each) and verifies them; a
// resumed one 0.26 ms (TLS 1.3) or 0.12 ms (1.2). On a kept connection a write of 700 bytes takes 3 us, the read of its
// answer 2.5 us. A connection between two requests, or waiting for an answer, takes 26 to 28 KiB, its certificates
// included; OpenSSL's buffers (17 KiB each way) are released.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/time.h"
#include "outbound/tls_bio.h"
#include "outbound/tls_contexts.h"

struct ssl_st;

namespace outboxd {

class TlsStream {
 public:
  enum class Step {
    kDone,      // `bytes` were moved; a write may be partial
    kWantRead,  // nothing more can be done until the socket is readable: everything that arrived was processed
    kWantWrite,  // ... until it is writable
    kEnded,      // read: the other side has sent all it will, and said so (close_notify)
    kTruncated,  // read: the connection ended without that. What has no length of its own may be incomplete
    kFailed,     // TLS failed: error(), Outcome::kTls. The other side was told, as far as it listens
    kBroken,  // the socket failed: system_error(), to be told as for a connection without TLS. After a write, a
              // read still gets what had arrived: often why
  };
  struct Moved {
    Step step;
    std::size_t bytes = 0;
  };

  // `host`: a name, sent as SNI and verified against the certificate, or an IP address (without brackets), not sent and
  // verified against the certificate's addresses. `port` only tells sessions apart. The socket stays the caller's: it
  // has to be non-blocking, and is closed after the stream is destroyed.
  TlsStream(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port, int fd);
  // Inside `tunnel`, whose handshake is done and through which a CONNECT was answered.
  TlsStream(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port,
            std::unique_ptr<TlsStream> tunnel);
  ~TlsStream();  // does no I/O: call close_notify() before
  TlsStream(const TlsStream&) = delete;

  // kDone, kWantRead, kWantWrite or kFailed, and nothing else: whatever ends a handshake is a TLS failure. To be called
  // again when the socket is ready. A step takes up to 1 ms, so a loop has to leave some of a thousand handshakes at once
  // to its next rounds.
  Step handshake();
  // One record at most is read at a time. The socket tells nothing of bytes that are in here already, so do not wait
  // for it while holds_bytes() unless the last read() said kWantRead.
  Moved read(char* to, std::size_t size);
  // After kWantWrite (or kWantRead) the same bytes must be given again; they may have moved in memory.
  Moved write(const char* bytes, std::size_t size);
  // The same of `first` and then `second`, in one record if they fit: a head and its small body cost one encryption and
  // one system call. kDone says how much of both together was written.
  Moved write(std::string_view first, std::string_view second);
  // Tells the other side that no more will be written, if the socket takes it at once. Waits for nothing.
  void close_notify();

  // Bytes that arrived and were not read yet. Costs no system call.
  bool holds_bytes() const;
  // For a connection between two requests, when its socket is readable or holds_bytes() after the complete response.
  // True: the connection may be kept; session tickets and the like were processed. False: it has ended, or holds bytes
  // that nobody asked for.
  bool is_quiet();

  // All bytes that arrived from the socket, TLS's own included. The mere end of a connection accounts for at most
  // farewell_bytes() (a close_notify record); the first line of a response is longer.
  static constexpr std::uint64_t kFarewellBytes = 32;
  std::uint64_t received() const;
  // Through a tunnel: both ends, and the one that is carried in a record of the other.
  std::uint64_t farewell_bytes() const { return transport_.tunnel ? 3 * kFarewellBytes : kFarewellBytes; }

  bool resumed() const;
  std::string_view protocol() const;  // "TLSv1.3"
  // When the certificate expires that the other side showed, in this connection or the one whose session was resumed.
  std::optional<Time> certificate_expires_at() const;

  // For people, after kFailed: "certificate has expired", "certificate is not for this host", "TLS handshake: wrong
  // version number", "the other side ended TLS: certificate required".
  const std::string& error() const { return error_; }
  int system_error() const { return transport_.error; }  // an errno, after kBroken

 private:
  TlsStream(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port,
            TlsTransport transport);

  void verify_as(const std::string& host);
  Step after_failure(int returned);
  Step fail(std::string error);
  std::string why_handshake_failed(int openssl_error) const;

  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  const std::shared_ptr<TlsContext> context_;
  TlsSessionSlot session_slot_;
  TlsTransport transport_;
  std::unique_ptr<ssl_st, Free> ssl_;
  std::string error_;
  bool handshaking_ = true;
};

}  // namespace outboxd
