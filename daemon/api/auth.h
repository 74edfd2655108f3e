// Who may call over TCP: bearer tokens with a scope, read from the file of [listen] tokens_file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"
#include "common/api_token.h"

namespace outboxd::api {

inline constexpr std::string_view kProducersOnly =
    "TCP without tokens serves producers only: events, /healthz and /readyz. Operators, and whoever scrapes "
    "/metrics, use the admin socket (outboxctl --socket), or a token of scope view (reads) or admin: set "
    "[listen] tokens_file and run outboxctl token create NAME --scope admin.";

class Authenticator {
 public:
  // Reads the tokens of a file (its format: common/api_token.h). Errors begin with its path. A file without tokens is
  // not an error: then nobody may call.
  static Result<std::shared_ptr<const Authenticator>> from_file(const std::string& path);
  static Result<std::shared_ptr<const Authenticator>> from_text(std::string_view text,
                                                                const std::string& path);
  static std::shared_ptr<const Authenticator> nobody();
  // For when no tokens are configured: every caller over TCP, which is then loopback only, is a producer and never an
  // operator, because anybody with an account on the machine can connect.
  static std::shared_ptr<const Authenticator> without_tokens();

  bool has_tokens() const { return !tokens_.empty(); }
  bool asks_for_tokens() const { return !open_; }
  struct TokenGrant : Grant {
    std::string_view name = {};  // of the token, "" without one; valid as long as this authenticator
  };
  // What a caller with this Authorization header ("" when absent) may do. kUnauthorized if a token is needed and the
  // header holds none or a wrong one. The time it takes does not depend on which token matches.
  Result<TokenGrant> authorise(std::string_view authorization) const;
  // The same for the token alone.
  Result<TokenGrant> authorise_token(std::string_view token) const;

 private:
  std::vector<ApiToken> tokens_;
  bool open_ = false;
};

}  // namespace outboxd::api
