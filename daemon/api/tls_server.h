// The TLS side of a TCP listener: its certificate and key, read from files that may be renewed while serving. TLS 1.2
// at least; ALPN agrees on HTTP/1.1. Apart from stream.cpp nothing else in this folder knows OpenSSL.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "common/problem.h"

struct ssl_st;
struct ssl_ctx_st;

namespace outboxd::api {

struct TlsFree {
  void operator()(ssl_st* session) const;
  void operator()(ssl_ctx_st* context) const;
};
using TlsSession = std::unique_ptr<ssl_st, TlsFree>;

class TlsServer {
 public:
  // PEM: the certificate with its chain, and its unencrypted key. Errors name the file; an expired certificate is only
  // logged as a warning.
  static Result<std::shared_ptr<TlsServer>> from_files(std::string cert_file, std::string key_file);

  // Any thread. Reads the files again, for new connections. On an error, what was read before stays in use.
  Result<void> reload();

  // The server's end of a connection on this socket, before its handshake; null when out of memory.
  TlsSession accept(int fd) const;

 private:
  using Context = std::unique_ptr<ssl_ctx_st, TlsFree>;
  TlsServer(std::string cert_file, std::string key_file, Context context);
  static Result<Context> load(const std::string& cert_file, const std::string& key_file);

  const std::string cert_file_;
  const std::string key_file_;
  mutable std::mutex mutex_;
  Context context_;  // guarded by mutex_; a session keeps the one it was made from
};

}  // namespace outboxd::api
