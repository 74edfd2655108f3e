// Bearer tokens of the API over TCP, as their file has them: a line each, `<scope> <SHA-256 of the token, hex> [name]`;
// # begins a comment. A token is 256 random bits, so its plain hash gives nothing away: there is no dictionary to try.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/problem.h"

namespace outboxd {

inline constexpr std::size_t kMaxTokens = 1000;
inline constexpr std::size_t kMaxTokenName = 64;

struct ApiToken {
  bool admin = false;  // else of scope ingest
  std::string sha256;  // 32 bytes
  std::string name;
  std::string scope() const { return admin ? "admin" : "ingest"; }
  std::string id() const;  // the first 12 hex digits of the hash
};

// "obx_" and 64 hex digits.
std::string new_token();
ApiToken token_of(std::string_view text, bool admin, std::string name);
bool is_token_name(std::string_view name);   // visible ASCII without #
std::string line_of(const ApiToken& token);  // without the line's end

// The error names `path` and the line, and quotes nothing: somebody may have written the token itself.
Result<std::vector<ApiToken>> parse_tokens(std::string_view text, const std::string& path);

}  // namespace outboxd
