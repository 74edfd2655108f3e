#include "outbound/name_servers.h"

#include <ares.h>
#include <arpa/inet.h>

#include <array>
#include <memory>

namespace outboxd {
namespace {

constexpr int kDnsPort = 53;

struct DestroyChannel {
  void operator()(ares_channel channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<std::remove_pointer_t<ares_channel>, DestroyChannel>;

std::string text_of(const ares_addr_port_node& server) {
  std::array<char, INET6_ADDRSTRLEN> address{};
  if (inet_ntop(server.family, &server.addr, address.data(), address.size()) == nullptr) return "";
  const std::string host =
      server.family == AF_INET6 ? "[" + std::string(address.data()) + "]" : address.data();
  return host + ":" + std::to_string(server.udp_port == 0 ? kDnsPort : server.udp_port);
}

}  // namespace

std::vector<std::string> name_servers_in_use(const std::string& configured) {
  ares_channel made = nullptr;
  if (ares_init(&made) != ARES_SUCCESS) return {};
  const Channel channel(made);
  if (!configured.empty() && ares_set_servers_ports_csv(channel.get(), configured.c_str()) != ARES_SUCCESS)
    return {};
  ares_addr_port_node* servers = nullptr;
  if (ares_get_servers_ports(channel.get(), &servers) != ARES_SUCCESS) return {};
  std::vector<std::string> all;
  for (const auto* server = servers; server != nullptr; server = server->next)
    all.push_back(text_of(*server));
  ares_free_data(servers);
  return all;
}

}  // namespace outboxd
