#include "outbound/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/openssl.h"
#include "outbound/address_policy.h"
#include "outbound/peer.h"

namespace outboxd {
namespace {

// How many pieces of tls_bio.cpp without data (session tickets, key updates) one call processes: 12 KiB. Servers send a
// few tickets, of which the largest hold a client's certificate. So many key updates take 6 ms (measured), and then the
// stream has failed.
constexpr int kMaxEmptyPieces = 6;

std::string reason_of(unsigned long error) {
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "error " + std::to_string(ERR_GET_REASON(error));
}

// The alert that the other side sent, as in "tlsv13 alert certificate required". In TLS 1.3 the refusal of a client
// certificate shows only after the handshake.
std::optional<std::string> alert_text(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || ERR_GET_REASON(error) < SSL_AD_REASON_OFFSET) return std::nullopt;
  constexpr std::string_view kAlert = " alert ";
  const std::string text = reason_of(error);
  const auto at = text.find(kAlert);
  return "the other side ended TLS: " + (at == std::string::npos ? text : text.substr(at + kAlert.size()));
}

std::string certificate_text(long result) {
  if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
    return "certificate is not for this host";
  return X509_verify_cert_error_string(result);
}

bool is_refused_certificate(unsigned long error) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

std::string peer_key(const TlsContext& context, std::string_view host, std::uint16_t port) {
  std::string key = std::to_string(context.serial) + ' ';
  key.append(host).append(" ").append(std::to_string(port));
  return key;
}

}  // namespace

void TlsStream::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

TlsStream::TlsStream(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port, int fd)
    : TlsStream(std::move(context), host, port, TlsTransport{.fd = fd}) {}

TlsStream::TlsStream(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port,
                     std::unique_ptr<TlsStream> tunnel)
    : TlsStream(std::move(context), host, port, TlsTransport{.tunnel = std::move(tunnel)}) {}

TlsStream::TlsStream(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port,
                     TlsTransport transport)
    : context_(std::move(context)),
      session_slot_{context_->sessions, peer_key(*context_, host, port)},
      transport_(std::move(transport)),
      ssl_(SSL_new(context_->openssl.get())) {
  check_openssl(ssl_ != nullptr && !host.empty());
  BIO* const bio = new_bio(transport_);
  check_openssl(bio != nullptr);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_connect_state(ssl_.get());
  SSL_set_app_data(ssl_.get(), &session_slot_);
  verify_as(std::string(host));
  const TlsSession session = context_->sessions->take(session_slot_.key);
  if (session) SSL_set_session(ssl_.get(), session.get());
}

// Without this OpenSSL would treat a session as compromised whose connection did not end with close_notify.
TlsStream::~TlsStream() {
  if (error_.empty()) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void TlsStream::verify_as(const std::string& host) {
  X509_VERIFY_PARAM* const param = SSL_get0_param(ssl_.get());
  if (const auto ip = IpAddress::parse(host)) {
    check_openssl(X509_VERIFY_PARAM_set1_ip(param, ip->bytes.data(), ip->v6 ? 16 : 4) == 1);
    return;
  }
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  check_openssl(X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1);
  check_openssl(SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1);
}

TlsStream::Step TlsStream::handshake() {
  for (int i = 0; i < kMaxEmptyPieces; ++i) {
    ERR_clear_error();
    const int returned = SSL_do_handshake(ssl_.get());
    if (returned == 1) {
      handshaking_ = false;
      return Step::kDone;
    }
    const Step step = after_failure(returned);
    if (step != Step::kWantRead || transport_.would_block) return step;
  }
  return fail("TLS handshake: too many empty records");
}

TlsStream::Moved TlsStream::read(char* to, std::size_t size) {
  for (int i = 0; i < kMaxEmptyPieces; ++i) {
    ERR_clear_error();
    std::size_t n = 0;
    const int returned = SSL_read_ex(ssl_.get(), to, size, &n);
    if (returned == 1) return {Step::kDone, n};
    const Step step = after_failure(returned);
    if (step != Step::kWantRead || transport_.would_block) return {step};
  }
  return {fail("TLS: too many records without data")};
}

TlsStream::Moved TlsStream::write(const char* bytes, std::size_t size) {
  ERR_clear_error();
  std::size_t n = 0;
  const int returned = SSL_write_ex(ssl_.get(), bytes, size, &n);
  if (returned == 1) return {Step::kDone, n};
  return {after_failure(returned)};
}

TlsStream::Moved TlsStream::write(std::string_view first, std::string_view second) {
  std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> record;
  if (second.empty() || first.size() >= record.size()) return write(first.data(), first.size());
  if (first.empty()) return write(second.data(), second.size());
  const std::size_t rest =
      second.copy(record.data() + first.copy(record.data(), first.size()), record.size() - first.size());
  return write(record.data(), first.size() + rest);
}

void TlsStream::close_notify() {
  if (handshaking_ || !error_.empty() || transport_.error != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  if (transport_.tunnel) transport_.tunnel->close_notify();
}

bool TlsStream::holds_bytes() const {
  return SSL_has_pending(ssl_.get()) == 1 || (transport_.tunnel && transport_.tunnel->holds_bytes());
}

bool TlsStream::is_quiet() {
  char byte = 0;
  return read(&byte, 1).step == Step::kWantRead && !holds_bytes();
}

std::uint64_t TlsStream::received() const {
  return transport_.tunnel ? transport_.tunnel->received() : BIO_number_read(SSL_get_rbio(ssl_.get()));
}

bool TlsStream::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

std::string_view TlsStream::protocol() const {
  return SSL_get_version(ssl_.get());
}

std::optional<Time> TlsStream::certificate_expires_at() const {
  return certificate_expiry(ssl_.get());
}

TlsStream::Step TlsStream::fail(std::string error) {
  error_ = std::move(error);
  return Step::kFailed;
}

TlsStream::Step TlsStream::after_failure(int returned) {
  const int error = SSL_get_error(ssl_.get(), returned);
  if (error == SSL_ERROR_WANT_READ) return Step::kWantRead;
  if (error == SSL_ERROR_WANT_WRITE) return Step::kWantWrite;
  if (transport_.tunnel && !transport_.tunnel->error().empty())
    return fail("proxy: " + transport_.tunnel->error());
  if (handshaking_) return fail(why_handshake_failed(error));
  if (error == SSL_ERROR_ZERO_RETURN) return transport_.ended ? Step::kTruncated : Step::kEnded;
  if (error == SSL_ERROR_SYSCALL) return Step::kBroken;
  const unsigned long first = ERR_peek_error();
  if (auto alert = alert_text(first)) return fail(std::move(*alert));
  return fail("TLS: " + reason_of(first));
}

std::string TlsStream::why_handshake_failed(int openssl_error) const {
  if (transport_.error != 0) return "TLS handshake: " + std::generic_category().message(transport_.error);
  if (transport_.ended) return "TLS handshake: the other side closed the connection";
  const unsigned long first = ERR_peek_error();
  if (is_refused_certificate(first)) return certificate_text(SSL_get_verify_result(ssl_.get()));
  if (auto alert = alert_text(first)) return *alert;
  if (openssl_error == SSL_ERROR_ZERO_RETURN) return "TLS handshake: the other side ended it";
  return "TLS handshake: " + reason_of(first);
}

}  // namespace outboxd
