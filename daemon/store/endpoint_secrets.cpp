#include "store/endpoint_secrets.h"

#include "common/text.h"
#include "store/column_values.h"

namespace outboxd {
namespace {

constexpr const char* kAuth = "auth";
constexpr const char* kSignature = "signature";
constexpr const char* kSigning = "signing";  // what it is for if it does not say

// Ties a sealed secret to its endpoint's row, so that it opens nowhere else.
std::string place_of(const EndpointId& endpoint) {
  return "endpoint.secrets " + endpoint.to_string();
}

void store_secret(Json& one, const std::string& text, const EndpointId& endpoint, const SecretBox* box) {
  if (box == nullptr) {
    one["text"] = text;
    return;
  }
  const auto sealed = box->seal(text, place_of(endpoint));
  one["sealed"] = base64_encode(sealed.bytes);
  one["key"] = sealed.key_id;
}

std::string open_secret(const Json& one, const EndpointId& endpoint, const SecretBox* box) {
  if (!one.contains("sealed")) return one.at("text").get<std::string>();
  const SecretBox::Sealed sealed{one.at("key").get<std::string>(),
                                 base64_decode(one.at("sealed").get<std::string>()).value_or("")};
  if (box == nullptr || !box->has(sealed.key_id)) {
    throw StoreError(StoreError::Kind::kMissingKey,
                     "the secrets of endpoint " + endpoint.to_string() + " are encrypted with key " +
                         sealed.key_id + ": add its line to the file of [store] secrets_key_file" +
                         (box == nullptr ? ", which is not configured" : ""));
  }
  const auto text = box->open(sealed, place_of(endpoint));
  if (!text) corrupt("a secret of endpoint " + endpoint.to_string() + ", which does not decrypt");
  return *text;
}

}  // namespace

std::string encode_secrets(const Endpoint& endpoint, const SecretBox* box) {
  Json list = Json::array();
  for (const auto& secret : endpoint.secrets) {
    Json one = Json::object();
    store_secret(one, secret.text, endpoint.id, box);
    one["created_at"] = unix_millis(secret.created_at);
    if (secret.expires_at) one["expires_at"] = unix_millis(*secret.expires_at);
    list.push_back(std::move(one));
  }
  const auto add = [&](const std::string& text, const char* use) {
    Json one = {{"use", use}};
    store_secret(one, text, endpoint.id, box);
    list.push_back(std::move(one));
  };
  if (endpoint.auth) add(endpoint.auth->secret, kAuth);
  for (const LegacySignature& signature : endpoint.signatures) add(signature.secret, kSignature);
  return dump(list);
}

void decode_secrets(std::string_view stored, const SecretBox* box, Endpoint& endpoint) {
  endpoint.secrets.clear();
  std::size_t signatures = 0;
  bool auth = false;
  for_each(stored, "endpoint.secrets", [&](const Json& one) {
    std::string text = open_secret(one, endpoint.id, box);
    const std::string use = one.value("use", kSigning);
    if (use == kAuth && endpoint.auth && !auth) {
      endpoint.auth->secret = std::move(text);
      auth = true;
    } else if (use == kSignature && signatures < endpoint.signatures.size()) {
      endpoint.signatures[signatures++].secret = std::move(text);
    } else if (use == kSigning) {
      EndpointSecret secret{std::move(text), from_unix_millis(one.at("created_at").get<std::int64_t>()),
                            std::nullopt};
      if (one.contains("expires_at"))
        secret.expires_at = from_unix_millis(one.at("expires_at").get<std::int64_t>());
      endpoint.secrets.push_back(std::move(secret));
    } else {
      corrupt("endpoint.secrets");
    }
  });
  if (signatures != endpoint.signatures.size() || auth != endpoint.auth.has_value())
    corrupt("endpoint.secrets");
}

std::string recode_secrets(std::string_view stored, const EndpointId& endpoint, const SecretBox& box) {
  Json list = Json::array();
  for_each(stored, "endpoint.secrets", [&](const Json& stored_one) {
    Json one = stored_one;
    const std::string text = open_secret(one, endpoint, &box);
    one.erase("text");
    store_secret(one, text, endpoint, &box);
    list.push_back(std::move(one));
  });
  return dump(list);
}

Result<std::string> recode_if_needed(std::string_view stored, const EndpointId& endpoint,
                                     const SecretBox& box) {
  SecretKeys keys;
  count_secret_keys(stored, keys);
  if (keys.empty() || (keys.size() == 1 && keys.begin()->first == box.key_id())) return std::string();
  for (const auto& [key, count] : keys) {
    if (key.empty() || box.has(key)) continue;
    return problem(ProblemCode::kConflict, "the secrets of endpoint " + endpoint.to_string() +
                                               " are encrypted with key " + key +
                                               ", which [store] secrets_key_file does not have");
  }
  return recode_secrets(stored, endpoint, box);
}

void count_secret_keys(std::string_view stored, SecretKeys& counts) {
  for_each(stored, "endpoint.secrets",
           [&counts](const Json& one) { ++counts[one.value("key", std::string())]; });
}

}  // namespace outboxd
