#include "common/roff.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/text.h"

namespace outboxd {

std::string roff_text(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(rest));
    const std::string_view one = rest.substr(0, length);
    rest.remove_prefix(length);
    if (line_begins && (one == "." || one == "'")) out += "\\&";
    line_begins = one == "\n";
    if (one == "\\") {
      out += "\\e";
    } else if (one == "-") {
      out += "\\-";
    } else if (length > 1) {
      std::array<char, 16> escape;
      std::snprintf(escape.data(), escape.size(), "\\[u%04X]", static_cast<unsigned>(code_point(one)));
      out += escape.data();
    } else {
      out += one;
    }
  }
  return out;
}

std::string roff_item(std::string_view term, std::string_view meaning) {
  return ".TP\n\\fB" + roff_text(term) + "\\fR\n" + roff_text(meaning) + '\n';
}

}  // namespace outboxd
