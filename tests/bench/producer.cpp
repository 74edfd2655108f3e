#include "bench/producer.h"

#include <sched.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <stdexcept>

#include "bench/event_mark.h"

namespace outboxd::bench {
namespace {

constexpr std::int64_t kLookForStop = 20'000'000;  // ns

struct Connection {
  int fd = -1;
  std::string in;
  std::int64_t number = 0, due = 0;  // of the request that waits for its answer
  std::int64_t idle_since = 0;       // ns
};

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  throw std::runtime_error("cannot connect to " + path);
}

// Takes one whole answer off the front of `in`; its status, or 0 when it is not whole yet.
int take_answer(std::string& in, std::string& body) {
  const auto end = in.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  const char* const field = strcasestr(in.c_str(), "content-length:");
  const std::size_t length = field == nullptr ? 0 : std::strtoul(field + 15, nullptr, 10);
  if (in.size() < end + 4 + length) return 0;
  const auto status = static_cast<int>(std::strtol(in.c_str() + 9, nullptr, 10));
  body = in.substr(end + 4, length);
  in.erase(0, end + 4 + length);
  return status;
}

// An open loop must not be slowed by what it measures, which shares its cores. So its thread runs before all others where
// the process may do that (CAP_SYS_NICE); it takes a tenth of one core.
class BeforeOthers {
 public:
  explicit BeforeOthers(bool wanted) {
    const sched_param first{.sched_priority = 1};
    changed_ = wanted && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) == 0;
  }
  ~BeforeOthers() {
    const sched_param usual{.sched_priority = 0};
    if (changed_) sched_setscheduler(0, SCHED_OTHER, &usual);
  }
  BeforeOthers(const BeforeOthers&) = delete;

 private:
  bool changed_ = false;
};

class Producer {
 public:
  explicit Producer(const Load& load)
      : before_others_(load.rate > 0), load_(load), connections_(static_cast<std::size_t>(load.connections)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (auto& connection : connections_) {
      connection.fd = connect_to(load.socket);
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
      idle_.push_back(&connection);
    }
    open_ = connections_.size();
    result_.accepted.resize(static_cast<std::size_t>(load.requests));
  }
  ~Producer() {
    for (const auto& connection : connections_) {
      if (connection.fd >= 0) close(connection.fd);
    }
    close(epoll_);
  }
  Producer(const Producer&) = delete;

  LoadResult run() {
    start_ = now_ns();
    while (open_ > 0 && (idle_.size() < open_ || more())) {
      send_what_is_due();
      receive();
    }
    result_.accepted.resize(static_cast<std::size_t>(result_.sent));
    result_.late_p99_ms = Latencies(lateness_).ms(0.99);
    return std::move(result_);
  }

 private:
  bool more() const { return result_.sent < load_.requests && (load_.stop == nullptr || !*load_.stop); }

  std::int64_t next_due(std::int64_t now) const {
    if (load_.rate <= 0) return now;
    return start_ + static_cast<std::int64_t>(static_cast<double>(result_.sent) * 1e9 / load_.rate);
  }

  void send_what_is_due() {
    while (more() && !idle_.empty()) {
      const std::int64_t now = now_ns();
      const std::int64_t due = next_due(now);
      if (due > now) return;
      Connection& connection = *idle_.front();
      idle_.pop_front();
      if (load_.rate > 0) note_lateness(connection, due, now);
      send_to(connection, result_.sent++, due);
    }
  }

  // Whoever waited longest for a request is taken first, so `connection` was the first that was free.
  void note_lateness(const Connection& connection, std::int64_t due, std::int64_t now) {
    lateness_.push_back({std::max(due, connection.idle_since), now});
    if (connection.idle_since > due) ++result_.held_back;
  }

  void send_to(Connection& connection, std::int64_t number, std::int64_t due) {
    connection.number = number;
    connection.due = due;
    const std::string text = load_.request(number, due);
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t n = send(connection.fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return lose(connection);
      done += static_cast<std::size_t>(n);
    }
  }

  void receive() {
    epoll_event events[256];
    const int n = epoll_pwait2(epoll_, events, 256, timeout().get(), nullptr);
    for (int i = 0; i < n; ++i) read_from(*static_cast<Connection*>(events[i].data.ptr));
  }

  struct Timeout {
    timespec time{};
    bool forever = true;
    const timespec* get() const { return forever ? nullptr : &time; }
  };
  Timeout timeout() const {
    const std::int64_t now = now_ns();
    std::int64_t wait = -1;
    if (more() && !idle_.empty()) wait = std::max<std::int64_t>(0, next_due(now) - now);
    if (load_.stop != nullptr) wait = wait < 0 ? kLookForStop : std::min(wait, kLookForStop);
    return {.time = {.tv_sec = wait / 1'000'000'000, .tv_nsec = wait % 1'000'000'000}, .forever = wait < 0};
  }

  void read_from(Connection& connection) {
    char chunk[65536];
    const ssize_t got = read(connection.fd, chunk, sizeof chunk);
    if (got <= 0) return lose(connection);
    connection.in.append(chunk, static_cast<std::size_t>(got));
    std::string body;
    const int status = take_answer(connection.in, body);
    if (status == 0) return;
    if (status == load_.status) {
      result_.answered.push_back({connection.due, now_ns()});
      result_.accepted[static_cast<std::size_t>(connection.number)] = true;
    } else if (result_.refused++ == 0) {
      result_.first_refusal = std::to_string(status) + " " + body.substr(0, 300);
    }
    connection.idle_since = now_ns();
    idle_.push_back(&connection);
  }

  void lose(Connection& connection) {
    if (!load_.daemon_may_die) throw std::runtime_error("the daemon closed a producer's connection");
    std::erase(idle_, &connection);
    close(connection.fd);
    connection.fd = -1;
    --open_;
  }

  const ExactTimers exact_timers_;
  const BeforeOthers before_others_;
  const Load& load_;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;
  std::size_t open_ = 0;
  std::int64_t start_ = 0;
  int epoll_ = -1;
  std::vector<Sample> lateness_;
  LoadResult result_;
};

}  // namespace

LoadResult produce(const Load& load) {
  return Producer(load).run();
}

std::string post(const std::string& path, const std::string& content_type, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + content_type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::function<std::string(std::int64_t, std::int64_t)> requests_of(const Events& events) {
  return [events](std::int64_t request, std::int64_t due) {
    std::string body;
    for (int i = 0; i < events.per_request; ++i) {
      const std::int64_t number = events.first + request * events.per_request + i;
      if (i > 0) body += '\n';
      body += R"({"type":"bench.event",)";
      if (events.tenant) body += R"("tenant":")" + events.tenant(number) + R"(",)";
      body += R"("payload":)" + payload_of({events.stream, number, due}) + "}";
    }
    return post("/v1/events", events.per_request > 1 ? "application/x-ndjson" : "application/json", body);
  };
}

}  // namespace outboxd::bench
