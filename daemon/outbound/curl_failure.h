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

// How far a transfer came before it ended.
struct Progress {
  bool tls_started = false;
  bool connected = false;  // TLS included
  bool head_began = false;
  std::size_t body_bytes = 0;  // to send
};

// Of a transfer that ended with `code`; `detail` is what libcurl wrote to its error buffer.
Failure failure_of(CURL* easy, CURLcode code, std::string_view detail, const Progress& progress,
                   Millis connect_timeout);

// Of a transfer whose request was sent: libcurl looked for another connection to send it again.
bool is_want_of_connection(CURLcode code);

// What a transfer that ran out of time was doing: "connecting", "waiting for the response".
std::string_view stage_of(CURL* easy, const Progress& progress);

}  // namespace outboxd
