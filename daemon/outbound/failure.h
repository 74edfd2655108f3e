// Why a request got no response: as one of our outcomes and in words for people.
#pragma once

#include <string>
#include <string_view>

#include "common/attempt.h"
#include "common/time.h"

namespace outboxd {

struct Failure {
  Outcome outcome = Outcome::kConnect;
  std::string text;
};

// How far a request had got when it ended.
enum class Stage { kResolving, kConnecting, kTlsHandshake, kSending, kWaiting, kReadingHead };

// "connection refused", "too many open files on this host"; `error` is an errno.
std::string system_error_text(int error);

Failure connect_failure(int error);
// The connection was lost while the request was under way; `error` is 0 if the other side ended it in order.
Failure lost_connection(int error);
Failure timed_out(Millis limit, Stage stage);

}  // namespace outboxd
