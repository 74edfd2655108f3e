#include "support/daemon_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace outboxd::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kStartPatience = 60s;  // the large log of a killed daemon must be read first
constexpr auto kStopPatience = 60s;
constexpr auto kLook = 2ms;

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_config(const std::filesystem::path& folder, const std::string& delivery,
                  const std::string& store) {
  std::ofstream(folder / "outboxd.toml")
      << "[store]\nurl = \"" << (store.empty() ? "sqlite://" + (folder / "outbox.db").string() : store)
      << "\"\n[listen]\ningest_socket = \"" << (folder / "ingest.sock").string()
      << "\"\ningest_group = \"\"\nadmin_socket = \"" << (folder / "admin.sock").string()
      << "\"\nadmin_group = \"\"\ntcp = \"\"\n"
      << "[policy]\nallow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nports = []\n"
      << "[retention]\nfree_disk = \"16MiB\"\n[log]\nlevel = \"warn\"\n[delivery]\n"
      << delivery << '\n';
}

std::int64_t monotonic_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace

std::string http_over_unix(const std::string& socket_path, const std::string& request_head,
                           const std::string& body) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request =
        request_head +
        "\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
      char buffer[4096];
      for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(n));
    }
  }
  close(fd);
  return answer;
}

DaemonProcess::DaemonProcess(std::string binary, std::filesystem::path folder, const std::string& delivery,
                             const std::string& store)
    : binary_(std::move(binary)), folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  write_config(folder_, delivery, store);
  start();
}

DaemonProcess::~DaemonProcess() {
  try {
    if (pid_ > 0) end(SIGTERM);
  } catch (const std::exception&) {  // nothing here is worth a crash; it dies with this process
  }
}

void DaemonProcess::start() {
  const std::string config = (folder_ / "outboxd.toml").string();
  const std::string log_file = (folder_ / "log").string();
  const pid_t parent = getpid();
  started_at_ = monotonic_ns();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // the parent died before it could be watched
    const int fd = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    execl(binary_.c_str(), binary_.c_str(), "--config", config.c_str(), nullptr);
    _exit(127);
  }
  if (pid_ < 0) throw std::runtime_error("outboxd cannot be started: fork failed");
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  while (!answers()) {
    const bool dead = waitpid(pid_, nullptr, WNOHANG) == pid_;
    if (dead || std::chrono::steady_clock::now() > deadline) {
      if (!dead) kill();
      pid_ = -1;
      throw std::runtime_error("outboxd did not start: " + log());
    }
    std::this_thread::sleep_for(kLook);
  }
}

bool DaemonProcess::answers() const {
  return http_over_unix(admin_socket(), "GET /readyz HTTP/1.1", "").find(" 200 ") != std::string::npos;
}

void DaemonProcess::stop() {
  const int status = end(SIGTERM);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("outboxd did not stop as it should: " + log());
}

void DaemonProcess::kill() {
  end(SIGKILL);
}

int DaemonProcess::end(int signal) {
  if (pid_ <= 0) throw std::logic_error("outboxd is not running");  // kill(-1) would hit every process
  ::kill(pid_, signal);
  const auto deadline = std::chrono::steady_clock::now() + kStopPatience;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(kLook);
  }
  pid_ = -1;
  return status;
}

std::string DaemonProcess::log() const {
  return slurp(folder_ / "log");
}

std::chrono::nanoseconds DaemonProcess::cpu() const {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0)
    throw std::runtime_error("outboxd has ended: " + log());
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::map<std::string, std::chrono::nanoseconds> DaemonProcess::cpu_by_thread() const {
  std::map<std::string, std::chrono::nanoseconds> by_name;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
    std::string name = slurp(thread.path() / "comm");
    name.resize(std::min(name.size(), name.find('\n')));
    // Its first number: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
    by_name[name] +=
        std::chrono::nanoseconds(std::strtoll(slurp(thread.path() / "schedstat").c_str(), nullptr, 10));
  }
  return by_name;
}

long DaemonProcess::status_kib(const char* field) const {
  const std::string status = slurp("/proc/" + std::to_string(pid_) + "/status");
  const auto at = status.find(field);
  return at == std::string::npos ? 0 : std::strtol(status.c_str() + at + std::strlen(field), nullptr, 10);
}

long DaemonProcess::resident_kib() const {
  return status_kib("VmRSS:");
}

long DaemonProcess::peak_resident_kib() const {
  return status_kib("VmHWM:");
}

int DaemonProcess::open_files() const {
  const std::filesystem::directory_iterator files("/proc/" + std::to_string(pid_) + "/fd");
  return static_cast<int>(std::distance(std::filesystem::begin(files), std::filesystem::end(files)));
}

}  // namespace outboxd::test
