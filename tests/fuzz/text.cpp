// Encodings, UTF-8, and text for terminals.
#include "common/text.h"
#include "common/json.h"
#include "fuzz/target.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  HOLDS(base64_decode(base64_encode(input)) == input && hex_decode(hex_encode(input)) == input);
  if (const auto bytes = base64_decode(input)) {
    const auto canonical = base64_encode(*bytes);
    HOLDS(canonical.starts_with(input) &&
          canonical.find_first_not_of('=', input.size()) == std::string::npos);
  }
  if (const auto bytes = hex_decode(input)) HOLDS(hex_encode(*bytes) == ascii_lower(input));

  // nlohmann refuses to dump a string that is no UTF-8: the second opinion.
  bool valid = true;
  try {
    (void)nlohmann::json(std::string(input)).dump();
  } catch (const nlohmann::json::type_error&) {
    valid = false;
  }
  HOLDS(is_valid_utf8(input) == valid);
  HOLDS(is_valid_utf8(valid_utf8(input)) && (!valid || valid_utf8(input) == input));

  const auto shown = escape_control(input);
  HOLDS(is_valid_utf8(shown) && escape_control(shown) == shown);
  for (const char c : shown) HOLDS(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
}
