#include "ctl/peer_user.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace outboxd::ctl {
namespace {

constexpr std::string_view kEstablished = "01";
constexpr std::string_view kMappedPrefix =
    "0000000000000000FFFF0000";  // of an IPv4 address in the table of IPv6
constexpr std::size_t kLocal = 1, kRemote = 2, kState = 3, kUser = 7, kFields = 8;  // proc(5)

// As the table writes it: the address as the kernel holds it, in hexadecimal digits.
std::string end_text(int port) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%08X:%04X", htonl(INADDR_LOOPBACK), static_cast<unsigned>(port));
  return text.data();
}

bool is_end(std::string_view field, std::string_view end) {
  if (field.starts_with(kMappedPrefix)) field.remove_prefix(kMappedPrefix.size());
  return field == end;
}

std::array<std::string_view, kFields> fields_of(std::string_view line) {
  std::array<std::string_view, kFields> fields;
  for (auto& field : fields) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    field = line.substr(0, line.find(' '));
    line.remove_prefix(field.size());
  }
  return fields;
}

}  // namespace

std::optional<std::uint32_t> user_in_table(std::string_view table, const LoopbackPorts& ports) {
  const std::string local = end_text(ports.peer), remote = end_text(ports.ours);
  while (!table.empty()) {
    const auto line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    const auto fields = fields_of(line);
    if (!is_end(fields[kLocal], local) || !is_end(fields[kRemote], remote)) continue;
    const std::string_view text = fields[kUser];
    std::uint32_t user = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), user);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (whole && fields[kState] == kEstablished) return user;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> user_of_peer(const LoopbackPorts& ports) {
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(path);
    const std::string table{std::istreambuf_iterator<char>(file), {}};
    if (const auto user = user_in_table(table, ports)) return user;
  }
  return std::nullopt;
}

}  // namespace outboxd::ctl
