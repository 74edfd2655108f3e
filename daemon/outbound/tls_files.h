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

// Contents of the files, in PEM. libcurl compares them when it looks for a connection or a TLS session to reuse, so
// neither is ever shared between different identities. (It does not compare private keys, but the certificate stands
// for its key: they were checked to belong together.)
struct TlsIdentity {
  std::string ca;  // empty: the system's
  std::string cert, key;
};

// The error names the member and the file: "tls.client_key: /etc/x.key: is encrypted ...". It quotes no content.
Result<std::shared_ptr<const TlsIdentity>> read_tls_identity(const EndpointTls& tls, Time now);

// The folder of authorities that libcurl should use; null where the bundle exists. Debian's libcurl looks into this
// folder in addition to the bundle, and then reads all authorities again for each connection (25 ms measured, 1 ms
// without it), so a subscriber that hangs up could hold up everybody's attempts.
const char* system_authorities_folder();

class TlsFiles {
 public:
  Result<std::shared_ptr<const TlsIdentity>> find(const EndpointTls& tls, MonotonicTime now);

  static constexpr std::chrono::seconds kTrusted{10};  // a renewed certificate is noticed within this time

 private:
  struct Known {
    Result<std::shared_ptr<const TlsIdentity>> identity;
    MonotonicTime read_at;
  };
  std::unordered_map<std::string, Known> known_;  // by the three names
};

}  // namespace outboxd
