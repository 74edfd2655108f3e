// Who may call over TCP: bearer tokens with a scope, read from the file of [listen] tokens_file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"

namespace outboxd::api {

class Authenticator {
 public:
  // One token a line: `<scope> <sha256 of the token, hex> [name]`; # comments. Scopes: ingest, admin. Errors:
  // file:line and what is wrong.
  static Result<std::shared_ptr<const Authenticator>> from_file(const std::string& path);
  // No tokens configured: callers on TCP (which is loopback only then) may do everything.
  static std::shared_ptr<const Authenticator> open();

  bool has_tokens() const { return !tokens_.empty(); }
  struct Grant {
    Scope scope = Scope::kNone;
    std::string_view name;  // of the token, "" without one; as long as this authenticator
  };
  // What a caller with this Authorization header ("" when absent) may do. kUnauthorized for none or a wrong
  // one. Constant time in the token.
  Result<Grant> authorise(std::string_view authorization) const;

 private:
  struct Token {
    Scope scope;
    std::string sha256;
    std::string name;
  };
  std::vector<Token> tokens_;
  bool open_ = false;
};

}  // namespace outboxd::api
