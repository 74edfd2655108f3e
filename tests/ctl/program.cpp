#include "ctl/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace outboxd::test {
namespace {

constexpr int kLineDeadlineMs = 10'000;

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe&) = delete;
  void close_read() { close_end(read_end); }
  void close_write() { close_end(write_end); }
  static void close_end(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

std::vector<char*> pointers(Arguments& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t start(const Arguments& arguments, const Arguments& environment, int in, int out, int err) {
  Arguments argv_texts = arguments;
  argv_texts.insert(argv_texts.begin(), "outboxctl");
  Arguments env_texts = environment;
  for (char** variable = environ; *variable; ++variable) {
    if (!std::string_view(*variable).starts_with("OUTBOXD_")) env_texts.push_back(*variable);
  }
  const auto argv = pointers(argv_texts);
  const auto env = pointers(env_texts);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) {
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (err >= 0) dup2(err, STDERR_FILENO);
    execve(OUTBOXCTL_PATH, argv.data(), env.data());
    _exit(127);
  }
  return pid;
}

int exit_code_of(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 65536> buffer;
  for (ssize_t n = 0; (n = read(fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

std::string read_back(const TemporaryFile& file) {
  const int fd = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  std::string text = read_all(fd);
  close(fd);
  return text;
}

}  // namespace

Ended outboxctl(const Arguments& arguments, const std::string& input, const Arguments& environment) {
  // Files rather than pipes for input and messages: no order of reading and writing can then deadlock.
  const TemporaryFile in(input), err("");
  Pipe out;
  const int in_fd = open(in.path().c_str(), O_RDONLY | O_CLOEXEC);
  const int err_fd = open(err.path().c_str(), O_WRONLY | O_CLOEXEC);
  const pid_t pid = start(arguments, environment, in_fd, out.write_end, err_fd);
  close(in_fd);
  close(err_fd);
  out.close_write();
  Ended outcome;
  outcome.out = read_all(out.read_end);
  outcome.exit_code = exit_code_of(pid);
  outcome.err = read_back(err);
  return outcome;
}

RunningOutboxctl::RunningOutboxctl(const Arguments& arguments) {
  Pipe out;
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  pid_ = start(arguments, {}, null, out.write_end, null);
  close(null);
  out_ = out.read_end;
  out.read_end = -1;
}

RunningOutboxctl::~RunningOutboxctl() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    exit_code_of(pid_);
  }
  close(out_);
}

std::string RunningOutboxctl::read_line() {
  for (;;) {
    if (const std::size_t end = buffered_.find('\n'); end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    pollfd wait{out_, POLLIN, 0};
    if (poll(&wait, 1, kLineDeadlineMs) <= 0) throw std::runtime_error("outboxctl wrote no line in time");
    std::array<char, 4096> buffer;
    const ssize_t n = read(out_, buffer.data(), buffer.size());
    if (n <= 0) throw std::runtime_error("outboxctl ended");
    buffered_.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

int RunningOutboxctl::interrupt() {
  kill(pid_, SIGINT);
  const int code = exit_code_of(pid_);
  pid_ = -1;
  return code;
}

TemporaryFile::TemporaryFile(const std::string& content) : path_("/tmp/outboxctl-test-XXXXXX") {
  const int fd = mkstemp(path_.data());
  if (fd < 0 || write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    throw std::runtime_error("mkstemp");
  close(fd);
}

TemporaryFile::~TemporaryFile() {
  unlink(path_.c_str());
}

}  // namespace outboxd::test
