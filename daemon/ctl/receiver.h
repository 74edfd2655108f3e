// `listen`: a subscriber for development and demonstrations. It takes POSTs on the loopback interface, shows and
// verifies them, and on request fails, delays or forwards them. It is not a part of the daemon and no model for one: it
// uses a thread for each connection.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/time.h"
#include "ctl/fail_spec.h"
#include "ctl/verification.h"

namespace outboxd::ctl {

inline constexpr std::size_t kMaxReceivedBytes = 64u << 20;

// One request as it was received, and how it was answered.
struct Received {
  Time at{};
  std::string path, type, id, attempt, timestamp, content_type, body;
  std::optional<std::string> verify_error;  // "" when it verified; absent when no secret was given
  int status = 0;
};

class Receiver {
 public:
  struct Options {
    int port = 0;                      // 0: any free one
    std::vector<std::string> secrets;  // a signature by any of them is enough; none: not checked
    std::vector<FailShare> fail;
    std::vector<FailType> fail_types;
    Millis delay{0};         // before each answer
    std::string forward_to;  // where else to POST it; its answer becomes ours
    SentBody sent_body;      // to explain a signature that does not verify; may be empty
  };
  // Called after each request, from several threads at once.
  using OnReceived = std::function<void(const Received&)>;

  // Binds at once: throws Failure when the port is taken. Serves from start() on.
  Receiver(Options options, OnReceived on_received);
  ~Receiver();
  int port() const;
  void add_secret(std::string secret);  // before start()
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd::ctl
