// What a refusal says of a word it does not know: the words there are, and the one that was probably meant. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace outboxd {

// One that differs from `word` by a slip of the hand: case and `-` for `_` aside, one changed, missing, added or swapped
// character in three, and never so many that little of it is left. The nearest of them, the first of equals; "": none.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// "; did you mean \"payload\"?", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

// "raw, standard or cloudevents".
std::string one_of(std::span<const std::string_view> words);

// Text that is not ours, short enough to repeat: its first 64 bytes (whole characters) in quotes, with `…` when it is cut.
// What is no UTF-8 becomes U+FFFD.
std::string in_quotes(std::string_view text);

}  // namespace outboxd
