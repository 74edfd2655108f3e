// The column `secrets`: all that is secret about an endpoint, as a JSON list, each one sealed if there is a key. What is
// secret of `auth` and `signatures` is here too, so that one place encrypts, counts and re-encrypts everything.
//
//   [{"text" or "sealed" and "key", "created_at", "expires_at"}, ..., {..., "use": "auth"}, {..., "use": "signature"}, ...]
#pragma once

#include <string>
#include <string_view>

#include "common/endpoint.h"
#include "common/problem.h"
#include "common/secret_box.h"
#include "store/reads.h"

namespace outboxd {

std::string encode_secrets(const Endpoint& endpoint, const SecretBox* box);  // null: in plain text
// Puts them into `endpoint`, whose id, auth and signatures are set already, all but their secrets.
void decode_secrets(std::string_view stored, const SecretBox* box, Endpoint& endpoint);
// The column with every secret sealed again by the current key.
std::string recode_secrets(std::string_view stored, const EndpointId& endpoint, const SecretBox& box);
// The same, or "" if they are sealed by the current key already. kConflict: one is sealed by a key that is not there.
Result<std::string> recode_if_needed(std::string_view stored, const EndpointId& endpoint,
                                     const SecretBox& box);
void count_secret_keys(std::string_view stored, SecretKeys& counts);

}  // namespace outboxd
