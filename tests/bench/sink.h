// A receiver that answers 200 as fast as it can and notes when each event came. One thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace outboxd::bench {

std::int64_t now_ns();  // CLOCK_MONOTONIC

class Sink {
 public:
  Sink();
  ~Sink();
  Sink(const Sink&) = delete;

  int port() const { return port_; }
  std::int64_t received() const { return received_; }
  // Of every event that carried "t": <ns since boot when it was due to be sent>. Take it when nothing arrives
  // any more.
  std::vector<std::int64_t> take_latencies();

 private:
  void run();
  void serve(int fd, std::string& buffer);

  int listen_fd_ = -1;
  int epoll_fd_ = -1;
  int stop_fd_ = -1;
  int port_ = 0;
  std::atomic<std::int64_t> received_{0};
  std::vector<std::int64_t> latencies_;
  std::thread thread_;
};

}  // namespace outboxd::bench
