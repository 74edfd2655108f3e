#include "store/postgresql/doorbell.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "store/errors.h"

namespace outboxd::postgresql {
namespace {

std::string_view next_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

// Reads a number and what follows it up to the end of the word; false: it is none.
bool read_number(std::string_view& word, std::int64_t& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  word.remove_prefix(static_cast<std::size_t>(end - word.data()));
  return error == std::errc{} && number > 0;
}

}  // namespace

Doorbell::Doorbell() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0)
    throw StoreError(StoreError::Kind::kCannotOpen, std::string("no eventfd: ") + std::strerror(errno));
}

Doorbell::~Doorbell() {
  close(fd_);
}

void Doorbell::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
}

void Doorbell::calm() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof count);
}

void Doorbell::add(const Entry& entry) {
  if (waiting_.size() < kMaxWaiting) waiting_.insert(entry);
}

void Doorbell::ring(EndpointSeq endpoint) {
  {
    const MutexLock lock(mutex_);
    add({.endpoint = endpoint});
  }
  wake();
}

void Doorbell::ring(const Facts& facts, const PartitionSet& owned) {
  const auto is_elsewhere = [&owned](EndpointSeq endpoint) {
    return !owned.test(static_cast<std::size_t>(partition_of(endpoint)));
  };
  bool rings = false;
  {
    const MutexLock lock(mutex_);
    for (const Fact& fact : facts) {
      if (const auto* due = std::get_if<DueOnDisk>(&fact)) {
        if (is_elsewhere(due->endpoint))
          add({.endpoint = due->endpoint, .event = 0, .by_operator = due->by_operator});
      } else if (const auto* ready = std::get_if<DeliveryReady>(&fact)) {
        if (is_elsewhere(ready->delivery.key.endpoint)) add({.endpoint = ready->delivery.key.endpoint});
      } else if (const auto* withdrawn = std::get_if<DeliveryWithdrawn>(&fact)) {
        if (is_elsewhere(withdrawn->key.endpoint))
          add({.endpoint = withdrawn->key.endpoint, .event = withdrawn->key.event});
      } else if (std::holds_alternative<EndpointChanged>(fact) || std::holds_alternative<FanOutWaits>(fact) ||
                 std::holds_alternative<BatchChanged>(fact)) {
        look_ = true;
      }
    }
    rings = look_ || !waiting_.empty();
  }
  if (rings) wake();
}

// "<sender> 12 12! 12-4711": something due at endpoint 12; by an operator's wish; its delivery of event 4711 withdrawn.
std::string Doorbell::take(std::string_view sender) {
  const MutexLock lock(mutex_);
  if (waiting_.empty() && !look_) return {};
  look_ = false;
  std::string payload(sender);
  auto entry = waiting_.begin();
  for (; entry != waiting_.end() && payload.size() < kMaxPayload; ++entry) {
    payload.append(" ").append(std::to_string(entry->endpoint));
    if (entry->event != 0) payload.append("-").append(std::to_string(entry->event));
    if (entry->by_operator) payload.append("!");
  }
  waiting_.erase(waiting_.begin(), entry);
  return payload;
}

// Anybody may notify: what cannot be read is passed over.
Doorbell::Heard Doorbell::read(std::string_view payload, const PartitionSet& owned) {
  Heard heard{.from = std::string(next_word(payload)), .facts = {}};
  while (!payload.empty()) {
    std::string_view word = next_word(payload);
    std::int64_t endpoint = 0, event = 0;
    if (!read_number(word, endpoint) || !owned.test(static_cast<std::size_t>(partition_of(endpoint))))
      continue;
    if (word.starts_with('-')) {
      word.remove_prefix(1);
      if (read_number(word, event)) heard.facts.emplace_back(DeliveryWithdrawn{{event, endpoint}});
    } else {
      heard.facts.emplace_back(DueOnDisk{endpoint, Millis(0), word.starts_with('!')});
    }
  }
  return heard;
}

}  // namespace outboxd::postgresql
