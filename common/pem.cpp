#include "common/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/openssl.h"

namespace outboxd {
namespace {

using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;

Bio bio_of(const std::string& text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  check_openssl(bio != nullptr);
  return bio;
}

// OpenSSL's default callback would prompt at the terminal.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// Leaves OpenSSL's error queue empty, or a later call would take these errors for its own.
bool was_end_of_text() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

time_t seconds_of(Time time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

void FreePem::operator()(x509_st* certificate) const {
  X509_free(certificate);
}
void FreePem::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

tl::expected<std::vector<Certificate>, std::string> read_certificates(const std::string& pem) {
  std::vector<Certificate> all;
  const Bio bio = bio_of(pem);
  while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    all.push_back(std::move(one));
  const bool whole = was_end_of_text();
  if (all.empty()) return tl::unexpected<std::string>("holds no certificate in PEM");
  if (!whole) {
    return tl::unexpected("certificate " + std::to_string(all.size() + 1) + " of the file cannot be read");
  }
  return all;
}

tl::expected<PrivateKey, std::string> read_private_key(const std::string& pem) {
  const Bio bio = bio_of(pem);
  bool encrypted = false;
  PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted));
  ERR_clear_error();
  if (encrypted)
    return tl::unexpected<std::string>(
        "the key is encrypted: give one without a passphrase, readable to outboxd alone (openssl pkey -in … "
        "-out …)");
  if (!key) return tl::unexpected<std::string>("holds no private key in PEM");
  return key;
}

bool is_key_of(const PrivateKey& key, const Certificate& certificate) {
  const bool belongs = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return belongs;
}

bool has_expired(const Certificate& certificate, Time now) {
  time_t at = seconds_of(now);
  return X509_cmp_time(X509_get0_notAfter(certificate.get()), &at) < 0;
}

bool is_not_valid_yet(const Certificate& certificate, Time now) {
  time_t at = seconds_of(now);
  return X509_cmp_time(X509_get0_notBefore(certificate.get()), &at) > 0;
}

}  // namespace outboxd
