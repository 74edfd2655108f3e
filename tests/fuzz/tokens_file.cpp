// The tokens file: nobody gets in by a token whose SHA-256 it does not list.   the file, then a token
#include <fstream>

#include "api/auth.h"
#include "common/text.h"
#include "fuzz/target.h"
#include "support/temporary_folder.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  static const test::TemporaryFolder folder;
  static const std::string path = folder / "tokens";
  fuzz::Parts parts(input);
  const auto text = parts.next();
  const std::string token(parts.next());
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));

  const auto tokens = api::Authenticator::from_file(path);
  if (!tokens) {
    HOLDS(tokens.error().detail.starts_with(path) && is_valid_utf8(tokens.error().detail));
    return;
  }
  HOLDS(!(*tokens)->authorise("") && !(*tokens)->authorise("Bearer"));
  const bool listed = ascii_lower(text).find(hex_encode(sha256(token))) != std::string::npos;
  const auto grant = (*tokens)->authorise("Bearer " + token);
  HOLDS(!grant || listed);
  if (grant) HOLDS(grant->scope != api::Scope::kNone && (!grant->tenant || !grant->tenant->empty()));
  const auto raw = (*tokens)->authorise(input);  // as an Authorization header
  HOLDS(!raw || input.size() > 7);
}
