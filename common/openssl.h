// What our sources that call OpenSSL have in common.
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

// Of calls that only a lack of memory or a broken installation makes fail: throws std::runtime_error unless `ok`.
void check_openssl(bool ok);

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string random_bytes(std::size_t count);  // fit for keys

}  // namespace outboxd
