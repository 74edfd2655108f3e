// Turns one connection's bytes, however they are split, into complete requests: head, then body. Pure: no sockets, no
// clock. After each read the connection asks it for its state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/body_decoder.h"
#include "api/http_head.h"

namespace outboxd::api {

class RequestReader {
 public:
  enum class State {
    kIdle,      // nothing of a request has come
    kHead,      // some of its head has
    kBody,      // its head is accepted
    kComplete,  // take() it
    kRefused,   // refusal() says why; the connection's framing is lost
  };

  explicit RequestReader(const HeadLimits& limits) : limits_(limits) {}

  // Consumes bytes of the current request and returns how many: all, unless it became complete or refused.
  std::size_t feed(std::string_view bytes);

  State state() const { return state_; }
  const Head& head() const { return head_; }  // from kBody on
  const std::string& body() const { return body_; }
  const HttpRefusal& refusal() const { return refusal_; }
  std::size_t buffered_bytes() const { return head_bytes_.size() + body_.size(); }

  struct Complete {
    Head head;
    std::string body;
  };
  Complete take();         // in kComplete; then ready for the next request
  void drop() { take(); }  // frees the memory of a request that will not be completed

 private:
  std::size_t feed_head(std::string_view bytes);
  std::size_t feed_body(std::string_view bytes);
  void accept_head(std::string_view text);
  void fail(HttpRefusal refusal);

  const HeadLimits& limits_;
  State state_ = State::kIdle;
  std::string head_bytes_;  // of a head that came in several pieces
  Head head_;
  std::optional<BodyDecoder> decoder_;
  std::string body_;
  HttpRefusal refusal_;
};

}  // namespace outboxd::api
