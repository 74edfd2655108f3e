#include "api/tls_server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr std::string_view kProtocol = "\x08http/1.1";  // as ALPN writes it

tl::unexpected<Problem> bad(const std::string& file, const std::string& what) {
  return problem(ProblemCode::kInvalidParameter, file + ": " + what);
}

std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown error";
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Result<File> open_file(const std::string& path, const char* what) {
  File file(std::fopen(path.c_str(), "re"));
  if (!file)
    return bad(path, std::string("cannot read the ") + what + ": " + std::strerror(errno) +
                         "; check [listen] and the file's mode.");
  return file;
}

// OpenSSL's own would ask at the terminal.
int refuse_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

Result<Key> read_key(const std::string& path) {
  const auto file = open_file(path, "TLS key");
  if (!file) return tl::unexpected(file.error());
  bool encrypted = false;
  Key key(PEM_read_PrivateKey(file->get(), nullptr, refuse_passphrase, &encrypted));
  if (encrypted)
    return bad(path, "the TLS key is encrypted; give one without a passphrase (openssl pkey -in … -out …).");
  if (!key) return bad(path, "holds no private key in PEM: " + openssl_reason() + ".");
  return key;
}

void warn_of_validity(const std::string& path, const X509* certificate) {
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    log::warn("the TLS certificate of the API has expired: clients will refuse it", {{"file", path}});
  } else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    log::warn("the TLS certificate of the API is not valid yet: clients will refuse it", {{"file", path}});
  }
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* match = nullptr;
  const auto found =
      SSL_select_next_proto(&match, size, reinterpret_cast<const unsigned char*>(kProtocol.data()),
                            kProtocol.size(), offered, offered_size);
  *chosen = match;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A socket for OpenSSL. Its own one writes without MSG_NOSIGNAL: a client that is gone would be a SIGPIPE.
int socket_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}
bool try_again() {
  return errno == EAGAIN || errno == EINTR;
}
int write_to_socket(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = send(socket_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && try_again()) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}
int read_from_socket(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = recv(socket_of(bio), to, static_cast<std::size_t>(size), 0);
  if (n < 0 && try_again()) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}
long control_socket(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* new_socket_bio(int fd) {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    BIO_meth_set_write(made, write_to_socket);
    BIO_meth_set_read(made, read_from_socket);
    BIO_meth_set_ctrl(made, control_socket);
    return made;
  }();
  BIO* const bio = BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(
                        fd)));  // NOLINT(performance-no-int-to-ptr): as BIO_set_fd does
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace

void TlsFree::operator()(ssl_st* session) const {
  SSL_free(session);
}
void TlsFree::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

Result<TlsServer::Context> TlsServer::load(const std::string& cert_file, const std::string& key_file) {
  ERR_clear_error();
  Context owner(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = owner.get();
  if (context == nullptr) return bad(cert_file, "TLS cannot be set up: " + openssl_reason());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // A request's framing says where it ends, so a connection that ends without close_notify cuts nothing off
  // unseen.
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A client that sends only key updates must not keep the loop in one read.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets need no memory of ours
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);

  if (const auto readable = open_file(cert_file, "TLS certificate"); !readable)
    return tl::unexpected(readable.error());
  if (SSL_CTX_use_certificate_chain_file(context, cert_file.c_str()) != 1)
    return bad(cert_file, "holds no usable certificate in PEM: " + openssl_reason() + ".");
  const auto key = read_key(key_file);
  if (!key) return tl::unexpected(key.error());
  const X509* const certificate = SSL_CTX_get0_certificate(context);
  if (X509_check_private_key(certificate, key->get()) != 1) {
    ERR_clear_error();
    return bad(key_file, "the TLS key is not that of the certificate in " + cert_file + ".");
  }
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1)
    return bad(key_file, "the TLS key cannot be used: " + openssl_reason() + ".");
  warn_of_validity(cert_file, certificate);
  return owner;
}

TlsServer::TlsServer(std::string cert_file, std::string key_file, Context context)
    : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)), context_(std::move(context)) {}

Result<std::shared_ptr<TlsServer>> TlsServer::from_files(std::string cert_file, std::string key_file) {
  auto context = load(cert_file, key_file);
  if (!context) return tl::unexpected(context.error());
  return std::shared_ptr<TlsServer>(
      new TlsServer(std::move(cert_file), std::move(key_file), std::move(*context)));
}

Result<void> TlsServer::reload() {
  auto fresh = load(cert_file_, key_file_);
  if (!fresh) return tl::unexpected(fresh.error());
  const std::lock_guard lock(mutex_);
  context_.swap(*fresh);
  return {};
}

TlsSession TlsServer::accept(int fd) const {
  TlsSession session;
  {
    const std::lock_guard lock(mutex_);
    session.reset(SSL_new(context_.get()));
  }
  BIO* const bio = session ? new_socket_bio(fd) : nullptr;
  if (bio == nullptr) return nullptr;
  SSL_set_bio(session.get(), bio, bio);
  SSL_set_accept_state(session.get());
  return session;
}

}  // namespace outboxd::api
