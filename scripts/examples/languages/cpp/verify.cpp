// Verifies a delivery (Standard Webhooks, v1). Needs OpenSSL. The body comes on stdin:
//   g++ -std=c++20 verify.cpp -o verify -lcrypto
//   WEBHOOK_SECRET=whsec_... ./verify WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace {

constexpr std::time_t kTolerance = 5 * 60;

using Bytes = std::basic_string<unsigned char>;

Bytes decode_base64(std::string_view text) {
  Bytes bytes(text.size(), 0);
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  const int length = EVP_DecodeBlock(bytes.data(), from, static_cast<int>(text.size()));
  if (length < 0) throw std::invalid_argument("the secret is no base64");
  const auto padding = text.size() - 1 - text.find_last_not_of('=');
  bytes.resize(static_cast<std::size_t>(length) - padding);
  return bytes;
}

std::string sign(const Bytes& key, const std::string& content) {
  unsigned char mac[32], text[45];  // 44 characters of base64 and the NUL behind them
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(content.data()), content.size(), mac, nullptr);
  EVP_EncodeBlock(text, mac, sizeof mac);
  return "v1," + std::string(reinterpret_cast<const char*>(text), 44);
}

// Throws unless one of the signatures is by this secret and not old.
void verify(std::string_view secret, const std::string& id, const std::string& timestamp,
            const std::string& signatures, const std::string& body) {
  std::time_t sent = 0;
  const char* end = timestamp.data() + timestamp.size();
  const auto [stopped, failure] = std::from_chars(timestamp.data(), end, sent);
  if (failure != std::errc() || stopped != end) {
    throw std::invalid_argument("the timestamp is no number");
  }
  const std::time_t now = std::time(nullptr);
  if (sent < now - kTolerance || sent > now + kTolerance) {
    throw std::invalid_argument("the timestamp is more than 5 minutes off");
  }
  if (secret.starts_with("whsec_")) secret.remove_prefix(6);
  const Bytes key = decode_base64(secret);
  if (key.size() < 24) throw std::invalid_argument("there is no secret");
  const std::string expected = sign(key, id + "." + timestamp + "." + body);
  std::istringstream given(signatures);
  for (std::string one; given >> one;) {
    if (one.size() != expected.size()) continue;
    if (CRYPTO_memcmp(one.data(), expected.data(), one.size()) == 0) return;
  }
  throw std::invalid_argument("no signature is by this secret");
}

}  // namespace

int main(int argc, char** argv) {
  const char* secret = std::getenv("WEBHOOK_SECRET");
  if (argc != 4 || secret == nullptr) {
    std::cerr << "usage: WEBHOOK_SECRET=whsec_... verify ID TIMESTAMP SIGNATURES <body\n";
    return 2;
  }
  try {
    const std::string body(std::istreambuf_iterator<char>(std::cin), {});
    verify(secret, argv[1], argv[2], argv[3], body);
    std::cout << "verified\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "refused: " << error.what() << '\n';
    return 1;
  }
}
