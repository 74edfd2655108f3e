// Whose program is at the other end of a TCP connection on this machine, by the kernel's table of connections.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd::ctl {

// Both ends of a connection between 127.0.0.1 and 127.0.0.1.
struct LoopbackPorts {
  int peer = 0, ours = 0;
};

// The user of the peer's end in the text of /proc/net/tcp or /proc/net/tcp6; nullopt when it is not there, or is closing: then
// the kernel tells no user. Pure.
std::optional<std::uint32_t> user_in_table(std::string_view table, const LoopbackPorts& ports);

// nullopt: not known.
std::optional<std::uint32_t> user_of_peer(const LoopbackPorts& ports);

}  // namespace outboxd::ctl
