#include "outbound/tls_bio.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "outbound/tls_stream.h"

namespace outboxd {
namespace {

// OpenSSL reads ahead, and processes all that it has before it returns. Small pieces bound what it does at a stretch for
// a server that sends nothing but key updates, 27 bytes each.
constexpr std::size_t kMaxPieceBytes = 2'048;

TlsTransport& transport_of(BIO* bio) {
  return *static_cast<TlsTransport*>(BIO_get_data(bio));
}

TlsStream::Moved after_call(TlsTransport& transport, ssize_t n, TlsStream::Step wait) {
  if (n > 0) return {TlsStream::Step::kDone, static_cast<std::size_t>(n)};
  if (n == 0) return {TlsStream::Step::kTruncated};
  if (errno == EAGAIN || errno == EINTR) return {wait};
  transport.error = errno;
  return {TlsStream::Step::kBroken};
}

// What the transport did, as a BIO has to report it.
int report(BIO* bio, const TlsStream::Moved& moved) {
  TlsTransport& transport = transport_of(bio);
  BIO_clear_retry_flags(bio);
  transport.would_block = false;
  switch (moved.step) {
    case TlsStream::Step::kDone:
      return static_cast<int>(moved.bytes);
    case TlsStream::Step::kWantRead:
      transport.would_block = true;
      BIO_set_retry_read(bio);
      return -1;
    case TlsStream::Step::kWantWrite:
      transport.would_block = true;
      BIO_set_retry_write(bio);
      return -1;
    case TlsStream::Step::kEnded:
    case TlsStream::Step::kTruncated:
      transport.ended = true;
      return 0;
    case TlsStream::Step::kFailed:
    case TlsStream::Step::kBroken:
      if (transport.tunnel) transport.error = transport.tunnel->system_error();
      return -1;
  }
  return -1;
}

// The tunnel begins each call with an empty error queue. What the TLS inside it has put there before, such as why it
// sends an alert, must not get lost.
template <class Call>
TlsStream::Moved through_tunnel(Call call) {
  const unsigned long earlier = ERR_peek_error();
  const TlsStream::Moved moved = call();
  if (earlier != 0) {
    ERR_clear_error();
    ERR_raise(ERR_GET_LIB(earlier), ERR_GET_REASON(earlier));
  }
  return moved;
}

int read_some(BIO* bio, char* to, int size) {
  TlsTransport& transport = transport_of(bio);
  const std::size_t room = std::min(static_cast<std::size_t>(size), kMaxPieceBytes);
  if (transport.tunnel) return report(bio, through_tunnel([&] { return transport.tunnel->read(to, room); }));
  return report(bio, after_call(transport, recv(transport.fd, to, room, 0), TlsStream::Step::kWantRead));
}

int write_some(BIO* bio, const char* bytes, int size) {
  TlsTransport& transport = transport_of(bio);
  const auto count = static_cast<std::size_t>(size);
  if (transport.tunnel)
    return report(bio, through_tunnel([&] { return transport.tunnel->write(bytes, count); }));
  return report(bio, after_call(transport, send(transport.fd, bytes, count, MSG_NOSIGNAL),
                                TlsStream::Step::kWantWrite));
}

long control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return transport_of(bio).ended ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace

bio_st* new_bio(TlsTransport& transport) {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "outbound TLS transport");
    BIO_meth_set_write(made, write_some);
    BIO_meth_set_read(made, read_some);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  BIO* const bio = BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, &transport);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace outboxd
