#include "outbound/pinned_addresses.h"

namespace outboxd {

PinnedAddresses::Pin PinnedAddresses::pin(const std::string& host, std::uint16_t port,
                                          std::span<const IpAddress> addresses, MonotonicTime now) {
  std::string list;
  for (const IpAddress& address : addresses) {
    if (!list.empty()) list += ',';
    list += address.v6 ? "[" + address.to_string() + "]" : address.to_string();
  }
  const std::string key = host + ":" + std::to_string(port);

  Pin pin;
  pin.prune = prune_due(now);
  Known& known = known_[key];
  if (!pin.prune && known.addresses == list && now - known.since < kTrusted) return pin;
  pin.entry = "+" + key + ":" + list;
  known = {std::move(list), now};
  return pin;
}

bool PinnedAddresses::prune_due(MonotonicTime now) {
  if (now - pruned_ <= kForgotten) return false;
  pruned_ = now;
  std::erase_if(known_, [&](const auto& item) { return now - item.second.since > kTrusted; });
  return true;
}

}  // namespace outboxd
