#include "outbound/tls_contexts.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/openssl.h"
#include "common/pem.h"

namespace outboxd {
namespace {

constexpr std::string_view kProtocol = "\x08http/1.1";  // as ALPN writes it
constexpr const char* kDebianBundle = "/etc/ssl/certs/ca-certificates.crt";
using Why = tl::unexpected<std::string>;

std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown error";
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  const auto* slot = static_cast<const TlsSessionSlot*>(SSL_get_app_data(ssl));
  if (slot == nullptr) return 0;
  slot->sessions->put(slot->key, TlsSession(session));
  return 1;  // the reference is ours
}

using SecurityCheck = int (*)(const SSL*, const SSL_CTX*, int, int, int, void*, void*);

SecurityCheck openssl_security_check() {
  static const SecurityCheck check = [] {
    const std::unique_ptr<SSL_CTX, FreeTlsContext> untouched(SSL_CTX_new(TLS_client_method()));
    check_openssl(untouched != nullptr);
    return SSL_CTX_get_security_callback(untouched.get());
  }();
  return check;
}

// Key exchange over finite fields: the server chooses the numbers, and a hostile one such that a handshake computes for
// 0.3 s (8192 bits, measured). Those who speak to browsers need none of it.
bool is_finite_field(int operation, int nid, const void* other) {
  switch (operation) {
    case SSL_SECOP_CIPHER_SUPPORTED:
    case SSL_SECOP_CIPHER_SHARED:
    case SSL_SECOP_CIPHER_CHECK:
      return SSL_CIPHER_get_kx_nid(static_cast<const SSL_CIPHER*>(other)) == NID_kx_dhe;
    case SSL_SECOP_CURVE_SUPPORTED:
    case SSL_SECOP_CURVE_SHARED:
    case SSL_SECOP_CURVE_CHECK:
      return nid >= NID_ffdhe2048 && nid <= NID_ffdhe8192;
    default:
      return false;
  }
}

int check_security(const SSL* ssl, const SSL_CTX* context, int operation, int bits, int nid, void* other,
                   void* extra) {
  if (is_finite_field(operation, nid, other)) return 0;
  return openssl_security_check()(ssl, context, operation, bits, nid, other, extra);
}

void configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // An end without close_notify is noticed by the transport. OpenSSL would take it for a fatal error, and the session
  // for compromised, although many servers always end so.
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A server that sends only key updates must not keep the loop in one read.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);  // a record's header and body in one system call
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context, bytes_of(kProtocol), static_cast<unsigned>(kProtocol.size()));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
  SSL_CTX_set_security_callback(context, check_security);
}

// Any certificate in the file may end a chain, also one that is not self-signed: an operator who trusts just the
// intermediate authority, or one server's certificate, means it.
bool allow_partial_chains(X509_STORE* store) {
  return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

bool trust(X509_STORE* store, const std::string& pem) {
  const auto certificates = read_certificates(pem);
  return certificates &&
         std::all_of(certificates->begin(), certificates->end(), [&](const auto& certificate) {
           return X509_STORE_add_cert(store, certificate.get()) == 1;
         });
}

bool use_client_certificate(SSL_CTX* context, const TlsIdentity& identity) {
  const auto chain = read_certificates(identity.cert);
  const auto key = read_private_key(identity.key);
  bool usable = chain && key && SSL_CTX_use_certificate(context, chain->front().get()) == 1 &&
                SSL_CTX_use_PrivateKey(context, key->get()) == 1;
  for (std::size_t i = 1; usable && i < chain->size(); ++i)
    usable = SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) == 1;
  // Servers that want the certificate for some paths only ask for it after the handshake (RFC 8446, 4.6.2).
  SSL_CTX_set_post_handshake_auth(context, 1);
  return usable;
}

bool is_readable(const char* path) {
  return access(path, R_OK) == 0;
}

// Debian's bundle, or where OpenSSL was built to look; SSL_CERT_FILE and SSL_CERT_DIR are not asked. The folder comes
// last because its files are read one by one, within handshakes.
std::string system_authorities() {
  for (const char* path : {kDebianBundle, X509_get_default_cert_file(), X509_get_default_cert_dir()}) {
    if (is_readable(path)) return path;
  }
  return kDebianBundle;
}

}  // namespace

