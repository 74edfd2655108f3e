#include "common/openssl.h"

#include <openssl/rand.h>

#include <stdexcept>

namespace outboxd {

void check_openssl(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL refused an operation: check the OpenSSL configuration");
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  check_openssl(RAND_priv_bytes(bytes_of(bytes), static_cast<int>(count)) == 1);
  return bytes;
}

}  // namespace outboxd
