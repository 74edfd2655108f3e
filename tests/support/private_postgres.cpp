#include "support/private_postgres.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

namespace outboxd::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kPatience = 60s;
constexpr const char* kUser = "postgres";  // servers refuse to run as root; Debian's package makes this user
constexpr const char* kRole = "outboxd";

fs::path find_programs() {
  if (const char* given = std::getenv("OUTBOXD_POSTGRESQL_BIN")) return given;
  fs::path newest;
  int version = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const int its = std::atoi(entry.path().filename().c_str());
    if (its > version && fs::exists(entry.path() / "bin/initdb")) {
      version = its;
      newest = entry.path() / "bin";
    }
  }
  return newest;
}

struct User {
  uid_t user;
  gid_t group;
};
std::optional<User> server_user() {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> memory(16'384);
  if (getpwnam_r(kUser, &entry, memory.data(), memory.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return User{entry.pw_uid, entry.pw_gid};
}

void become(const std::optional<User>& server) {
  if (geteuid() != 0) return;
  if (!server || setgroups(0, nullptr) != 0 || setgid(server->group) != 0 || setuid(server->user) != 0)
    _exit(126);
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

pid_t spawn(const std::vector<std::string>& command, const fs::path& folder, const fs::path& input,
            const fs::path& output) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const auto server = server_user();  // before the fork, after which little may be called
  const pid_t child = fork();
  if (child != 0) return child;
  const int in = open(input.c_str(), O_RDONLY);
  const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  for (int fd = 3; fd < 256; ++fd) close(fd);
  setsid();
  become(server);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);  // a change of the user would undo it
  if (chdir(folder.c_str()) != 0) _exit(125);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

bool PrivatePostgres::is_installed() {
  return !find_programs().empty();
}

PrivatePostgres::PrivatePostgres(PrivatePostgresOptions options)
    : options_(std::move(options)), programs_(find_programs()) {
  std::string name = (fs::temp_directory_path() / "outboxd-pg-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed for " + name);
  folder_ = name;
  data_ = options_.data.empty() ? folder_ / "data" : fs::absolute(options_.data);
  fs::remove_all(data_);
  fs::create_directories(data_);
  if (geteuid() == 0) {
    const auto server = server_user();
    if (!server || chown(name.c_str(), server->user, server->group) != 0 ||
        chown(data_.c_str(), server->user, server->group) != 0)
      throw std::runtime_error("there is no user postgres to run a server as");
  }
  run({programs_ / "initdb", "-D", data_, "-U", kRole, "-A", "trust", "-E", "UTF8", "--locale=C",
       "--no-sync"});
  start();
}

PrivatePostgres::~PrivatePostgres() {
  if (pid_ > 0) {
    kill(pid_, SIGQUIT);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(data_, ignored);
  fs::remove_all(folder_, ignored);
}

void PrivatePostgres::start() {
  std::vector<std::string> settings{"listen_addresses=", "shared_buffers=64MB", "max_connections=200",
                                    "log_line_prefix=%m %p %a ", "lc_messages=C"};
  if (!options_.durable) settings.insert(settings.end(), {"fsync=off", "full_page_writes=off"});
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  std::vector<std::string> command{programs_ / "postgres", "-D", data_, "-k", folder_};
  for (const std::string& setting : settings) command.insert(command.end(), {"-c", setting});
  pid_ = spawn(command, folder_, "/dev/null", folder_ / "log");
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!answers()) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("the server does not start: " + slurp(folder_ / "log"));
    std::this_thread::sleep_for(20ms);
  }
}

void PrivatePostgres::stop() {
  kill(pid_, SIGINT);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

bool PrivatePostgres::answers() const {
  try {
    run({programs_ / "pg_isready", "-q", "-h", folder_, "-U", kRole, "-d", "postgres"});
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

std::string PrivatePostgres::url(const std::string& database) const {
  return "postgresql:///" + database + "?host=" + folder_.string() + "&user=" + kRole;
}

void PrivatePostgres::create_database(const std::string& name, const std::string& like) {
  sql("postgres", "CREATE DATABASE " + name + " TEMPLATE " + like);
}

void PrivatePostgres::drop_database(const std::string& name) {
  sql("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
}

std::string PrivatePostgres::log() const {
  return slurp(folder_ / "log");
}

std::string PrivatePostgres::sql(const std::string& database, const std::string& script) const {
  std::string rows =
      run({programs_ / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", url(database)}, script);
  while (!rows.empty() && rows.back() == '\n') rows.pop_back();
  return rows;
}

std::string PrivatePostgres::run(const std::vector<std::string>& command, const std::string& input) const {
  static std::atomic<int> number{0};
  const std::string mine = std::to_string(getpid()) + "." + std::to_string(++number);
  const fs::path in = folder_ / ("in." + mine), out = folder_ / ("out." + mine);
  std::ofstream(in) << input;
  const pid_t child = spawn(command, folder_, in, out);
  int status = -1;
  waitpid(child, &status, 0);
  std::string said = slurp(out);
  fs::remove(in);
  fs::remove(out);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error(command[0] + ": " + said);
  return said;
}

}  // namespace outboxd::test
