// What went wrong with a request, as users see it (RFC 9457 problem details): the one error type of functions that may
// refuse. Failures that cannot be handled where they occur (the store's I/O errors) are exceptions instead, see
// daemon/store/store.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace outboxd {

enum class ProblemCode {
  kMalformed,             // 400: not HTTP, not JSON, not UTF-8
  kUnauthorized,          // 401: no token, or an unknown one
  kForbidden,             // 403: the token's scope, the socket or the Host does not allow it
  kNotFound,              // 404
  kMethodNotAllowed,      // 405
  kConflict,              // 409: not in a state that allows it
  kTooLarge,              // 413
  kUnsupportedMediaType,  // 415
  kInvalidEvent,          // 422
  kInvalidEndpoint,       // 422
  kInvalidParameter,      // 422: a query parameter or the body of an action
  kIdempotencyConflict,   // 422: the key was used with other content
  kHeaderTooLarge,        // 431
  kTooManyRequests,       // 429
  kInternal,              // 500
  kNotImplemented,        // 501
  kUnavailable,           // 503: busy, stopping, or the store is locked
  kInsufficientStorage,   // 507: the disk is full
};

// One bad field. `pointer` is an RFC 6901 JSON Pointer into the request body ("/payload", "/3/type"), or
// the name of a query parameter or header for requests without a body.
struct FieldError {
  std::string pointer;
  std::string detail;
  bool operator==(const FieldError&) const = default;
};

// One step of such a pointer, RFC 6901 section 3: "/type", "/a~1b".
std::string pointer_to(std::string_view member);

// One line for readers who see no list: the first error, and how many more there are. `errors` must not be empty.
std::string summary_of(const std::vector<FieldError>& errors);

struct Problem {
  ProblemCode code = ProblemCode::kInternal;
  std::string detail;
  std::vector<FieldError> errors = {};
};

template <class T>
using Result = tl::expected<T, Problem>;

inline tl::unexpected<Problem> problem(ProblemCode code, std::string detail,
                                       std::vector<FieldError> errors = {}) {
  return tl::unexpected<Problem>(Problem{code, std::move(detail), std::move(errors)});
}

// The fixed parts of a code: the HTTP status, the last segment of the `type` URI, and the title.
struct ProblemKind {
  int status;
  std::string_view slug;  // "invalid-event": the type is "/problems/invalid-event"
  std::string_view title;
};
const ProblemKind& kind_of(ProblemCode code);

}  // namespace outboxd
