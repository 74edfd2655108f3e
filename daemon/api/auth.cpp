#include "api/auth.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "api/http_head.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxTokens = 1000;
constexpr std::size_t kMaxTokenLineBytes = 512;
constexpr std::string_view kScheme = "Bearer ";

std::optional<Scope> parse_scope(std::string_view word) {
  if (word == "ingest") return Scope::kIngest;
  if (word == "admin") return Scope::kAdmin;
  return std::nullopt;
}

constexpr std::size_t kSha256Bytes = 32;

// The 32 bytes of a SHA-256 in hex.
std::optional<std::string> parse_sha256(std::string_view hex) {
  auto bytes = hex_decode(ascii_lower(hex));
  if (!bytes || bytes->size() != kSha256Bytes) return std::nullopt;
  return bytes;
}

tl::unexpected<Problem> bad_file(const std::string& path, std::size_t line, const std::string& what) {
  return problem(ProblemCode::kInvalidParameter, path + ":" + std::to_string(line) + ": " + what);
}

}  // namespace

Result<std::shared_ptr<const Authenticator>> Authenticator::from_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return problem(ProblemCode::kInvalidParameter,
                   path + ": cannot read the tokens file: " + std::strerror(errno) +
                       "; check [listen] tokens_file and the file's mode.");
  }
  const auto authenticator = std::make_shared<Authenticator>();
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.size() > kMaxTokenLineBytes) return bad_file(path, number, "the line is too long.");
    std::istringstream words(line.substr(0, line.find('#')));
    std::string scope_word, hex, name, more;
    if (!(words >> scope_word)) continue;
    words >> hex >> name;
    const auto scope = parse_scope(scope_word);
    if (!scope)
      return bad_file(path, number,
                      "the scope must be ingest or admin: <scope> <sha256 of the token, hex> [name].");
    auto digest = parse_sha256(hex);
    // Never quoted: somebody may have written the token itself.
    if (!digest)
      return bad_file(
          path, number,
          "the second word must be the token's SHA-256 in 64 hex digits (printf %s TOKEN | sha256sum).");
    if (words >> more) return bad_file(path, number, "there are more than three words.");
    const auto same = [&digest](const Token& t) { return t.sha256 == *digest; };
    if (std::ranges::any_of(authenticator->tokens_, same))
      return bad_file(path, number, "the token is listed twice.");
    if (authenticator->tokens_.size() == kMaxTokens)
      return bad_file(path, number, "there are more than 1000 tokens.");
    authenticator->tokens_.push_back({*scope, std::move(*digest), std::move(name)});
  }
  if (file.bad())
    return problem(ProblemCode::kInvalidParameter,
                   path + ": reading the tokens file failed: " + std::strerror(errno));
  if (authenticator->tokens_.empty()) {
    return problem(
        ProblemCode::kInvalidParameter,
        path + ": the tokens file lists no token; nobody could call. Add one or remove tokens_file.");
  }
  return authenticator;
}

std::shared_ptr<const Authenticator> Authenticator::open() {
  const auto authenticator = std::make_shared<Authenticator>();
  authenticator->open_ = true;
  return authenticator;
}

Result<Authenticator::Grant> Authenticator::authorise(std::string_view authorization) const {
  if (open_) return Grant{Scope::kAdmin, ""};
  if (authorization.empty()) {
    return problem(ProblemCode::kUnauthorized,
                   "This needs a token: send the header Authorization: Bearer <token>.");
  }
  if (!equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
    return problem(ProblemCode::kUnauthorized,
                   "The Authorization header must be of the form Bearer <token>.");
  }
  const std::string digest = sha256(authorization.substr(kScheme.size()));
  const Token* found = nullptr;
  for (const auto& token : tokens_) {  // all of them, so that the time says nothing about which one it was
    if (constant_time_equal(token.sha256, digest)) found = &token;
  }
  if (found == nullptr) return problem(ProblemCode::kUnauthorized, "The token is not known.");
  return Grant{found->scope, found->name};
}

}  // namespace outboxd::api
