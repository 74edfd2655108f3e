// The sink's TLS: an authority made on the spot, and for each of its addresses a certificate signed by that. They share
// one key, since whoever checks them cannot know.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace outboxd::bench {

template <auto free>
struct FreedBy {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using Tls = std::unique_ptr<SSL, FreedBy<SSL_free>>;

class SinkTls {
 public:
  // Writes the authority's certificate into `folder`. Throws std::runtime_error when it cannot.
  SinkTls(const std::filesystem::path& folder, const std::vector<std::string>& addresses);

  const std::string& authority_file() const { return authority_file_; }  // PEM, an endpoint's `tls.ca_file`
  // For a connection just accepted on the address of this number. The handshake is done by the first reads.
  Tls accept(int fd, std::size_t address) const;

 private:
  using Key = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
  static Certificate issue(EVP_PKEY* key, const X509* authority, EVP_PKEY* authority_key,
                           const std::string& name);

  Key key_;
  std::vector<Certificate> certificates_;  // one for each address
  std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>> context_;
  std::string authority_file_;
};

}  // namespace outboxd::bench
