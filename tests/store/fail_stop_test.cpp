#include "store/fail_stop.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>

#include "store/store.h"

using namespace outboxd;

namespace {

struct Ended {
  int status = 0;  // as wait(2) gives it
  std::string said;
};

// What became of a process in which a thread of the daemon throws this.
Ended process_with_a_thread_that_runs(const std::function<void()>& body) {
  std::fflush(nullptr);  // or the child writes it again
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    start_thread("tested", body).join();
    _exit(0);
  }
  close(ends[1]);
  Ended ended;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    ended.said.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  waitpid(child, &ended.status, 0);
  return ended;
}

bool exited_with(const Ended& ended, int code) {
  return WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == code;
}

}  // namespace

TEST_CASE("a failure of the store on any thread is a fail stop, with a sentence") {
  const Ended ended =
      process_with_a_thread_that_runs([] { throw StoreError(StoreError::Kind::kFailed, "disk I/O error"); });
  CHECK(exited_with(ended, kFailStopStatus));
  CHECK(ended.said.find("the store failed") != std::string::npos);
  CHECK(ended.said.find("disk I/O error") != std::string::npos);
}

TEST_CASE("any other failure of a thread ends the process too, and names the thread") {
  const Ended ended = process_with_a_thread_that_runs([] { throw std::runtime_error("no memory"); });
  CHECK(exited_with(ended, kFailStopStatus));
  CHECK(ended.said.find("tested: no memory") != std::string::npos);
}

TEST_CASE("a thread that ends by itself ends nothing else") {
  CHECK(exited_with(process_with_a_thread_that_runs([] {}), 0));
}
