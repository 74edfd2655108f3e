#include "outbound/tls_files.h"

#include <utility>

#include "common/pem.h"
#include "common/secret_file.h"
#include "common/text.h"
#include "runtime/secret_file_reader.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxKnown = 10'000;

struct File {
  File(std::string_view its_member, std::string_view name)
      : member(its_member), path(secret_file_path(name)) {}
  std::string_view member;
  std::string path;
};

tl::unexpected<Problem> refused(const File& file, const std::string& why) {
  std::string detail = "tls." + std::string(file.member) + ": " + why;
  return problem(ProblemCode::kInvalidEndpoint, detail, {{"/tls/" + std::string(file.member), detail}});
}

Result<std::string> read_file(const File& file) {
  auto text = read_secret_file(file.path);
  if (!text) return refused(file, text.error().detail);
  return text;
}

std::string digest_of(const TlsIdentity& identity) {
  const std::string sizes =
      std::to_string(identity.ca.size()) + ' ' + std::to_string(identity.cert.size()) + ' ';
  return sha256(sizes, identity.ca + identity.cert + identity.key);
}

Result<std::shared_ptr<TlsIdentity>> read_files(const EndpointTls& tls, Time now) {
  auto identity = std::make_shared<TlsIdentity>();
  if (!tls.ca_file.empty()) {
    const File file("ca_file", tls.ca_file);
    auto ca = read_file(file);
    if (!ca) return tl::unexpected(ca.error());
    if (const auto read = read_certificates(*ca); !read)
      return refused(file, file.path + ": " + read.error());
    identity->ca = std::move(*ca);
  }
  if (tls.client_cert.empty()) return identity;

  const File cert_file("client_cert", tls.client_cert), key_file("client_key", tls.client_key);
  auto cert_pem = read_file(cert_file);
  if (!cert_pem) return tl::unexpected(cert_pem.error());
  auto key_pem = read_file(key_file);
  if (!key_pem) return tl::unexpected(key_pem.error());
  const auto chain = read_certificates(*cert_pem);
  if (!chain) return refused(cert_file, cert_file.path + ": " + chain.error());
  const auto key = read_private_key(*key_pem);
  if (!key) return refused(key_file, key_file.path + ": " + key.error());
  if (!is_key_of(*key, chain->front()))
    return refused(key_file, key_file.path + ": does not belong to tls.client_cert");
  if (has_expired(chain->front(), now)) return refused(cert_file, cert_file.path + ": has expired");
  identity->cert = std::move(*cert_pem);
  identity->key = std::move(*key_pem);
  return identity;
}

}  // namespace

Result<std::shared_ptr<const TlsIdentity>> read_tls_identity(const EndpointTls& tls, Time now) {
  auto identity = read_files(tls, now);
  if (identity) (*identity)->digest = digest_of(**identity);
  return identity;
}

Result<std::shared_ptr<const TlsIdentity>> TlsFiles::find(const EndpointTls& tls, MonotonicTime now) {
  const std::string names = tls.ca_file + '\n' + tls.client_cert + '\n' + tls.client_key;
  const auto known = known_.find(names);
  if (known != known_.end() && now - known->second.read_at < kTrusted) return known->second.identity;
  auto identity = read_tls_identity(tls, std::chrono::floor<Millis>(std::chrono::system_clock::now()));
  if (identity) identity = only_one_of(std::move(*identity));
  if (known_.size() >= kMaxKnown) known_.clear();
  known_.insert_or_assign(names, Known{identity, now});
  return identity;
}

std::shared_ptr<const TlsIdentity> TlsFiles::only_one_of(std::shared_ptr<const TlsIdentity> identity) {
  if (by_digest_.size() >= 2 * kMaxKnown)
    std::erase_if(by_digest_, [](const auto& entry) { return entry.second.expired(); });
  auto& known = by_digest_[identity->digest];
  if (auto same = known.lock()) return same;
  known = identity;
  return identity;
}

}  // namespace outboxd
