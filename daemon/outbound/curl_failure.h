// Why a transfer gave no response: as one of our outcomes and in words for people.
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

// How far a transfer got before it ended.
struct Progress {
  bool tls_started = false;
  bool connected = false;  // TLS included
  bool head_began = false;
  std::size_t body_bytes = 0;  // size of the request body
};

// For a transfer that ended with `code`; `detail` is the content of libcurl's error buffer.
Failure failure_of(CURL* easy, CURLcode code, std::string_view detail, const Progress& progress,
                   Millis connect_timeout);

// For a transfer whose request was already sent: does `code` mean that libcurl looked for another connection, to send
// the request again?
bool is_want_of_connection(CURLcode code);

// What a transfer was doing when it timed out: "connecting", "waiting for the response".
std::string_view stage_of(CURL* easy, const Progress& progress);

}  // namespace outboxd
