#include "common/json_words.h"

#include "common/words.h"

namespace outboxd {

std::string got(const JsonSpan& span) {
  constexpr std::size_t kMaxShown = 64;  // digits of a number
  if (span.kind == JsonKind::kObject) return "; got an object";
  if (span.kind == JsonKind::kArray) return "; got an array";
  if (span.kind == JsonKind::kString) return "; got " + in_quotes(json_string(span).value_or("?"));
  return "; got " + std::string(span.text.substr(0, kMaxShown));
}

}  // namespace outboxd
