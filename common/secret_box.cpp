#include "common/secret_box.h"

#include <openssl/evp.h>

#include <algorithm>

#include "common/openssl.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr int kNonceBytes = 12;  // GCM's own size; random, which is safe for 2^32 secrets per key
constexpr int kTagBytes = 16;
constexpr std::size_t kIdBytes = 8;

using Context = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;

int length_of(std::string_view text) {
  return static_cast<int>(text.size());
}

std::string id_of(std::string_view key) {
  return "k" + hex_encode(sha256("outboxd secret key id" + std::string(key)).substr(0, kIdBytes));
}

}  // namespace

Result<SecretBox> SecretBox::parse(std::string_view file, const std::string& path) {
  SecretBox box;
  for (std::size_t number = 1; !file.empty(); ++number) {
    const auto end = std::min(file.find('\n'), file.size());
    const std::string_view line = trim(file.substr(0, std::min(end, file.find('#'))));
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.empty()) continue;
    const auto refused = [&](const char* why) {
      return problem(ProblemCode::kInvalidParameter, path + ":" + std::to_string(number) + ": " + why);
    };
    auto key = hex_decode(line);
    if (!key || key->size() != kKeyBytes)
      return refused("a key is 64 hex digits on a line of its own (openssl rand -hex 32)");
    std::string id = id_of(*key);
    if (box.has(id)) return refused("the key is listed twice");
    if (box.keys_.size() == kMaxSecretKeys) return refused("there are more than 32 keys");
    box.keys_.push_back({std::move(id), std::move(*key)});
  }
  if (box.keys_.empty())
    return problem(ProblemCode::kInvalidParameter,
                   path + ": holds no key; one is made by openssl rand -hex 32");
  return box;
}

const SecretBox::Key* SecretBox::find(std::string_view id) const {
  const auto key = std::find_if(keys_.begin(), keys_.end(), [id](const Key& k) { return k.id == id; });
  return key == keys_.end() ? nullptr : &*key;
}

SecretBox::Sealed SecretBox::seal(std::string_view secret, std::string_view place) const {
  const Key& key = keys_.front();
  std::string bytes = random_bytes(kNonceBytes);
  bytes.resize(kNonceBytes + secret.size() + kTagBytes);
  unsigned char* const nonce = bytes_of(bytes);
  const Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  check_openssl(context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key.bytes),
                                              nonce) == 1);
  check_openssl(EVP_EncryptUpdate(context.get(), nullptr, &written, bytes_of(place), length_of(place)) == 1);
  check_openssl(EVP_EncryptUpdate(context.get(), nonce + kNonceBytes, &written, bytes_of(secret),
                                  length_of(secret)) == 1);
  check_openssl(EVP_EncryptFinal_ex(context.get(), nonce + kNonceBytes + written, &written) == 1);
  check_openssl(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                                    nonce + kNonceBytes + secret.size()) == 1);
  return {key.id, std::move(bytes)};
}

std::optional<std::string> SecretBox::open(const Sealed& sealed, std::string_view place) const {
  const Key* const key = find(sealed.key_id);
  if (key == nullptr || sealed.bytes.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const std::string_view bytes = sealed.bytes;
  const std::string_view text = bytes.substr(kNonceBytes, bytes.size() - kNonceBytes - kTagBytes);
  std::string tag(bytes.substr(bytes.size() - kTagBytes));
  std::string secret(text.size(), '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  check_openssl(context && EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key->bytes),
                                              bytes_of(bytes)) == 1);
  check_openssl(EVP_DecryptUpdate(context.get(), nullptr, &written, bytes_of(place), length_of(place)) == 1);
  check_openssl(
      EVP_DecryptUpdate(context.get(), bytes_of(secret), &written, bytes_of(text), length_of(text)) == 1);
  check_openssl(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1);
  if (EVP_DecryptFinal_ex(context.get(), bytes_of(secret) + written, &written) != 1) return std::nullopt;
  return secret;
}

}  // namespace outboxd
