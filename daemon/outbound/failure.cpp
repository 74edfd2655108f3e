#include "outbound/failure.h"

#include <cerrno>
#include <system_error>

namespace outboxd {
namespace {

std::string_view to_text(Stage stage) {
  switch (stage) {
    case Stage::kResolving:
      return "resolving the host";
    case Stage::kConnecting:
      return "connecting";
    case Stage::kTlsHandshake:
      return "in the TLS handshake";
    case Stage::kSending:
      return "sending the request";
    case Stage::kWaiting:
      return "waiting for the response";
    case Stage::kReadingHead:
      return "reading the response's headers";
  }
  return "";
}

}  // namespace

std::string system_error_text(int error) {
  switch (error) {
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
      return std::generic_category().message(error);
  }
}

Failure connect_failure(int error) {
  return {Outcome::kConnect, error == 0 ? "could not connect" : system_error_text(error)};
}

Failure lost_connection(int error) {
  if (error == 0) return {Outcome::kProtocol, "the connection was closed before the response was complete"};
  return {Outcome::kProtocol, system_error_text(error) + " before the response was complete"};
}

Failure timed_out(Millis limit, Stage stage) {
  return {Outcome::kTimeout, "timed out after " + format_duration(limit) + " " + std::string(to_text(stage))};
}

}  // namespace outboxd
