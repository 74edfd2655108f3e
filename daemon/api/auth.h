// Who may call over TCP: bearer tokens with a scope, read from the file of [listen] tokens_file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"
#include "common/api_token.h"

namespace outboxd::api {

class Authenticator {
 public:
  // The tokens of a file (common/api_token.h). The error begins with its path. A file without tokens is read as
  // well: then nobody may call.
  static Result<std::shared_ptr<const Authenticator>> from_file(const std::string& path);
  static Result<std::shared_ptr<const Authenticator>> from_text(std::string_view text,
                                                                const std::string& path);
  static std::shared_ptr<const Authenticator> nobody();
  // No tokens configured: callers on TCP (which is loopback only then) are producers. Anybody with an account on the
  // machine may be one, and none of them is an operator.
  static std::shared_ptr<const Authenticator> without_tokens();

  bool has_tokens() const { return !tokens_.empty(); }
  bool asks_for_tokens() const { return !open_; }
  struct Grant {
    Scope scope = Scope::kNone;
    std::string_view name;  // of the token, "" without one; as long as this authenticator
  };
  // What a caller with this Authorization header ("" when absent) may do. kUnauthorized for none or a wrong
  // one. Constant time in the token.
  Result<Grant> authorise(std::string_view authorization) const;

 private:
  std::vector<ApiToken> tokens_;
  bool open_ = false;
};

}  // namespace outboxd::api
