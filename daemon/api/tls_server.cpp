#include "api/tls_server.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "common/pem.h"
#include "runtime/secret_file_reader.h"
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

struct Identity {
  std::vector<Certificate> chain;  // the server's own certificate first
  PrivateKey key;
};

Result<Identity> read_identity(const std::string& cert_file, const std::string& key_file) {
  const auto cert_pem = read_secret_file(cert_file);
  if (!cert_pem) return tl::unexpected(cert_pem.error());
  const auto key_pem = read_secret_file(key_file);
  if (!key_pem) return tl::unexpected(key_pem.error());
  auto chain = read_certificates(*cert_pem);
  if (!chain) return bad(cert_file, chain.error() + ".");
  auto key = read_private_key(*key_pem);
  if (!key) return bad(key_file, key.error() + ".");
  if (!is_key_of(*key, chain->front()))
    return bad(key_file, "the TLS key is not that of the certificate in " + cert_file + ".");
  return Identity{std::move(*chain), std::move(*key)};
}

void warn_of_validity(const std::string& path, const Certificate& certificate) {
  const Time now = std::chrono::floor<Millis>(std::chrono::system_clock::now());
  if (has_expired(certificate, now)) {
    log::warn("the TLS certificate of the API has expired: clients will refuse it", {{"file", path}});
  } else if (is_not_valid_yet(certificate, now)) {
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

// A socket BIO of our own: OpenSSL's writes without MSG_NOSIGNAL, so a client that is gone would raise SIGPIPE.
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
  // NOLINTNEXTLINE(performance-no-int-to-ptr): as BIO_set_fd does
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
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
  // HTTP's framing says where a request ends, so a connection that ends without close_notify cannot truncate one
  // unnoticed.
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A client that sends only key updates must not keep the loop in one read.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // session tickets need no memory of ours
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);

  const auto identity = read_identity(cert_file, key_file);
  if (!identity) return tl::unexpected(identity.error());
  const auto& [chain, key] = *identity;
  bool usable = SSL_CTX_use_certificate(context, chain.front().get()) == 1;
  for (std::size_t i = 1; i < chain.size(); ++i)
    usable = usable && SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  if (!usable) return bad(cert_file, "the certificate cannot be used: " + openssl_reason() + ".");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return bad(key_file, "the TLS key cannot be used: " + openssl_reason() + ".");
  warn_of_validity(cert_file, chain.front());
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
