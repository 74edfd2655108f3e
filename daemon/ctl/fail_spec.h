// How `listen` misbehaves on request: which share of requests, or which event types, it answers with an error
// status. Pure, but for counting requests. Thread safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outboxd::ctl {

// "503:30%", or "503" for every request.
struct FailShare {
  int status = 0;
  int percent = 100;
  bool operator==(const FailShare&) const = default;
};
std::optional<FailShare> parse_fail_share(std::string_view text);

// "order.bad:500"; the type may be a pattern ("order.*").
struct FailType {
  std::string pattern;
  int status = 0;
  bool operator==(const FailType&) const = default;
};
std::optional<FailType> parse_fail_type(std::string_view text);

class FailPlan {
 public:
  FailPlan(std::vector<FailShare> shares, std::vector<FailType> types);
  // The status to fail this request with, or nullopt to accept it. A share is spread evenly and exactly: 30%
  // fails 3 of every 10.
  std::optional<int> next(std::string_view event_type);

 private:
  struct Counted {
    FailShare share;
    std::atomic<std::uint64_t> seen{0};
  };
  std::vector<std::unique_ptr<Counted>> shares_;
  std::vector<FailType> types_;
};

}  // namespace outboxd::ctl
