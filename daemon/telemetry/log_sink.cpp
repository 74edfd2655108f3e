#include "telemetry/log_sink.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "telemetry/journal.h"

namespace outboxd::log {
namespace {

constexpr char kJournalMark = '\0';  // no line of text begins with it

// False: the line can never be written. Writes pieces of PIPE_BUF, because that much fits when poll() says that there
// is room; the descriptor is shared with whoever started us, so it cannot be made non-blocking.
bool write_waiting(int fd, std::string_view text) {
  while (!text.empty()) {
    pollfd room{fd, POLLOUT, 0};
    if (poll(&room, 1, -1) < 0 && errno != EINTR) return false;
    const ssize_t n = ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::vector<std::string> unpack_journal_entry(std::string_view packed) {
  std::vector<std::string> fields;
  packed.remove_prefix(1);
  while (!packed.empty()) {
    std::size_t size = 0;
    std::memcpy(&size, packed.data(), sizeof size);
    fields.emplace_back(packed.substr(sizeof size, size));
    packed.remove_prefix(sizeof size + size);
  }
  return fields;
}

bool put(std::string_view line) {
  if (line.starts_with(kJournalMark)) return send_to_journal(unpack_journal_entry(line));
  return write_waiting(STDERR_FILENO, std::string(line) + '\n');
}

}  // namespace

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  if (const std::uint64_t lost = dropped(); lost > told_ && put(notice_(lost - told_))) told_ = lost;
  failed_ += !put({message.payload.data(), message.payload.size()});
  ++handled_;
}

std::string pack_journal_entry(const std::vector<std::string>& fields) {
  std::string packed(1, kJournalMark);
  for (const std::string& field : fields) {
    const std::size_t size = field.size();
    packed.append(reinterpret_cast<const char*>(&size), sizeof size).append(field);
  }
  return packed;
}

}  // namespace outboxd::log
