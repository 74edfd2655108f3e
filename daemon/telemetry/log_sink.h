// Where log lines leave the process: stderr, or the journal. The reader on the other side may be slow, and log() waits
// for room as long as it takes, so it is called by the log's own thread (log.h, Background). For log.cpp alone.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace outboxd::log {

class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // How many lines were dropped before they reached the sink, and the line that reports a number of dropped lines.
  using Overrun = std::function<std::uint64_t()>;
  using Notice = std::function<std::string(std::uint64_t lines)>;
  LogSink(Overrun overrun, Notice notice) : overrun_(std::move(overrun)), notice_(std::move(notice)) {}

  // Any thread.
  std::uint64_t handled() const { return handled_; }  // lines that reached the sink, written or not
  std::uint64_t failed() const { return failed_; }    // those among them that could not be written
  std::uint64_t dropped() const { return overrun_() + failed_; }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

  const Overrun overrun_;
  const Notice notice_;
  std::atomic<std::uint64_t> handled_{0}, failed_{0};
  std::uint64_t told_ = 0;  // dropped lines that a notice has reported
};

// A journal entry packed into one line for the sink, which tells it from a line of text by its first byte.
std::string pack_journal_entry(const std::vector<std::string>& fields);

}  // namespace outboxd::log
