#include "common/api_token.h"

#include <algorithm>

#include "common/enum_names.h"
#include "common/event.h"
#include "common/openssl.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxLineBytes = 512;
constexpr std::size_t kSha256Bytes = 32;
constexpr std::size_t kIdDigits = 12;
constexpr std::array<std::string_view, 3> kScopes = {"ingest", "view", "admin"};
static_assert(kScopes.size() == static_cast<std::size_t>(TokenScope::kAdmin) + 1);

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  std::vector<std::string_view> words;
  line = line.substr(0, line.find('#'));
  for (std::size_t at = 0; (at = line.find_first_not_of(kSpace, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kSpace, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

tl::unexpected<std::string> refused(std::string why) {
  return tl::unexpected<std::string>(std::move(why));
}

// The error says why the words are not a token.
tl::expected<ApiToken, std::string> read_token(const std::vector<std::string_view>& words) {
  const std::size_t colon = std::min(words[0].find(':'), words[0].size());
  const auto scope = parse_token_scope(words[0].substr(0, colon));
  if (!scope)
    return refused(
        "the scope must be ingest, view or admin: <scope>[:<tenant>] <SHA-256 of the token, hex> [name]");
  std::optional<std::string> tenant;
  if (colon < words[0].size()) {
    tenant = words[0].substr(colon + 1);
    if (tenant->empty() || !is_tenant(*tenant))
      return refused("the tenant after the scope must be 1 to 128 letters, digits or characters of _.:-");
  }
  auto digest = words.size() > 1 ? hex_decode(words[1]) : std::nullopt;
  if (!digest || digest->size() != kSha256Bytes)
    return refused(
        "the second word must be the token's SHA-256 in 64 hex digits (printf %s TOKEN | sha256sum)");
  if (words.size() > 3) return refused("there are more than three words");
  std::string name(words.size() > 2 ? words[2] : "");
  if (!name.empty() && !is_token_name(name)) return refused("the name must be at most 64 visible characters");
  return ApiToken{*scope, std::move(tenant), std::move(*digest), std::move(name)};
}

}  // namespace

std::string_view to_string(TokenScope scope) {
  return name_of(kScopes, scope);
}

std::optional<TokenScope> parse_token_scope(std::string_view text) {
  return enum_of<TokenScope>(kScopes, text);
}

std::string ApiToken::id() const {
  return hex_encode(sha256).substr(0, kIdDigits);
}

std::string new_token() {
  return "obx_" + hex_encode(random_bytes(32));
}

ApiToken token_of(std::string_view text, TokenScope scope, std::optional<std::string> tenant,
                  std::string name) {
  return {scope, std::move(tenant), sha256(text), std::move(name)};
}

bool is_token_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTokenName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '#'; });
}

std::string line_of(const ApiToken& token) {
  return std::string(to_string(token.scope)) + (token.tenant ? ":" + *token.tenant : "") + " " +
         hex_encode(token.sha256) + (token.name.empty() ? "" : " " + token.name);
}

Result<std::vector<ApiToken>> parse_tokens(std::string_view text, const std::string& path) {
  std::vector<ApiToken> tokens;
  std::size_t number = 0;
  const auto refuse = [&](const std::string& why) {
    return problem(ProblemCode::kInvalidParameter, path + ":" + std::to_string(number) + ": " + why + ".");
  };
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > kMaxLineBytes) return refuse("the line is too long");
    const auto words = words_of(line);
    if (words.empty()) continue;
    auto token = read_token(words);
    if (!token) return refuse(token.error());
    const auto same = [&token](const ApiToken& other) { return other.sha256 == token->sha256; };
    if (std::any_of(tokens.begin(), tokens.end(), same)) return refuse("the token is listed twice");
    if (tokens.size() == kMaxTokens) return refuse("there are more than 1000 tokens");
    tokens.push_back(std::move(*token));
  }
  return tokens;
}

}  // namespace outboxd
