#include "api/request_reader.h"

#include <algorithm>
#include <utility>

namespace outboxd::api {
namespace {

// A declared length is a promise, not memory: larger bodies grow as their bytes arrive.
constexpr std::size_t kMaxReservedBytes = 64u << 10;

}  // namespace

std::size_t RequestReader::feed(std::string_view bytes) {
  std::size_t taken = 0;
  if ((state_ == State::kIdle || state_ == State::kHead) && !bytes.empty()) {
    state_ = State::kHead;
    taken = feed_head(bytes);
  }
  if (state_ == State::kBody) taken += feed_body(bytes.substr(taken));
  return taken;
}

std::size_t RequestReader::feed_head(std::string_view bytes) {
  const std::size_t before = head_bytes_.size();
  std::string_view text = bytes;
  if (before > 0) {
    // One byte over the limit is enough to know that it is exceeded.
    head_bytes_.append(bytes.substr(0, limits_.max_bytes + 1 - std::min(before, limits_.max_bytes)));
    text = head_bytes_;
  }
  const auto found = find_head_end(text, before);
  if (!found) {
    fail(found.error());
    return bytes.size();
  }
  if (found->end != std::string_view::npos) {
    const std::size_t taken = found->end - before;
    accept_head(text.substr(0, found->end));
    head_bytes_.clear();
    return taken;
  }
  if (text.size() > limits_.max_bytes) {
    fail({431, "The request's head is larger than " + std::to_string(limits_.max_bytes) + " bytes."});
  } else if (before == 0) {
    head_bytes_ = bytes;
  }
  return bytes.size();
}

void RequestReader::accept_head(std::string_view text) {
  auto head = parse_head(text, limits_);
  if (!head) {
    fail(std::move(head.error()));
    return;
  }
  head_ = std::move(*head);
  body_.reserve(std::min<std::uint64_t>(head_.content_length, kMaxReservedBytes));
  decoder_ = head_.chunked ? BodyDecoder::chunked(limits_.max_body_bytes)
                           : BodyDecoder::with_length(head_.content_length);
  state_ = decoder_->done() ? State::kComplete : State::kBody;
}

std::size_t RequestReader::feed_body(std::string_view bytes) {
  auto taken = decoder_->feed(bytes, body_);
  if (!taken) {
    fail(std::move(taken.error()));
    return bytes.size();
  }
  if (decoder_->done()) state_ = State::kComplete;
  return *taken;
}

void RequestReader::fail(HttpRefusal refusal) {
  refusal_ = std::move(refusal);
  head_bytes_.clear();
  body_.clear();
  state_ = State::kRefused;
}

RequestReader::Complete RequestReader::take() {
  Complete complete{std::exchange(head_, {}), std::exchange(body_, {})};
  decoder_.reset();
  state_ = State::kIdle;
  return complete;
}

}  // namespace outboxd::api
