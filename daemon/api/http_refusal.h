// Why the bytes of a client are no acceptable HTTP request. The connection's framing is in doubt then, so
// after a refusal it is answered and closed, never read on.
#pragma once

#include <string>

#include <tl/expected.hpp>

namespace outboxd::api {

struct HttpRefusal {
  int status = 400;  // one that refusal_answer() of http_answer.h knows
  std::string detail;
};

inline tl::unexpected<HttpRefusal> refuse(int status, std::string detail) {
  return tl::unexpected<HttpRefusal>(HttpRefusal{status, std::move(detail)});
}

}  // namespace outboxd::api
