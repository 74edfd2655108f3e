#include "outbound/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/secret_file.h"
#include "runtime/secret_file_reader.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxKnown = 10'000;

template <auto free>
struct Freed {
  template <class T>
  void operator()(T* p) const {
    free(p);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

struct File {
  File(std::string_view its_member, std::string_view name)
      : member(its_member), path(secret_file_path(name)) {}
  std::string_view member;
  std::string path;
};

tl::unexpected<Problem> refused(const File& file, const std::string& why) {
  ERR_clear_error();
  std::string detail = "tls." + std::string(file.member) + ": " + why;
  return problem(ProblemCode::kInvalidEndpoint, detail, {{"/tls/" + std::string(file.member), detail}});
}

Result<std::string> read_file(const File& file) {
  auto text = read_secret_file(file.path);
  if (!text) return refused(file, text.error().detail);
  return text;
}

Bio bio_of(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate first_certificate(const std::string& pem) {
  const Bio bio = bio_of(pem);
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// Asks nobody for the passphrase, and tells that one was needed.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

Result<std::shared_ptr<const TlsIdentity>> read_tls_identity(const EndpointTls& tls, Time now) {
  auto identity = std::make_shared<TlsIdentity>();
  if (!tls.ca_file.empty()) {
    const File file("ca_file", tls.ca_file);
    auto ca = read_file(file);
    if (!ca) return tl::unexpected(ca.error());
    if (!first_certificate(*ca)) return refused(file, file.path + ": holds no certificate in PEM");
    identity->ca = std::move(*ca);
  }
  if (tls.client_cert.empty()) return identity;

  const File cert_file("client_cert", tls.client_cert), key_file("client_key", tls.client_key);
  auto cert_pem = read_file(cert_file);
  if (!cert_pem) return tl::unexpected(cert_pem.error());
  auto key_pem = read_file(key_file);
  if (!key_pem) return tl::unexpected(key_pem.error());
  const Certificate cert = first_certificate(*cert_pem);
  if (!cert) return refused(cert_file, cert_file.path + ": holds no certificate in PEM");
  bool asked = false;
  const Bio bio = bio_of(*key_pem);
  const PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked));
  if (asked)
    return refused(
        key_file,
        key_file.path + ": is encrypted; a key without a passphrase is needed, readable to outboxd alone");
  if (!key) return refused(key_file, key_file.path + ": holds no private key in PEM");
  if (X509_check_private_key(cert.get(), key.get()) != 1)
    return refused(key_file, key_file.path + ": does not belong to tls.client_cert");
  time_t at = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  if (X509_cmp_time(X509_get0_notAfter(cert.get()), &at) < 0)
    return refused(cert_file, cert_file.path + ": has expired");
  identity->cert = std::move(*cert_pem);
  identity->key = std::move(*key_pem);
  return identity;
}

Result<std::shared_ptr<const TlsIdentity>> TlsFiles::find(const EndpointTls& tls, MonotonicTime now) {
  const std::string names = tls.ca_file + '\n' + tls.client_cert + '\n' + tls.client_key;
  const auto known = known_.find(names);
  if (known != known_.end() && now - known->second.read_at < kTrusted) return known->second.identity;
  auto identity = read_tls_identity(tls, std::chrono::floor<Millis>(std::chrono::system_clock::now()));
  if (known_.size() >= kMaxKnown) known_.clear();
  known_.insert_or_assign(names, Known{identity, now});
  return identity;
}

}  // namespace outboxd
