// Small functions on text and bytes: encodings, hashing, comparison, UTF-8. Pure, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd {

// RFC 4648 section 4: the standard alphabet, written with padding. Decoding takes correct padding or none, and refuses
// everything else: foreign characters, line breaks, left-over bits that are not zero.
std::string base64_encode(std::string_view bytes);
void append_base64(std::string& out, std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

// Encodes to lower case; decodes either case.
std::string hex_encode(std::string_view bytes);
std::optional<std::string> hex_decode(std::string_view text);

// The digest, 32 raw bytes, of `bytes` followed by `more`.
std::string sha256(std::string_view bytes, std::string_view more = {});

// Takes the same time wherever the two differ; timing reveals only whether their lengths are equal.
bool constant_time_equal(std::string_view a, std::string_view b);

std::string ascii_lower(std::string_view text);
bool ascii_iequals(std::string_view a, std::string_view b);

// Without the blanks at both ends. HTTP itself allows only spaces and tabs (RFC 9110 section 5.6.3).
inline constexpr std::string_view kHttpBlanks = " \t";
std::string_view trim(std::string_view text, std::string_view blanks = " \t\r\n");

// RFC 9110 section 5.6.2: the characters of methods and header names.
inline constexpr std::string_view kTokenChars =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
bool is_token_char(char c);
bool is_token(std::string_view text);  // not empty

// The length of the well-formed UTF-8 sequence that `text` begins with (Unicode table 3-7: no overlong forms,
// no surrogates, nothing over U+10FFFF), or 0 if it begins with none.
std::size_t utf8_sequence_length(std::string_view text);
bool is_valid_utf8(std::string_view text);

// `sequence` must be one well-formed UTF-8 sequence.
std::uint32_t code_point(std::string_view sequence);

// Is `sequence`, one well-formed UTF-8 sequence, DEL, a C1 control, a line separator or a bidirectional control
// (Unicode 9.2.3)?
bool acts_on_terminal(std::string_view sequence);

// For terminals and logs: control characters (C0, DEL, C1), line separators, bidirectional controls and bytes that are
// not UTF-8 become \xNN, so that text from outside cannot move the cursor, forge a line or reorder what is read.
std::string escape_control(std::string_view text);

// The whole text as a decimal number that fits in 64 bits: an optional minus sign and digits, nothing else.
std::optional<std::int64_t> parse_int(std::string_view text);

}  // namespace outboxd
