// What HttpSender costs: requests over kept-alive loopback connections to a receiver that answers at once,
// and the CPU time of the sender's thread for each. Not a test; usage: sender_bench [requests] [in flight]
// [body bytes]
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "outbound/http_sender.h"

namespace {

using namespace outboxd;

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Answers each request with 200; requests of one connection come one at a time.
class Receiver {
 public:
  Receiver() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)), epoll_(epoll_create1(0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, name, length) != 0 || listen(listener_, 4096) != 0 ||
        getsockname(listener_, name, &length) != 0) {
      throw std::system_error(errno, std::generic_category(), "receiver");
    }
    port = ntohs(address.sin_port);
    watch(listener_);
    thread_ = std::thread([this] { serve(); });
  }
  ~Receiver() {
    stopping_ = true;
    thread_.join();
    for (const auto& [fd, seen] : seen_) close(fd);
    close(listener_);
    close(epoll_);
  }
  std::uint16_t port = 0;

 private:
  void watch(int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  void serve() {
    epoll_event events[256];
    while (!stopping_) {
      const int n = epoll_wait(epoll_, events, 256, 50);
      for (int i = 0; i < n; ++i) on_ready(events[i].data.fd);
    }
  }
  void on_ready(int fd) {
    if (fd == listener_) {
      const int accepted = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (accepted < 0) return;
      seen_[accepted];
      return watch(accepted);
    }
    char buffer[65536];
    const auto n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
      seen_.erase(fd);
      close(fd);
      return;
    }
    std::string& seen = seen_[fd];
    seen.append(buffer, static_cast<std::size_t>(n));
    const auto head = seen.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const auto at = seen.find("Content-Length: ");
    if (seen.size() < head + 4 + std::strtoul(seen.c_str() + at + 16, nullptr, 10)) return;
    seen.clear();
    constexpr std::string_view kAnswer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
    send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
  }

  int listener_, epoll_;
  std::atomic<bool> stopping_{false};
  std::unordered_map<int, std::string> seen_;
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, std::size_t otherwise) {
    return argc > i ? static_cast<std::size_t>(std::strtoul(argv[i], nullptr, 10)) : otherwise;
  };
  const std::size_t requests = argument(1, 100'000), in_flight = argument(2, 64),
                    body_bytes = argument(3, 512);
  Receiver receiver;
  EventLoop loop;
  AddressPolicy::Options allowed;
  allowed.allow_http = true;
  allowed.ports = {};
  allowed.allow_networks = {*Network::parse("127.0.0.0/8")};
  HttpSender sender(loop, std::make_shared<const AddressPolicy>(allowed), {});
  SendRequest request;
  request.url = *parse_endpoint_url("http://127.0.0.1:" + std::to_string(receiver.port) + "/hook");
  request.headers = {{"content-type", "application/json"},
                     {"user-agent", "outboxd/0.1.0"},
                     {"webhook-id", "evt_0123456789abcdef0123456789abcdef"},
                     {"webhook-timestamp", "1767225600"},
                     {"webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
                     {"outboxd-event-type", "order.paid"},
                     {"outboxd-attempt", "1"}};
  request.body = std::make_shared<const std::string>(body_bytes, 'x');

  std::size_t sent = 0, done = 0, failures = 0;
  std::function<void()> next = [&] {
    if (sent == requests) return;
    ++sent;
    sender.send(request, [&](const SendResult& result) {
      if (result.outcome != Outcome::kSuccess) ++failures;
      next();
      if (++done == requests) loop.stop();
    });
  };
  for (std::size_t i = 0; i < in_flight; ++i) next();
  const auto start = std::chrono::steady_clock::now();
  const double cpu_before = thread_cpu_seconds();
  loop.run();
  const double cpu = thread_cpu_seconds() - cpu_before;
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto count = static_cast<double>(requests);
  std::printf("%zu requests, %zu in flight, %zu failures: %.0f/s, %.1f us of CPU each\n", requests, in_flight,
              failures, count / wall, cpu / count * 1e6);
  return failures == 0 ? 0 : 1;
}
