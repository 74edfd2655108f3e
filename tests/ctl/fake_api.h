// A daemon's API for outboxctl to talk to: answers what a test prepared, and remembers what it was asked. On
// loopback, or on a Unix socket.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::test {

struct Asked {
  std::string method, target, body, content_type, authorization, last_event_id;
};

class FakeApi {
 public:
  FakeApi();
  explicit FakeApi(const std::string& unix_socket);
  ~FakeApi();
  FakeApi(const FakeApi&) = delete;

  std::string url() const;
  // "GET /v1/status", with the query as it is sent. Several answers to the same request: given in turn, the
  // last one for ever.
  void answer(const std::string& request, int status, const Json& body);
  void answer_bytes(const std::string& request, int status, const std::string& content_type,
                    const std::string& body);
  std::vector<Asked> asked() const;
  Asked last() const { return asked().back(); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The body of a refusal.
Json refusal(int status, const std::string& title, const std::string& detail, const Json& errors = nullptr);

inline constexpr const char* kEvent = "evt_019ab0f40c2b7a3c8d4e5f60718293a4";
inline constexpr const char* kEndpoint = "ep_019ab0f40c2b7a3c8d4e5f60718293a5";
// Well-formed delivery ids, distinct by n.
std::string delivery_id_text(int n);
Json delivery_row(int n, const std::string& state, const Json& error = nullptr, int attempts = 1);

}  // namespace outboxd::test
