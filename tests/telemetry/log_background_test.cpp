#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "telemetry/log.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

// Stderr is a pipe that holds a page and that nobody reads until read_all().
class UnreadStderr {
 public:
  UnreadStderr() {
    REQUIRE(pipe2(ends_.data(), O_CLOEXEC) == 0);
    REQUIRE(fcntl(ends_[1], F_SETPIPE_SZ, 4096) >= 4096);
    saved_ = dup(STDERR_FILENO);
    dup2(ends_[1], STDERR_FILENO);
    close(ends_[1]);
  }
  ~UnreadStderr() {
    restore();
    close(ends_[0]);
  }
  UnreadStderr(const UnreadStderr&) = delete;

  // Until nobody has it open for writing any more.
  std::string read_all() {
    std::string text;
    std::array<char, 65536> buffer{};
    for (ssize_t n = 0; (n = read(ends_[0], buffer.data(), buffer.size())) > 0;)
      text.append(buffer.data(), static_cast<std::size_t>(n));
    return text;
  }
  void restore() {
    if (saved_ < 0) return;
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    saved_ = -1;
  }

 private:
  std::array<int, 2> ends_{};
  int saved_ = -1;
};

// Ends `background` while the pipe is read.
std::string read_to_the_end(UnreadStderr& err, auto& background) {
  std::string text;
  std::thread reader([&] { text = err.read_all(); });
  background.reset();
  err.restore();
  reader.join();
  return text;
}

std::uint64_t lines_told_of(std::string_view text) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; (at = text.find("were dropped", at)) != std::string_view::npos; ++at) {
    const std::size_t number = text.find(" lines=", at) + 7;
    sum += std::stoull(std::string(text.substr(number, text.find('\n', number) - number)));
  }
  return sum;
}

std::uint64_t count(std::string_view text, std::string_view word) {
  std::uint64_t n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; ++at) ++n;
  return n;
}

constexpr std::uint64_t kLines = 5000;

}  // namespace

TEST_CASE("a log that nobody reads holds up nobody: the oldest lines are dropped, counted, and told of") {
  UnreadStderr err;
  const auto before = log::dropped();
  auto background = std::make_unique<log::Background>();
  for (std::uint64_t i = 0; i < kLines; ++i) log::info("counted", {{"i", i}});
  const auto dropped = log::dropped() - before;
  CHECK(dropped > 0);
  CHECK(dropped < kLines);
  const std::string text = read_to_the_end(err, background);
  CHECK(text.find("msg=counted i=4999\n") != std::string::npos);
  CHECK(count(text, "msg=counted") + dropped == kLines);
  CHECK(lines_told_of(text) == dropped);
}

TEST_CASE("the end of the log's thread waits a second for a reader, and no longer") {
  UnreadStderr err;
  auto background = std::make_unique<log::Background>();
  for (std::uint64_t i = 0; i < 200; ++i) log::info("waits", {{"i", i}});
  const auto begin = std::chrono::steady_clock::now();
  background.reset();
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took >= 1s);
  CHECK(took < 30s);
  background = std::make_unique<log::Background>();
  CHECK(count(read_to_the_end(err, background), "msg=waits") == 200);
}

TEST_CASE("what is logged reaches a reader without anything else being done") {
  UnreadStderr err;
  auto background = std::make_unique<log::Background>();
  log::warn("seen", {{"n", 1}});
  CHECK(read_to_the_end(err, background).find("level=warn msg=seen n=1\n") != std::string::npos);
}

TEST_CASE("last words are written at once, or not at all") {
  UnreadStderr err;
  log::last_words("the end", {{"error", "e"}});
  const std::string filling(4096, 'x');
  REQUIRE(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK) == 0);
  while (write(STDERR_FILENO, filling.data(), 1) == 1) {
  }
  REQUIRE(fcntl(STDERR_FILENO, F_SETFL, 0) == 0);
  log::last_words("too late", {});
  err.restore();
  const std::string text = err.read_all();
  CHECK(text.find("level=error msg=\"the end\" error=e\n") != std::string::npos);
  CHECK(text.find("too late") == std::string::npos);
}

TEST_CASE("a value of a field is cut where it would fill the memory with lines that wait") {
  const log::Field field("body", std::string(3 * log::kMaxFieldBytes, 'x'));
  CHECK(field.value.size() == log::kMaxFieldBytes);
}
