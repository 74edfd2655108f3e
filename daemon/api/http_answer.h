// The one place where answers become bytes.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "api/exchange.h"
#include "api/http_refusal.h"

namespace outboxd::api {

struct AnswerFraming {
  bool keep_alive = true;
  bool http_1_0 = false;    // the client must be told that the connection stays open
  bool head_only = false;   // the request was HEAD: content-length as for GET, no content
  bool open_ended = false;  // no content-length: the content ends with the connection
  bool shown = false;       // a browser may show it as a page: the method was GET, or is not known
};

// Status line, headers and content in one piece, for one write. `date` is an IMF-fixdate. Control characters in extra
// headers' values become spaces. Browsers are told not to guess the type, not to cache, and not to load or run anything
// from a page they show; an answer's own Cache-Control or Content-Security-Policy takes precedence.
std::string render_answer(const Answer& answer, const AnswerFraming& framing, std::string_view date);

// The problem+json of a refused request; knows 400, 408, 413, 414, 417, 431 and 503.
Answer refusal_answer(const HttpRefusal& refusal);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), made anew once a second. For one thread.
class DateHeader {
 public:
  std::string_view at(std::chrono::system_clock::time_point now);

 private:
  std::chrono::sys_seconds second_{std::chrono::seconds(-1)};
  std::string text_;
};

}  // namespace outboxd::api
