// Helpers for sources that call OpenSSL.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace outboxd {

// For std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>> and its like.
template <auto free>
struct Freed {
  template <class T>
  void operator()(T* p) const {
    free(p);
  }
};

// For calls that fail only for lack of memory or in a broken installation: throws std::runtime_error unless `ok`.
void check_openssl(bool ok);

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string random_bytes(std::size_t count);  // cryptographically secure, fit for keys

}  // namespace outboxd
