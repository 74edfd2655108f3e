#include "outbound/curl_failure.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <system_error>

namespace outboxd {
namespace {

constexpr std::size_t kMaxDetail = 160;

// Shortens a detail for people: libcurl's details end in numbers and OpenSSL's start with library paths, as in
// "OpenSSL/3.0.17: error:0A00010B:SSL routines::wrong version number", of which "wrong version number" is enough.
std::string tidy(std::string_view detail) {
  if (const auto at = detail.rfind("::"); at != std::string_view::npos) detail.remove_prefix(at + 2);
  return std::string(detail.substr(0, kMaxDetail));
}

std::string system_error_text(CURL* easy, const char* otherwise) {
  long error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
  switch (error) {
    case 0:
      return otherwise;
    case ECONNREFUSED:
      return "connection refused";
    case ECONNRESET:
      return "connection reset";
    case EHOSTUNREACH:
      return "no route to host";
    case ENETUNREACH:
      return "network is unreachable";
    case EPIPE:
      return "connection closed by the other side";
    case EMFILE:
    case ENFILE:
      return "too many open files on this host";
    default:
      return std::generic_category().message(static_cast<int>(error));
  }
}

std::string certificate_text(CURL* easy, std::string_view detail) {
  long result = X509_V_OK;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
  // Before the chain is checked, libcurl leaves "unspecified" there.
  if (result != X509_V_OK && result != X509_V_ERR_UNSPECIFIED) return X509_verify_cert_error_string(result);
  if (detail.find("subject name") != std::string_view::npos) return "certificate is not for this host";
  return detail.empty() ? "certificate could not be verified" : tidy(detail);
}

// The TLS alert sent by the other side: "... routines::tlsv13 alert certificate required, errno 0". In TLS 1.3 the
// refusal of a client certificate shows only after the handshake.
std::optional<std::string> tls_alert(std::string_view detail) {
  constexpr std::string_view kAlert = " alert ";
  const auto at = detail.find(kAlert);
  if (at == std::string_view::npos) return std::nullopt;
  detail.remove_prefix(at + kAlert.size());
  return std::string(detail.substr(0, std::min(detail.find(','), kMaxDetail)));
}

Failure timed_out(CURL* easy, const Progress& progress, Millis connect_timeout) {
  std::string text = "timed out after " + format_duration(connect_timeout) + " ";
  text.append(stage_of(easy, progress));
  return {Outcome::kTimeout, std::move(text)};
}

std::string or_code(std::string_view detail, CURLcode code) {
  return detail.empty() ? curl_easy_strerror(code) : tidy(detail);
}

}  // namespace

bool is_want_of_connection(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_ABORTED_BY_CALLBACK;
}

std::string_view stage_of(CURL* easy, const Progress& progress) {
  if (!progress.connected) return progress.tls_started ? "in the TLS handshake" : "connecting";
  if (progress.head_began) return "reading the response's headers";
  curl_off_t sent = 0;
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
  if (static_cast<std::size_t>(sent) < progress.body_bytes) return "sending the request";
  return "waiting for the response";
}

Failure failure_of(CURL* easy, CURLcode code, std::string_view detail, const Progress& progress,
                   Millis connect_timeout) {
  switch (code) {
    case CURLE_OK:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
      return {Outcome::kProtocol, "the connection was closed before the response was complete"};
    case CURLE_OPERATION_TIMEDOUT:
      return timed_out(easy, progress, connect_timeout);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {Outcome::kDns, "could not resolve host"};
    case CURLE_COULDNT_CONNECT:
      return {Outcome::kConnect, system_error_text(easy, "could not connect")};
    case CURLE_PROXY:
      return {Outcome::kConnect, "proxy: " + or_code(detail, code)};
    case CURLE_PEER_FAILED_VERIFICATION:
      return {Outcome::kTls, certificate_text(easy, detail)};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
      return {Outcome::kTls, "TLS handshake: " + or_code(detail, code)};
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: {
      long tunnel = 0;
      curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
      if (tunnel >= 300)
        return {Outcome::kConnect, "the proxy refused the tunnel with status " + std::to_string(tunnel)};
      if (auto alert = tls_alert(detail)) return {Outcome::kTls, "the other side ended TLS: " + *alert};
      return {Outcome::kProtocol,
              system_error_text(easy, "connection failed") + " before the response was complete"};
    }
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {Outcome::kProtocol, "the response is not HTTP/1"};
    case CURLE_OUT_OF_MEMORY:
      return {Outcome::kProtocol, "a header line of the response is too long"};
    default:
      return {Outcome::kProtocol, or_code(detail, code)};
  }
}

}  // namespace outboxd
