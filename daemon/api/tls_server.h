// The TLS side of a TCP listener: its certificate and key, from files, which may be renewed while serving.
// TLS 1.2 at least; HTTP/1.1 is what ALPN agrees on. With stream.cpp the only place of this folder that knows OpenSSL.
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
  // PEM: the certificate with its chain, and its key, not encrypted. An error names the file; a certificate
  // that has expired is only warned of, in the log.
  static Result<std::shared_ptr<TlsServer>> from_files(std::string cert_file, std::string key_file);

  // Any thread. Reads the files again, for new connections. On an error what was read before stays.
  Result<void> reload();

  // The server's end of a connection on this socket, its handshake still to be done; null without memory.
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
