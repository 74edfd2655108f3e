// Why a transfer gave no response, in our classes and in words for people.
#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "common/attempt.h"
#include "common/time.h"

namespace outboxd {

struct Failure {
  Outcome outcome;
  std::string text;
};

// Of a transfer that ended with `code`; `detail` is what libcurl wrote to its error buffer.
Failure failure_of(CURL* easy, CURLcode code, std::string_view detail, bool tls_started,
                   Millis connect_timeout);

// What a transfer that ran out of time was doing: "connecting", "waiting for the response".
std::string_view stage_of(CURL* easy, bool tls_started, std::size_t body_bytes, bool head_began);

}  // namespace outboxd
