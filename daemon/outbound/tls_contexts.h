// What all TLS connections of one identity share: the authorities they trust, the client certificate and key, the
// protocol's settings. Nothing comes from the environment. Only for the sender, on its loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <tl/expected.hpp>

#include "common/time.h"
#include "outbound/tls_files.h"
#include "outbound/tls_sessions.h"

struct ssl_ctx_st;
struct x509_store_st;

namespace outboxd {

struct FreeTlsContext {
  void operator()(ssl_ctx_st* context) const;
  void operator()(x509_store_st* store) const;
};

// Kept by the streams that were made from it.
struct TlsContext {
  std::unique_ptr<ssl_ctx_st, FreeTlsContext> openssl;
  std::uint64_t serial = 0;  // unlike that of any other context, and part of its sessions' keys
  std::shared_ptr<TlsSessions> sessions;
};

class TlsContexts {
 public:
  // A context serves for an hour: then changed authorities apply, and every receiver's certificate is verified anew
  // because a session belongs to its context.
  static constexpr std::chrono::seconds kTrusted{3600};
  // After authorities could not be read, all who need them fail without another look at the file.
  static constexpr std::chrono::seconds kRetry{10};
  // A context takes 13 KiB and 0.14 ms to make (measured), the system's authorities 1.2 MiB for all together.
  static constexpr std::size_t kMaxContexts = 1'000;

  // `ca_file`: PEM certificates to trust instead of the system's, "" for the system's. It is read when first needed.
  explicit TlsContexts(std::string ca_file);
  ~TlsContexts();
  TlsContexts(const TlsContexts&) = delete;

  // `identity` null: the default authorities, no client certificate. An identity with authorities of its own trusts
  // only those. The error is for people: "the certificate authorities cannot be read: /x.pem: ...".
  using Found = tl::expected<std::shared_ptr<TlsContext>, std::string>;
  Found find(const TlsIdentity* identity, MonotonicTime now);

 private:
  using Store = std::unique_ptr<x509_store_st, FreeTlsContext>;
  struct Entry {
    std::shared_ptr<TlsContext> context;
    MonotonicTime made_at, used_at;
  };
  struct FileVersion {
    std::uint64_t device, inode;
    std::int64_t size, changed_ns;
    bool operator==(const FileVersion&) const = default;
  };
  struct Authorities {
    tl::expected<Store, std::string> store;
    MonotonicTime checked_at;
    std::optional<FileVersion> version = {};  // absent: of a folder, or not to be read
  };

  Found make(const TlsIdentity* identity, MonotonicTime now);
  tl::expected<x509_store_st*, std::string> default_authorities(MonotonicTime now);
  Authorities read_authorities(MonotonicTime now) const;
  std::string authorities_path() const;
  static std::optional<FileVersion> version_of(const std::string& path);
  void make_room(MonotonicTime now);

  const std::string ca_file_;
  std::shared_ptr<TlsSessions> sessions_;
  std::uint64_t next_serial_ = 1;
  std::optional<Authorities> default_authorities_;
  std::unordered_map<std::string, Entry> entries_;  // by TlsIdentity::digest; "": the default
};

}  // namespace outboxd
