#include "support/test_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

namespace outboxd::test {
namespace {

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) throw std::runtime_error("certificate extension " + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

template <class Write>
std::string write_file(Write write) {
  char path[] = "/tmp/outboxd-test-XXXXXX";
  const int fd = mkstemp(path);
  std::FILE* const file = fd < 0 ? nullptr : fdopen(fd, "w");
  if (file == nullptr) throw std::runtime_error("cannot write a temporary file");
  write(file);
  std::fclose(file);
  return path;
}

}  // namespace

struct TestCertificate::Files {
  explicit Files(const Options& options)
      : key(options.rsa_bits != 0 ? EVP_RSA_gen(options.rsa_bits) : EVP_EC_gen("P-256"), EVP_PKEY_free) {}
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key;
  std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), X509_free};
  std::string path;
  std::string key_path, encrypted_key_path;
  ~Files() {
    for (const auto& file : {path, key_path, encrypted_key_path}) {
      if (!file.empty()) unlink(file.c_str());
    }
  }
};

TestCertificate::TestCertificate(const Options& options)
    : options_(options), files_(std::make_shared<Files>(options)) {
  X509* const certificate = files_->certificate.get();
  constexpr long kDay = 24L * 60 * 60;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), options.first_day * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), options.last_day * kDay);
  X509_set_pubkey(certificate, files_->key.get());
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(options.host.c_str()), -1, -1, 0);
  const Files& issuer = options.issuer ? *options.issuer->files_ : *files_;
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate.get()));
  const bool address = options.host.find_first_not_of("0123456789.") == std::string::npos;
  add_extension(certificate, NID_subject_alt_name, (address ? "IP:" : "DNS:") + options.host);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (X509_sign(certificate, issuer.key.get(), EVP_sha256()) == 0) throw std::runtime_error("X509_sign");

  files_->path = write_file([&](std::FILE* file) { PEM_write_X509(file, certificate); });
}

void TestCertificate::use_in(SSL_CTX* context) const {
  SSL_CTX_use_certificate(context, files_->certificate.get());
  SSL_CTX_use_PrivateKey(context, files_->key.get());
}

std::string TestCertificate::file() const {
  return files_->path;
}

std::string TestCertificate::key_file(const std::string& passphrase) const {
  std::string& path = passphrase.empty() ? files_->key_path : files_->encrypted_key_path;
  if (path.empty()) {
    path = write_file([&](std::FILE* file) {
      PEM_write_PKCS8PrivateKey(file, files_->key.get(), passphrase.empty() ? nullptr : EVP_aes_256_cbc(),
                                nullptr, 0, nullptr, const_cast<char*>(passphrase.c_str()));
    });
  }
  return path;
}

}  // namespace outboxd::test
