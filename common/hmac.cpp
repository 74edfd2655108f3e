#include "common/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <atomic>
#include <utility>

#include "common/openssl.h"

namespace outboxd {
namespace {

using MacPtr = std::unique_ptr<EVP_MAC, Freed<EVP_MAC_free>>;
using ContextPtr = std::unique_ptr<EVP_MAC_CTX, Freed<EVP_MAC_CTX_free>>;

}  // namespace

// It has absorbed the key; each MAC starts from a copy of it, which saves two rounds of the digest.
struct Hmac::Context {
  explicit Context(ContextPtr its_context) : context(std::move(its_context)) {}
  ~Context() { EVP_MAC_CTX_free(used); }
  Context(const Context&) = delete;

  const ContextPtr context;
  // A copy that has made a MAC, null while somebody uses it. It starts again in half the time that a new copy takes.
  mutable std::atomic<EVP_MAC_CTX*> used = nullptr;
};

Hmac::Hmac(std::string_view digest, std::string_view key) {
  const MacPtr mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  check_openssl(mac != nullptr);
  ContextPtr context(EVP_MAC_CTX_new(mac.get()));
  check_openssl(context != nullptr);
  std::string name(digest);  // OpenSSL does not write to it, and takes no constant
  const std::array<OSSL_PARAM, 2> params = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0), OSSL_PARAM_construct_end()};
  check_openssl(EVP_MAC_init(context.get(), bytes_of(key), key.size(), params.data()) == 1);
  keyed_ = std::make_shared<const Context>(std::move(context));
}

std::string Hmac::of(std::initializer_list<std::string_view> parts) const {
  ContextPtr context(keyed_->used.exchange(nullptr));
  if (context) {
    check_openssl(EVP_MAC_init(context.get(), nullptr, 0, nullptr) == 1);  // with the key that it has
  } else {
    context.reset(EVP_MAC_CTX_dup(keyed_->context.get()));
  }
  check_openssl(context != nullptr);
  for (const std::string_view part : parts)
    check_openssl(EVP_MAC_update(context.get(), bytes_of(part), part.size()) == 1);
  std::string mac(EVP_MAC_CTX_get_mac_size(context.get()), '\0');
  std::size_t length = 0;
  check_openssl(EVP_MAC_final(context.get(), bytes_of(mac), &length, mac.size()) == 1 &&
                length == mac.size());
  context.reset(keyed_->used.exchange(context.release()));  // what another thread has put there is freed
  return mac;
}

}  // namespace outboxd
