#include "bench/sink_tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace outboxd::bench {
namespace {

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("the sink's TLS: ") + what + " failed");
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr, "X509V3_EXT_conf_nid");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

// `authority` null: the authority's own. Otherwise `name` is the address that it vouches for.
SinkTls::Certificate SinkTls::issue(EVP_PKEY* key, const X509* authority, EVP_PKEY* authority_key,
                                    const std::string& name) {
  constexpr long kDay = 24L * 60 * 60;
  Certificate certificate(X509_new());
  require(certificate != nullptr, "X509_new");
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 30 * kDay);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), authority == nullptr ? subject : X509_get_subject_name(authority));
  if (authority == nullptr) {
    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  } else {
    add_extension(certificate.get(), NID_subject_alt_name, "IP:" + name);
  }
  require(X509_sign(certificate.get(), authority_key, EVP_sha256()) != 0, "X509_sign");
  return certificate;
}

SinkTls::SinkTls(const std::filesystem::path& folder, const std::vector<std::string>& addresses)
    : key_(EVP_EC_gen("P-256")),
      context_(SSL_CTX_new(TLS_server_method())),
      authority_file_((folder / "authority.pem").string()) {
  const Key authority_key(EVP_EC_gen("P-256"));
  require(key_ && authority_key && context_, "making keys");
  const Certificate authority =
      issue(authority_key.get(), nullptr, authority_key.get(), "outboxd's benchmark");
  std::FILE* const file = std::fopen(authority_file_.c_str(), "w");
  require(file != nullptr, "writing the authority");
  const bool written = PEM_write_X509(file, authority.get()) == 1;
  require((std::fclose(file) == 0) && written, "writing the authority");
  certificates_.reserve(addresses.size());
  for (const std::string& address : addresses)
    certificates_.push_back(issue(key_.get(), authority.get(), authority_key.get(), address));
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(context_.get(), 1);  // a request takes one system call, as without TLS
}

Tls SinkTls::accept(int fd, std::size_t address) const {
  Tls tls(SSL_new(context_.get()));
  require(tls && SSL_set_fd(tls.get(), fd) == 1 &&
              SSL_use_certificate(tls.get(), certificates_.at(address).get()) == 1 &&
              SSL_use_PrivateKey(tls.get(), key_.get()) == 1,
          "SSL_new");
  SSL_set_accept_state(tls.get());
  return tls;
}

}  // namespace outboxd::bench
