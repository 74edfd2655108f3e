// Tracks what libcurl's address cache holds. libcurl resolves nothing here: it is given the addresses that we found and
// checked, once per name, and again when they change or get old. Pure bookkeeping.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "common/time.h"
#include "outbound/address_policy.h"

namespace outboxd {

class PinnedAddresses {
 public:
  struct Pin {
    std::string entry;  // "+host:port:address,address" for CURLOPT_RESOLVE, empty when libcurl has it already
    bool prune = false;  // with this request, libcurl must forget entries older than kForgotten
  };
  Pin pin(const std::string& host, std::uint16_t port, std::span<const IpAddress> addresses,
          MonotonicTime now);
  // For a request to a literal address, which needs no entry: is it time for libcurl to prune its cache?
  bool prune_due(MonotonicTime now);

  // An entry is trusted for half as long as libcurl keeps it, because libcurl counts whole seconds on a clock of its
  // own.
  static constexpr std::chrono::seconds kTrusted{30};
  static constexpr std::chrono::seconds kForgotten{60};

 private:
  struct Known {
    std::string addresses;
    MonotonicTime since;
  };
  std::unordered_map<std::string, Known> known_;
  MonotonicTime pruned_{};
};

}  // namespace outboxd
