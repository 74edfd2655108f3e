#include "bench/producer.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "support/temporary_folder.h"

using namespace outboxd::bench;
using outboxd::test::TemporaryFolder;

namespace {

// Accepts `connections`, and answers nothing before `silent_until` says so; from then on everything at once.
class StalledServer {
 public:
  StalledServer(const std::string& path, int connections, std::function<bool()> silent)
      : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), silent_(std::move(silent)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener_, connections) == 0);
    thread_ = std::thread([this, connections] { run(connections); });
  }
  ~StalledServer() {
    thread_.join();
    close(listener_);
  }
  StalledServer(const StalledServer&) = delete;

 private:
  void run(int connections) {
    std::vector<pollfd> fds;
    fds.reserve(static_cast<std::size_t>(connections));
    for (int i = 0; i < connections; ++i)
      fds.push_back({.fd = accept(listener_, nullptr, nullptr), .events = POLLIN, .revents = 0});
    while (silent_()) std::this_thread::yield();
    for (std::size_t open = fds.size(); open > 0;) {
      poll(fds.data(), fds.size(), -1);
      for (pollfd& one : fds) {
        if (one.revents != 0 && !answer(one.fd)) {
          close(one.fd);
          one.fd = -1;
          --open;
        }
        one.revents = 0;
      }
    }
  }
  // Requests here are one short send each, and come only after the answer to the last one.
  static bool answer(int fd) {
    char request[1024];
    if (read(fd, request, sizeof request) <= 0) return false;
    constexpr std::string_view kAccepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    return send(fd, kAccepted.data(), kAccepted.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(kAccepted.size());
  }

  int listener_;
  std::function<bool()> silent_;
  std::thread thread_;
};

Load load_of(const std::string& path, double rate) {
  return {.socket = path,
          .connections = 2,
          .requests = 40,
          .rate = rate,
          .request = [](std::int64_t, std::int64_t) { return post("/", "text/plain", ""); }};
}

}  // namespace

TEST_CASE(
    "a stall counts in the latency of all that was due meanwhile, and not as the producer's own lateness") {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "sock").string();
  constexpr std::int64_t kStall = 300'000'000;  // ns, in which thirty requests are due
  std::int64_t began = 0;
  StalledServer server(path, 2, [&began] {
    if (began == 0) began = now_ns();
    return now_ns() < began + kStall;
  });
  const LoadResult result = produce(load_of(path, 100));
  CHECK(result.sent == 40);
  CHECK(result.answered.size() == 40);
  CHECK(result.held_back >= 25);
  // Those that were due early waited for most of it, though all but two were sent after it.
  CHECK(Latencies(result.answered).ms(0.75) > 50);
  CHECK(result.late_p99_ms < static_cast<double>(kStall) / 1e6);
}

TEST_CASE("requests are due at the rate, whatever the answers take") {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "sock").string();
  StalledServer server(path, 2, [] { return false; });
  std::vector<std::int64_t> due;
  Load load = load_of(path, 2000);
  load.request = [&due](std::int64_t, std::int64_t when) {
    due.push_back(when);
    return post("/", "text/plain", "");
  };
  const LoadResult result = produce(load);
  REQUIRE(due.size() == 40);
  for (std::size_t i = 0; i < due.size(); ++i)
    CHECK(due[i] - due[0] == static_cast<std::int64_t>(i) * 500'000);
  CHECK(result.refused == 0);
}
