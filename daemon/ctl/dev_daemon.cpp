#include "ctl/dev_daemon.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "common/text.h"
#include "ctl/api_client.h"
#include "ctl/failure.h"
#include "ctl/interrupt.h"

namespace outboxd::ctl {
namespace {

namespace fs = std::filesystem;

constexpr Millis kStartLimit = std::chrono::seconds(30);
constexpr Millis kStopLimit = std::chrono::seconds(15);
constexpr Millis kLook{50};
constexpr std::size_t kShownLog = 2000;

bool is_program(const fs::path& path) {
  return access(path.c_str(), X_OK) == 0 && !fs::is_directory(path);
}

std::string config_text(const std::string& folder, int port) {
  return "[store]\nurl = \"sqlite://" + folder + "/outbox.db\"\n[listen]\ningest_socket = \"" + folder +
         "/ingest.sock\"\ningest_group = \"\"\nadmin_socket = \"" + folder +
         "/admin.sock\"\nadmin_group = \"\"\ntcp = \"127.0.0.1:" + std::to_string(port) +
         "\"\n[policy]\nallow_http = true\nallow_networks = [\"127.0.0.0/8\", \"::1/128\"]\nports = []\n"
         "[retention]\nfree_disk = \"1MiB\"\n[log]\nformat = \"logfmt\"\n";
}

std::string make_folder() {
  std::error_code error;
  std::string path = (fs::temp_directory_path(error) / "outboxd-dev.XXXXXX").string();
  if (error || mkdtemp(path.data()) == nullptr)
    throw Failure(kExitFailed,
                  "no folder for the store can be made in $TMPDIR: " + std::string(std::strerror(errno)));
  return path;
}

// The caller's own settings of a daemon must not change this one.
std::vector<std::string> environment() {
  std::vector<std::string> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("OUTBOXD_")) kept.emplace_back(*variable);
  }
  return kept;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string find_outboxd() {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / "outboxd";
  if (!error && is_program(beside)) return beside;
  const char* const path = std::getenv("PATH");
  for (std::string_view rest = path != nullptr ? path : ""; !rest.empty();) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
    if (const fs::path found = fs::path(folder) / "outboxd"; !folder.empty() && is_program(found))
      return found;
  }
  throw Failure(kExitFailed,
                "there is no outboxd beside outboxctl nor in PATH: install it, or name it with --outboxd");
}

DevDaemon::Folder::Folder() : path(make_folder()) {}

DevDaemon::Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

DevDaemon::DevDaemon(const std::string& outboxd, int port) : socket_(folder_.path + "/admin.sock") {
  std::ofstream(folder_.path + "/outboxd.toml") << config_text(folder_.path, port);
  start(outboxd);
}

// It dies with us, however we end. A process group of its own, so that Ctrl-C reaches us alone and we end it in order.
void DevDaemon::start(const std::string& outboxd) {
  std::vector<std::string> arguments{outboxd, "--config", folder_.path + "/outboxd.toml"},
      variables = environment();
  const auto argv = pointers_to(arguments), envp = pointers_to(variables);
  const std::string log = folder_.path + "/outboxd.log";
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw Failure(kExitFailed, "no process for outboxd: " + std::string(std::strerror(errno)));
  if (pid_ > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kExitFailed);
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(kExitFailed);
  execve(outboxd.c_str(), argv.data(), envp.data());
  dprintf(2, "%s: %s\n", outboxd.c_str(), std::strerror(errno));
  _exit(kExitFailed);
}

DevDaemon::~DevDaemon() {
  if (runs()) kill(pid_, SIGTERM);
  for (Millis waited{0}; runs() && waited < kStopLimit; waited += kLook)
    usleep(static_cast<useconds_t>(kLook.count()) * 1000);
  if (runs()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

bool DevDaemon::runs() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
  return pid_ > 0;
}

std::string DevDaemon::log_end() const {
  std::ifstream file(folder_.path + "/outboxd.log");
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (text.size() > kShownLog) text.erase(0, text.size() - kShownLog);
  std::string shown;
  for (std::string_view rest = text; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    shown += "\n  " + escape_control(line);
  }
  return shown;
}

void DevDaemon::wait_until_ready() {
  ApiClient api({.socket = socket_, .url = {}, .token = {}, .ca_file = {}});
  for (Millis waited{0}; waited < kStartLimit; waited += kLook) {
    if (!runs()) throw Failure(kExitFailed, "outboxd did not start:" + log_end());
    try {
      if (api.send("GET", "/readyz", {}, {}).status == 200) return;
    } catch (const Failure&) {
      // it does not listen yet
    }
    if (wait_for_interrupt(kLook)) throw Failure(kExitFailed, "interrupted");
  }
  throw Failure(kExitFailed, "outboxd does not answer:" + log_end());
}

}  // namespace outboxd::ctl
