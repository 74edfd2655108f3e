#include "telemetry/log.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/captured_stderr.h"
#include "telemetry/journal.h"

using namespace outboxd;
using log::Field;
using log::Level;
using outboxd::test::captured_stderr;

namespace {

constexpr std::string_view kTime = "2026-11-23T15:21:00.123Z";

std::string logfmt(std::string_view message, log::Fields fields = {}) {
  return log::render_logfmt(kTime, Level::kInfo, message, fields);
}

}  // namespace

TEST_CASE("logfmt writes plain values bare and the others quoted") {
  CHECK(logfmt("hello") == "time=2026-11-23T15:21:00.123Z level=info msg=hello");
  CHECK(logfmt("attempt failed", {{"status", 503}, {"kept", true}, {"error", "timed out"}, {"body", ""}}) ==
        "time=2026-11-23T15:21:00.123Z level=info msg=\"attempt failed\" status=503 kept=true error=\"timed "
        "out\" "
        "body=\"\"");
  CHECK(logfmt("a=b") == "time=2026-11-23T15:21:00.123Z level=info msg=\"a=b\"");
}

TEST_CASE("nothing a subscriber sent can end a logfmt line or move a terminal's cursor") {
  const std::string hostile = std::string("a\"\\\n\r\t\x1b[2J\x7f", 11) + '\0' +
                              "\xc2\x9b"
                              "31m";
  CHECK(logfmt("m", {{"body", hostile}}) ==
        R"(time=2026-11-23T15:21:00.123Z level=info msg=m body="a\"\\\n\r\t\u001b[2J\u007f\u0000\u009b31m")");
  // What reorders a line, and what is a line's end to some readers.
  CHECK(logfmt("m", {{"reason", "a\u202e\u2066b\u2028"}}) ==
        R"(time=2026-11-23T15:21:00.123Z level=info msg=m reason="a\u202e\u2066b\u2028")");
  CHECK(logfmt("m", {{"body", "\xff\xfe"}}) ==
        "time=2026-11-23T15:21:00.123Z level=info msg=m body=\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(logfmt("Grüße") == "time=2026-11-23T15:21:00.123Z level=info msg=Grüße");
}

TEST_CASE("a JSON line parses whatever is in it, and keeps numbers and booleans as such") {
  const std::string hostile = std::string("q\" b\\ \n \x1b \xff", 11) + '\0';
  const auto line =
      log::render_json(kTime, Level::kError, hostile,
                       {{"n", -3}, {"x", 1.5}, {"ok", false}, {"nan", std::nan("")}, {"s", "12"}});
  CHECK(line.find('\n') == std::string::npos);
  const auto json = nlohmann::json::parse(line);
  CHECK(json["time"] == kTime);
  CHECK(json["level"] == "error");
  CHECK(json["msg"] == std::string("q\" b\\ \n \x1b \xef\xbf\xbd", 13) + '\0');
  CHECK(json["n"] == -3);
  CHECK(json["x"] == 1.5);
  CHECK(json["ok"] == false);
  CHECK(json["nan"].is_string());
  CHECK(json["s"] == "12");
}

TEST_CASE("journal entries carry message, priority, identifier and prefixed upper-case fields") {
  const auto fields = log::journal_fields(Level::kWarn, "two\nlines", {{"endpoint", "ep_1"}, {"dns-ms", 4}});
  CHECK(fields == std::vector<std::string>{"MESSAGE=two\nlines", "PRIORITY=4", "SYSLOG_IDENTIFIER=outboxd",
                                           "OUTBOXD_ENDPOINT=ep_1", "OUTBOXD_DNS_MS=4"});
  const std::string long_key(200, 'k');
  const auto cut = log::journal_fields(Level::kError, "m", {Field(long_key, "v")});
  CHECK(cut[1] == "PRIORITY=3");
  CHECK(cut[3] == "OUTBOXD_" + std::string(56, 'K') + "=v");
}

TEST_CASE("the level decides what is written, and can be changed while running") {
  const auto text = captured_stderr([] {
    log::configure(Level::kWarn, log::Format::kLogfmt);
    CHECK_FALSE(log::enabled(Level::kInfo));
    log::debug("one");
    log::info("two");
    log::warn("three");
    log::configure(Level::kDebug, log::Format::kJson);
    log::debug("four", {{"n", 4}});
  });
  log::configure(Level::kInfo, log::Format::kLogfmt);
  CHECK(text.find("one") == std::string::npos);
  CHECK(text.find("two") == std::string::npos);
  CHECK(text.find("level=warn msg=three\n") != std::string::npos);
  CHECK(text.find(R"("level":"debug","msg":"four","n":4})") != std::string::npos);
}

TEST_CASE("the automatic format is logfmt when stderr is not the journal's stream") {
  const auto text = captured_stderr([] {
    setenv("JOURNAL_STREAM", "1:1", 1);
    log::configure(Level::kInfo, log::Format::kAuto);
    log::info("here");
    unsetenv("JOURNAL_STREAM");
  });
  CHECK(text.find("level=info msg=here\n") != std::string::npos);
}

TEST_CASE("lines of several threads do not mix") {
  constexpr int kThreads = 4;
  constexpr int kLines = 100;
  const auto text = captured_stderr([] {
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < kLines; ++i) log::info("line", {{"x", "yyyyyyyyyyyyyyyyyyyyyyyyy"}});
      });
    }
    for (auto& thread : threads) thread.join();
  });
  int whole = 0;
  std::size_t start = 0;
  for (std::size_t end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    whole += text.substr(start, end - start).ends_with(" level=info msg=line x=yyyyyyyyyyyyyyyyyyyyyyyyy");
  }
  CHECK(whole == kThreads * kLines);
}
