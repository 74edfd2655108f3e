// Helps a refusal of an unknown word: lists the accepted words and suggests the one probably meant. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace outboxd {

// The known word that is nearest to `word`, if it could be a typing error; the first of equals; "" if none. Ignoring
// case and `-` for `_`, at most one character in three (at least one) may be changed, missing, added or swapped, and
// always fewer than the known word has.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// "; did you mean \"payload\"?", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

// "raw, standard or cloudevents".
std::string one_of(std::span<const std::string_view> words);

// Text from outside, short enough to repeat: its first 64 bytes (whole characters) in quotes, with `…` when it is cut.
// Invalid UTF-8 becomes U+FFFD.
std::string in_quotes(std::string_view text);

}  // namespace outboxd
