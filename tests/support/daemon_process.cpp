#include "support/daemon_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace outboxd::test {
namespace {

using namespace std::chrono_literals;

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_config(const std::filesystem::path& folder) {
  std::ofstream(folder / "outboxd.toml")
      << "[store]\nurl = \"sqlite://" << (folder / "outbox.db").string() << "\"\n[listen]\ningest_socket = \""
      << (folder / "ingest.sock").string() << "\"\ningest_group = \"\"\nadmin_socket = \""
      << (folder / "admin.sock").string() << "\"\nadmin_group = \"\"\ntcp = \"\"\n"
      << "[policy]\nallow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nports = []\n"
      << "[retention]\nfree_disk = \"16MiB\"\n[log]\nlevel = \"warn\"\n";
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
    if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char buffer[4096];
      for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(n));
    }
  }
  close(fd);
  return answer;
}

DaemonProcess::DaemonProcess(const std::string& binary, std::filesystem::path folder)
    : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  write_config(folder_);
  const std::string config = (folder_ / "outboxd.toml").string();
  const std::string log = (folder_ / "log").string();
  pid_ = fork();
  if (pid_ == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    execl(binary.c_str(), binary.c_str(), "--config", config.c_str(), nullptr);
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (http_over_unix(admin_socket(), "GET /readyz HTTP/1.1", "").find(" 200 ") == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("outboxd did not start: " + slurp(log));
    std::this_thread::sleep_for(10ms);
  }
}

DaemonProcess::~DaemonProcess() {
  kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) kill(pid_, SIGKILL);
    std::this_thread::sleep_for(10ms);
  }
}

std::chrono::microseconds DaemonProcess::cpu() const {
  const std::string stat = slurp("/proc/" + std::to_string(pid_) + "/stat");
  long long user = 0, system = 0;
  // After the name in parentheses: state is field 3, utime 14, stime 15 (proc(5)).
  std::sscanf(stat.c_str() + stat.rfind(')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld",
              &user, &system);
  return std::chrono::microseconds((user + system) * 1'000'000 / sysconf(_SC_CLK_TCK));
}

long DaemonProcess::resident_kib() const {
  const std::string status = slurp("/proc/" + std::to_string(pid_) + "/status");
  const auto at = status.find("VmRSS:");
  return at == std::string::npos ? 0 : std::strtol(status.c_str() + at + 6, nullptr, 10);
}

}  // namespace outboxd::test
