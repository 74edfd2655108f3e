// Why the bytes of a client are not an acceptable HTTP request. The connection's framing is in doubt from then on, so
// the request is answered and the connection closed; no further request is read from it.
#pragma once

#include <string>

#include <tl/expected.hpp>

namespace outboxd::api {

struct HttpRefusal {
  int status = 400;  // one of those that refusal_answer() of http_answer.h knows
  std::string detail;
};

inline tl::unexpected<HttpRefusal> refuse(int status, std::string detail) {
  return tl::unexpected<HttpRefusal>(HttpRefusal{status, std::move(detail)});
}

}  // namespace outboxd::api
