// The files that an endpoint's `tls` names: read, checked and cached, and read again when the cached copy gets old.
// Only for HttpSender, on its loop's thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "common/endpoint.h"
#include "common/problem.h"
#include "common/time.h"

namespace outboxd {

// Contents of the files, in PEM. Two identities are the same object exactly if their contents are equal, so whoever
// keys connections by identity can compare pointers.
struct TlsIdentity {
  std::string ca;  // empty: the system's
  std::string cert, key;
  std::string digest;  // of all three
};

// The error names the member and the file: "tls.client_key: /etc/x.key: is encrypted ...". It quotes no content.
Result<std::shared_ptr<const TlsIdentity>> read_tls_identity(const EndpointTls& tls, Time now);

class TlsFiles {
 public:
  Result<std::shared_ptr<const TlsIdentity>> find(const EndpointTls& tls, MonotonicTime now);

  static constexpr std::chrono::seconds kTrusted{10};  // a renewed certificate is noticed within this time

 private:
  struct Known {
    Result<std::shared_ptr<const TlsIdentity>> identity;
    MonotonicTime read_at;
  };
  std::shared_ptr<const TlsIdentity> only_one_of(std::shared_ptr<const TlsIdentity> identity);

  std::unordered_map<std::string, Known> known_;  // by the three names
  std::unordered_map<std::string, std::weak_ptr<const TlsIdentity>> by_digest_;
};

}  // namespace outboxd
