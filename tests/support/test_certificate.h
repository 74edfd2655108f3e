// A certificate, made on the spot for a TLS receiver in a test. Without an issuer it is its own authority: whoever trusts
// file() trusts it.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace outboxd::test {

class TestCertificate {
 public:
  struct Options {
    std::string host = "localhost";  // its subject name; an address is also added as an IP one
    int first_day = -1;              // of its validity, from today
    int last_day = 30;
    int min_tls_version = 0;  // of the receiver: TLS1_2_VERSION ..., 0: any
    int max_tls_version = 0;
    unsigned rsa_bits = 0;                                    // of its key; 0: an elliptic-curve one
    std::shared_ptr<const TestCertificate> issuer = nullptr;  // null: itself
  };
  TestCertificate() : TestCertificate(Options{}) {}
  explicit TestCertificate(const Options& options);

  void use_in(SSL_CTX* context) const;
  int min_tls_version() const { return options_.min_tls_version; }
  int max_tls_version() const { return options_.max_tls_version; }
  std::string file() const;                                        // PEM; removed with the last copy
  std::string key_file(const std::string& passphrase = "") const;  // the same

 private:
  struct Files;
  Options options_;
  std::shared_ptr<Files> files_;
};

}  // namespace outboxd::test
