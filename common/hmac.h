// HMAC (RFC 2104) with a key that is absorbed once. Holds key material: never log it. Cheap to copy; safe to share between
// threads.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace outboxd {

class Hmac {
 public:
  // `digest` by OpenSSL's name: "SHA1", "SHA256", "SHA512".
  Hmac(std::string_view digest, std::string_view key);

  // The raw bytes of the MAC over the parts, one after the other.
  std::string of(std::initializer_list<std::string_view> parts) const;

 private:
  struct Context;
  std::shared_ptr<const Context> keyed_;
};

}  // namespace outboxd
