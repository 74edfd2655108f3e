#include "common/problem.h"

#include <array>

namespace outboxd {
namespace {

// In the order of ProblemCode.
constexpr std::array<ProblemKind, 18> kKinds = {{
    {400, "malformed", "The request is malformed"},
    {401, "unauthorized", "A valid token is required"},
    {403, "forbidden", "The caller may not do this"},
    {404, "not-found", "There is no such resource"},
    {405, "method-not-allowed", "The resource does not take this method"},
    {409, "conflict", "The state of the resource does not allow this"},
    {413, "too-large", "The request is too large"},
    {415, "unsupported-media-type", "The content type is not supported"},
    {422, "invalid-event", "The event is invalid"},
    {422, "invalid-endpoint", "The endpoint is invalid"},
    {422, "invalid-parameter", "A parameter is invalid"},
    {422, "idempotency-conflict", "The idempotency key was used with other content"},
    {431, "header-too-large", "The request's header is too large"},
    {429, "too-many-requests", "Too many requests"},
    {500, "internal", "Internal error"},
    {501, "not-implemented", "Not supported by this version"},
    {503, "unavailable", "The service is unavailable for the moment"},
    {507, "insufficient-storage", "The disk is full"},
}};
static_assert(kKinds.size() == static_cast<std::size_t>(ProblemCode::kInsufficientStorage) + 1);

}  // namespace

std::string pointer_to(std::string_view member) {
  std::string pointer = "/";
  for (const char c : member) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
  return pointer;
}

std::string summary_of(const std::vector<FieldError>& errors) {
  std::string text = errors.front().pointer + ' ' + errors.front().detail;
  if (errors.size() > 1) text += " (and " + std::to_string(errors.size() - 1) + " more)";
  return text;
}

const ProblemKind& kind_of(ProblemCode code) {
  return kKinds.at(static_cast<std::size_t>(code));
}

}  // namespace outboxd
