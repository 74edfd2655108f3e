// A subscriber for sender_bench, in a process of its own so that its work is in nobody else's figures: answers every
// POST at once with 200, or reads it and never answers.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "support/test_certificate.h"

namespace outboxd::bench {

class PostReceiver {
 public:
  struct Options {
    std::optional<test::TestCertificate> certificate = std::nullopt;  // TLS 1.3; absent: plain
    bool answers = true;
    bool keeps_connections = true;  // otherwise it closes after each answer
    bool resumes_sessions = false;
  };
  // What it has seen so far.
  struct Counts {
    std::atomic<std::size_t> accepted, open, requests;
  };

  // Starts the process; std::system_error if it cannot. Call it before any thread is started.
  explicit PostReceiver(const Options& options);
  ~PostReceiver();  // ends the process
  PostReceiver(const PostReceiver&) = delete;
  PostReceiver& operator=(const PostReceiver&) = delete;

  // Several, because the queue of connections to be accepted of one is short (net.core.somaxconn).
  static constexpr std::size_t kPorts = 4;
  const std::array<std::uint16_t, kPorts>& ports() const { return ports_; }
  const Counts& counts() const { return *counts_; }

 private:
  std::array<int, kPorts> listeners_{};
  std::array<std::uint16_t, kPorts> ports_{};
  Counts* counts_;  // in memory that both processes see
  pid_t process_ = -1;
};

}  // namespace outboxd::bench
