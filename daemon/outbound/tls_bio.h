// Where a TlsStream's records go to and come from, as OpenSSL wants it: a socket, or another TlsStream. OpenSSL's own
// socket BIO writes without MSG_NOSIGNAL, and does not tell an end from a failure.
#pragma once

#include <memory>

struct bio_st;

namespace outboxd {

class TlsStream;

struct TlsTransport {
  int fd = -1;
  std::unique_ptr<TlsStream> tunnel = nullptr;  // null: the socket
  int error = 0;                                // the errno that ended it
  bool ended = false;                           // the other side sends no more
  bool would_block = false;                     // the last call has to be repeated later
};

// The transport must outlive the BIO. Null when out of memory.
bio_st* new_bio(TlsTransport& transport);

}  // namespace outboxd
