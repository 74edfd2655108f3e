#include "bench/producer.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string_view>

#include "bench/sink.h"

namespace outboxd::bench {
namespace {

struct Connection {
  int fd = -1;
  std::string in;
  std::int64_t due = 0;
};

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to " + path);
  return fd;
}

std::string request(const Load& load, std::int64_t due) {
  std::string event = R"({"type":"bench.event","payload":{"t":)" + std::to_string(due) + R"(,"pad":")";
  event.append(load.payload, 'x').append("\"}}");
  std::string body = event;
  const bool batch = load.events_per_request > 1;
  for (int i = 1; i < load.events_per_request; ++i) body.append("\n").append(event);
  return "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: " +
         std::string(batch ? "application/x-ndjson" : "application/json") +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Takes one whole answer off the front of `in`; its status, or 0 when it is not whole yet.
int take_answer(std::string& in) {
  const auto end = in.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  const char* field = strcasestr(in.c_str(), "content-length:");
  const std::size_t whole = end + 4 + static_cast<std::size_t>(field == nullptr ? 0 : std::atol(field + 15));
  if (in.size() < whole) return 0;
  const int status = std::atoi(in.c_str() + 9);
  in.erase(0, whole);
  return status;
}

class Producer {
 public:
  explicit Producer(const Load& load)
      : load_(load), connections_(static_cast<std::size_t>(load.connections)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (auto& connection : connections_) {
      connection.fd = connect_to(load.socket);
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
      idle_.push_back(&connection);
    }
  }
  ~Producer() {
    for (const auto& connection : connections_) close(connection.fd);
    close(epoll_);
  }

  LoadResult run() {
    const std::int64_t requests = load_.events / load_.events_per_request;
    const std::int64_t start = now_ns();
    std::int64_t sent = 0, answered = 0;
    while (answered < requests) {
      const std::int64_t now = now_ns();
      while (sent < requests && !idle_.empty() && due_at(sent, start, now) <= now) {
        send(*idle_.front(), due_at(sent, start, now));
        idle_.pop_front();
        ++sent;
      }
      answered += receive(load_.rate > 0 ? 1 : -1);
    }
    result_.seconds = static_cast<double>(now_ns() - start) / 1e9;
    return std::move(result_);
  }

 private:
  std::int64_t due_at(std::int64_t n, std::int64_t start, std::int64_t now) const {
    return load_.rate > 0 ? start + static_cast<std::int64_t>(static_cast<double>(n) * 1e9 / load_.rate)
                          : now;
  }

  void send(Connection& connection, std::int64_t due) {
    connection.due = due;
    const std::string text = request(load_, due);
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t n = write(connection.fd, text.data() + done, text.size() - done);
      if (n <= 0) throw std::runtime_error("the daemon closed a producer's connection");
      done += static_cast<std::size_t>(n);
    }
  }

  int receive(int timeout_ms) {
    epoll_event events[256];
    char chunk[65536];
    int answered = 0;
    const int n = epoll_wait(epoll_, events, 256, timeout_ms);
    for (int i = 0; i < n; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      const ssize_t got = read(connection.fd, chunk, sizeof chunk);
      if (got <= 0) throw std::runtime_error("the daemon closed a producer's connection");
      connection.in.append(chunk, static_cast<std::size_t>(got));
      const int status = take_answer(connection.in);
      if (status == 0) continue;
      result_.ack_ns.push_back(now_ns() - connection.due);
      if (status != 202) ++result_.refused;
      idle_.push_back(&connection);
      ++answered;
    }
    return answered;
  }

  const Load& load_;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;
  int epoll_ = -1;
  LoadResult result_;
};

}  // namespace

LoadResult produce(const Load& load) {
  return Producer(load).run();
}

}  // namespace outboxd::bench