void FreeTlsContext::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}
void FreeTlsContext::operator()(x509_store_st* store) const {
  X509_STORE_free(store);
}

TlsContexts::TlsContexts(std::string ca_file)
    : ca_file_(std::move(ca_file)), sessions_(std::make_shared<TlsSessions>()) {}

TlsContexts::~TlsContexts() = default;

TlsContexts::Found TlsContexts::find(const TlsIdentity* identity, MonotonicTime now) {
  const std::string key = identity == nullptr ? std::string() : identity->digest;
  const auto known = entries_.find(key);
  if (known != entries_.end() && now - known->second.made_at < kTrusted) {
    known->second.used_at = now;
    return known->second.context;
  }
  const bool own_authorities = identity != nullptr && !identity->ca.empty();
  auto made = make(identity, now);
  if (!made) return made;
  make_room(now);
  const MonotonicTime made_at = own_authorities ? now : default_authorities_->checked_at;
  entries_.insert_or_assign(key, Entry{*made, made_at, now});
  return made;
}

TlsContexts::Found TlsContexts::make(const TlsIdentity* identity, MonotonicTime now) {
  ERR_clear_error();
  auto context = std::make_shared<TlsContext>();
  context->openssl.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const openssl = context->openssl.get();
  if (openssl == nullptr) return Why("TLS cannot be set up: " + openssl_reason());
  configure(openssl);
  if (identity != nullptr && !identity->ca.empty()) {
    X509_STORE* const store = SSL_CTX_get_cert_store(openssl);
    if (!trust(store, identity->ca) || !allow_partial_chains(store))
      return Why("tls.ca_file cannot be used: " + openssl_reason());
  } else {
    const auto store = default_authorities(now);
    if (!store) return Why(store.error());
    SSL_CTX_set1_cert_store(openssl, *store);
  }
  if (identity != nullptr && !identity->cert.empty() && !use_client_certificate(openssl, *identity))
    return Why("tls.client_cert cannot be used: " + openssl_reason());
  context->serial = next_serial_++;
  context->sessions = sessions_;
  return context;
}

// One store for all who use them. To read the system's 140 authorities takes OpenSSL 3.0 29 ms (measured), in which the
// loop does nothing else, so a file that is still the same is not read again.
tl::expected<x509_store_st*, std::string> TlsContexts::default_authorities(MonotonicTime now) {
  auto& known = default_authorities_;
  if (!known || now - known->checked_at >= (known->store ? kTrusted : kRetry)) {
    if (known && known->store && known->version && known->version == version_of(authorities_path())) {
      known->checked_at = now;
    } else {
      known = read_authorities(now);
    }
  }
  if (!known->store) return Why(known->store.error());
  return known->store->get();
}

TlsContexts::Authorities TlsContexts::read_authorities(MonotonicTime now) const {
  const std::string path = authorities_path();
  const auto failed = [&](const std::string& why) {
    return Authorities{Why("the certificate authorities cannot be read: " + path + ": " + why), now};
  };
  if (!is_readable(path.c_str())) return failed(std::generic_category().message(errno));
  const auto version = version_of(path);
  Store store(X509_STORE_new());
  if (!store || !allow_partial_chains(store.get())) return failed(openssl_reason());
  const int read = version ? X509_STORE_load_file(store.get(), path.c_str())
                           : X509_STORE_load_path(store.get(), path.c_str());
  if (read != 1) return failed(openssl_reason());
  return {std::move(store), now, version};
}

std::string TlsContexts::authorities_path() const {
  return ca_file_.empty() ? system_authorities() : ca_file_;
}

std::optional<TlsContexts::FileVersion> TlsContexts::version_of(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0 || S_ISDIR(file.st_mode)) return std::nullopt;
  constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
  return FileVersion{file.st_dev, file.st_ino, file.st_size,
                     file.st_mtim.tv_sec * kNanosPerSecond + file.st_mtim.tv_nsec};
}

// Those that are too old to be used, and if that is not enough the one that was not used for longest.
void TlsContexts::make_room(MonotonicTime now) {
  if (entries_.size() < kMaxContexts) return;
  std::erase_if(entries_, [&](const auto& entry) { return now - entry.second.made_at >= kTrusted; });
  if (entries_.size() < kMaxContexts) return;
  entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.used_at < b.second.used_at;
  }));
}

}  // namespace outboxd
