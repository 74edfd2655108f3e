#include "support/test_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>

namespace outboxd::test {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::uint16_t kTypeA = 1, kTypeAaaa = 28;
constexpr char kServFail = 2, kNoSuchName = 3;

std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

// RFC 1035 4.1.2, without compression: a query has none.
std::string name_in(const std::string& query, std::size_t& at) {
  std::string name;
  while (at < query.size() && query[at] != 0) {
    const auto length = static_cast<std::size_t>(query[at]);
    if (!name.empty()) name += '.';
    name += query.substr(at + 1, length);
    at += 1 + length;
  }
  ++at;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

}  // namespace

TestDns::TestDns() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (fd_ < 0 || bind(fd_, name, length) != 0 || getsockname(fd_, name, &length) != 0) {
    throw std::system_error(errno, std::generic_category(), "test name server");
  }
  const int buffer = 1 << 20;  // thousands of queries at once are part of the tests
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

TestDns::~TestDns() {
  stopping_ = true;
  thread_.join();
  close(fd_);
}

std::string TestDns::servers() const {
  return "127.0.0.1:" + std::to_string(port_);
}

void TestDns::set(const std::string& name, std::vector<std::string> addresses, std::uint32_t ttl_seconds) {
  const std::lock_guard lock(mutex_);
  records_[name] = {std::move(addresses), ttl_seconds};
}

void TestDns::silence(const std::string& zone) {
  const std::lock_guard lock(mutex_);
  silent_.insert(zone);
}

void TestDns::silence_aaaa(const std::string& name) {
  const std::lock_guard lock(mutex_);
  silent_aaaa_.insert(name);
}

void TestDns::refuse(const std::string& name) {
  const std::lock_guard lock(mutex_);
  failing_.insert(name);
}

std::size_t TestDns::queries(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto it = queries_.find(name);
  return it == queries_.end() ? 0 : it->second;
}

std::size_t TestDns::names_asked_under(const std::string& zone) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      queries_.begin(), queries_.end(), [&](const auto& q) { return q.first.ends_with("." + zone); }));
}

bool TestDns::is_silent(const std::string& name) const {
  return std::any_of(silent_.begin(), silent_.end(),
                     [&](const std::string& zone) { return name == zone || name.ends_with("." + zone); });
}

void TestDns::serve() {
  std::array<char, 1500> buffer;
  while (!stopping_) {
    pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&poll_fd, 1, 20) <= 0) continue;
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    auto* const name = reinterpret_cast<sockaddr*>(&peer);
    const auto n = recvfrom(fd_, buffer.data(), buffer.size(), 0, name, &length);
    if (n < static_cast<ssize_t>(kHeaderBytes)) continue;
    const std::string reply = answer({buffer.data(), static_cast<std::size_t>(n)});
    if (!reply.empty()) sendto(fd_, reply.data(), reply.size(), 0, name, length);
  }
}

std::string TestDns::answer(const std::string& query) {
  std::size_t at = kHeaderBytes;
  const std::string name = name_in(query, at);
  if (at + 4 > query.size()) return {};
  const auto type = static_cast<std::uint16_t>((static_cast<unsigned char>(query[at]) << 8) |
                                               static_cast<unsigned char>(query[at + 1]));
  const std::string question = query.substr(kHeaderBytes, at + 4 - kHeaderBytes);

  const std::lock_guard lock(mutex_);
  ++queries_[name];
  if (is_silent(name) || (type == kTypeAaaa && silent_aaaa_.contains(name))) return {};
  const auto record = records_.find(name);
  char code = record == records_.end() ? kNoSuchName : '\0';
  if (failing_.contains(name)) code = kServFail;
  std::string answers;
  std::uint16_t count = 0;
  for (const std::string& address :
       record == records_.end() ? std::vector<std::string>{} : record->second.addresses) {
    const bool v6 = address.find(':') != std::string::npos;
    if (type != (v6 ? kTypeAaaa : kTypeA)) continue;
    std::string bytes(v6 ? 16 : 4, '\0');
    inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data());
    answers += big_endian(0xC00C, 2) + big_endian(type, 2) + big_endian(1, 2) +
               big_endian(record->second.ttl, 4) + big_endian(bytes.size(), 2) + bytes;
    ++count;
  }
  const std::string flags = {static_cast<char>(0x81), static_cast<char>(0x80 | code)};
  return query.substr(0, 2) + flags + big_endian(1, 2) + big_endian(count, 2) + big_endian(0, 4) + question +
         answers;
}

}  // namespace outboxd::test
