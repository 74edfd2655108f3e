#include "api/auth.h"

#include "common/text.h"
#include "runtime/secret_file_reader.h"

namespace outboxd::api {
namespace {
constexpr std::string_view kScheme = "Bearer ";

Scope scope_of(const ApiToken& token) {
  switch (token.scope) {
    case TokenScope::kIngest:
      return Scope::kIngest;
    case TokenScope::kView:
      return Scope::kView;
    case TokenScope::kAdmin:
      return Scope::kAdmin;
  }
  return Scope::kNone;
}
}  // namespace

Result<std::shared_ptr<const Authenticator>> Authenticator::from_file(const std::string& path) {
  return read_secret_file(path).and_then([&](const std::string& text) { return from_text(text, path); });
}

Result<std::shared_ptr<const Authenticator>> Authenticator::from_text(std::string_view text,
                                                                      const std::string& path) {
  auto tokens = parse_tokens(text, path);
  if (!tokens) return tl::unexpected(tokens.error());
  const auto authenticator = std::make_shared<Authenticator>();
  authenticator->tokens_ = std::move(*tokens);
  return authenticator;
}

std::shared_ptr<const Authenticator> Authenticator::nobody() {
  return std::make_shared<Authenticator>();
}

std::shared_ptr<const Authenticator> Authenticator::without_tokens() {
  const auto authenticator = std::make_shared<Authenticator>();
  authenticator->open_ = true;
  return authenticator;
}

Result<Authenticator::TokenGrant> Authenticator::authorise(std::string_view authorization) const {
  if (open_) return TokenGrant{{Scope::kIngest}};
  if (authorization.empty()) {
    return problem(ProblemCode::kUnauthorized,
                   "This needs a token: send the header Authorization: Bearer <token>.");
  }
  if (!ascii_iequals(authorization.substr(0, kScheme.size()), kScheme)) {
    return problem(ProblemCode::kUnauthorized,
                   "The Authorization header must be of the form Bearer <token>.");
  }
  return authorise_token(authorization.substr(kScheme.size()));
}

Result<Authenticator::TokenGrant> Authenticator::authorise_token(std::string_view token_text) const {
  if (open_) return TokenGrant{{Scope::kIngest}};
  const std::string digest = sha256(token_text);
  const ApiToken* found = nullptr;
  for (const auto& token : tokens_) {  // all of them, so that the time does not reveal which one matched
    if (constant_time_equal(token.sha256, digest)) found = &token;
  }
  if (found == nullptr) return problem(ProblemCode::kUnauthorized, "The token is not known.");
  return TokenGrant{{scope_of(*found), found->tenant}, found->name};
}

}  // namespace outboxd::api
