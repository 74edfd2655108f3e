#include "api/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

namespace outboxd::api {
namespace {

constexpr char kHandshakeRecord = 22;  // RFC 8446, 5.1: the first byte of every TLS client

}  // namespace

Stream::Transfer Stream::read(char* to, std::size_t size) {
  if (Transfer otherwise{}; session_ && !speaks_tls(otherwise)) return otherwise;
  if (!session_) {
    const ssize_t n = recv(fd_, to, size, 0);
    if (n > 0) return {Outcome::kDone, static_cast<std::size_t>(n)};
    if (n == 0) return {Outcome::kEnd};
    return {errno == EAGAIN || errno == EINTR ? Outcome::kWantsRead : Outcome::kGone};
  }
  ERR_clear_error();
  std::size_t n = 0;
  const int returned = SSL_read_ex(session_.get(), to, size, &n);
  if (returned == 1) return {Outcome::kDone, n};
  return {after_failure(returned)};
}

Stream::Transfer Stream::write(std::string_view bytes) {
  if (!session_) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) return {Outcome::kDone, static_cast<std::size_t>(n)};
    return {errno == EAGAIN || errno == EINTR ? Outcome::kWantsWrite : Outcome::kGone};
  }
  ERR_clear_error();
  std::size_t n = 0;
  const int returned = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &n);
  if (returned == 1) return {Outcome::kDone, n};
  return {after_failure(returned)};
}

Stream::Outcome Stream::finish() {
  if (session_ && why_failed_.empty() && !handshaking()) {
    ERR_clear_error();
    const int returned = SSL_shutdown(session_.get());
    if (returned < 0 && SSL_get_error(session_.get(), returned) == SSL_ERROR_WANT_WRITE)
      return Outcome::kWantsWrite;
  }
  session_.reset();
  return Outcome::kDone;
}

bool Stream::handshaking() const {
  return session_ && SSL_is_init_finished(session_.get()) == 0;
}

bool Stream::holds_bytes() const {
  return session_ && SSL_pending(session_.get()) > 0;
}

// Looks at the first byte before OpenSSL does, which would answer a client of plain HTTP in TLS.
bool Stream::speaks_tls(Transfer& otherwise) {
  if (spoken_) return true;
  char first = 0;
  const ssize_t n = recv(fd_, &first, 1, MSG_PEEK);
  if (n == 1 && first == kHandshakeRecord) return spoken_ = true;
  if (n == 1) {
    session_.reset();
    otherwise.outcome = Outcome::kNotTls;
  } else if (n == 0) {
    otherwise.outcome = Outcome::kEnd;
  } else {
    otherwise.outcome = errno == EAGAIN || errno == EINTR ? Outcome::kWantsRead : Outcome::kGone;
  }
  return false;
}

Stream::Outcome Stream::after_failure(int returned) {
  switch (SSL_get_error(session_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Outcome::kWantsRead;
    case SSL_ERROR_WANT_WRITE:
      return Outcome::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Outcome::kEnd;
    case SSL_ERROR_SYSCALL:
      why_failed_ = "the connection broke";
      return Outcome::kGone;
    default: {
      const char* reason = ERR_reason_error_string(ERR_peek_error());
      why_failed_ = reason != nullptr ? reason : "unknown error";
      return Outcome::kTlsFailed;
    }
  }
}

}  // namespace outboxd::api
