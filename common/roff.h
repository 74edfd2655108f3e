// Text for manual pages, in the language of man(7). Pure.
#pragma once

#include <string>
#include <string_view>

namespace outboxd {

// A piece of text that means nothing to roff: its backslashes, hyphens and characters beyond ASCII escaped, and whatever
// begins a line like a request does not.
std::string roff_text(std::string_view text);
// ".TP", the term in bold, and what it means.
std::string roff_item(std::string_view term, std::string_view meaning);

}  // namespace outboxd
