// The files that an endpoint's `tls` names: read, checked and kept, and read again when they have been replaced. For
// HttpSender alone; on its loop's thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "common/endpoint.h"
#include "common/problem.h"
#include "common/time.h"

namespace outboxd {

// Contents, in PEM. libcurl compares them when it looks for a connection or a TLS session to use again, so neither is
// ever shared between different ones. (It does not compare private keys. The certificate stands for its key: they
// were checked to belong together.)
struct TlsIdentity {
  std::string ca;  // empty: the system's
  std::string cert, key;
};

// The error names the member and the file: "tls.client_key: /etc/x.key: is encrypted ...". It quotes no content.
Result<std::shared_ptr<const TlsIdentity>> read_tls_identity(const EndpointTls& tls, Time now);

// Besides the bundle, Debian's libcurl looks into a folder of authorities, and then reads all of them anew for each
// connection (25 ms measured, 1 ms without): a subscriber that hangs up could hold up everybody's attempts.
// This is that folder, null where the bundle is there.
const char* system_authorities_folder();

class TlsFiles {
 public:
  Result<std::shared_ptr<const TlsIdentity>> find(const EndpointTls& tls, MonotonicTime now);

  static constexpr std::chrono::seconds kTrusted{10};  // a renewed certificate is noticed after so long

 private:
  struct Known {
    Result<std::shared_ptr<const TlsIdentity>> identity;
    MonotonicTime read_at;
  };
  std::unordered_map<std::string, Known> known_;  // by the three names
};

}  // namespace outboxd
