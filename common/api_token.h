// Bearer tokens of the API over TCP, in the format of their file: one token per line, `<scope>[:<tenant>] <SHA-256 of
// the token, hex> [name]`; # begins a comment. A plain hash is safe to store because a token is 256 random bits, out of reach of
// any dictionary.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/problem.h"

namespace outboxd {

inline constexpr std::size_t kMaxTokens = 1000;
inline constexpr std::size_t kMaxTokenName = 64;

enum class TokenScope { kIngest, kView, kAdmin };
std::string_view to_string(TokenScope scope);
std::optional<TokenScope> parse_token_scope(std::string_view text);

struct ApiToken {
  TokenScope scope = TokenScope::kIngest;
  std::optional<std::string> tenant;  // its only one, not empty; absent: all
  std::string sha256;                 // 32 bytes
  std::string name;
  std::string id() const;  // the first 12 hex digits of the hash
};

// "obx_" and 64 hex digits.
std::string new_token();
ApiToken token_of(std::string_view text, TokenScope scope, std::optional<std::string> tenant,
                  std::string name);
bool is_token_name(std::string_view name);   // visible ASCII without #
std::string line_of(const ApiToken& token);  // without the newline

// The error names `path` and the line but quotes nothing, because the line may hold the token itself by mistake.
Result<std::vector<ApiToken>> parse_tokens(std::string_view text, const std::string& path);

}  // namespace outboxd
