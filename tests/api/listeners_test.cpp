#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

namespace {

struct Directory {
  std::string path = temporary_directory();
  ~Directory() { std::filesystem::remove_all(path); }
};

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a TCP listener takes a free port and names it, and two cannot have one") {
  const auto first = listen_tcp("127.0.0.1:0", Scope::kNone);
  REQUIRE(first);
  CHECK(first->name.starts_with("127.0.0.1:"));
  CHECK(first->name != "127.0.0.1:0");
  const auto second = listen_tcp(first->name, Scope::kNone);
  REQUIRE_FALSE(second);
  CHECK(second.error().detail.find(first->name) != std::string::npos);
  CHECK(second.error().detail.find("another outboxd") != std::string::npos);
  close(first->fd);
}

TEST_CASE("an address that is not address:port is refused with the form it must have") {
  for (const std::string address : {"", "8877", "localhost:8877", "127.0.0.1", "127.0.0.1:", "::1:8877",
                                    "[::1]", "127.0.0.1:http", "127.0.0.1:99999", ":8877"}) {
    CAPTURE(address);
    const auto listener = listen_tcp(address, Scope::kNone);
    REQUIRE_FALSE(listener);
    CHECK(listener.error().detail.find("127.0.0.1:8877") != std::string::npos);
  }
}

TEST_CASE("a Unix socket has the mode it was given, whatever the umask") {
  const Directory directory;
  const auto old = umask(0077);
  const auto listener = listen_unix(directory.path + "/a.sock", 0660, "", Scope::kIngest);
  umask(old);
  REQUIRE(listener);
  CHECK(mode_of(directory.path + "/a.sock") == 0660);
  CHECK(listener->unix_socket);
  CHECK(listener->unlink_path == directory.path + "/a.sock");
  close(listener->fd);
}

TEST_CASE("a stale socket file is replaced, one that answers is not, and another file never is") {
  const Directory directory;
  const std::string path = directory.path + "/a.sock";
  const auto first = listen_unix(path, 0600, "", Scope::kAdmin);
  REQUIRE(first);
  const auto second = listen_unix(path, 0600, "", Scope::kAdmin);
  REQUIRE_FALSE(second);
  CHECK(second.error().detail.find(path + ": another process answers there") != std::string::npos);
  close(first->fd);
  const auto third = listen_unix(path, 0600, "", Scope::kAdmin);
  REQUIRE(third);
  close(third->fd);

  const std::string file = directory.path + "/file";
  std::ofstream(file) << "precious";
  const auto refused = listen_unix(file, 0600, "", Scope::kAdmin);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail.find(file) != std::string::npos);
  CHECK(std::filesystem::file_size(file) == 8);
}

TEST_CASE("a Unix socket that cannot be made is refused with its path, and leaves no file") {
  const Directory directory;
  const std::string path = directory.path + "/a.sock";
  const auto group = listen_unix(path, 0600, "no-such-group-here", Scope::kAdmin);
  REQUIRE_FALSE(group);
  CHECK(group.error().detail.find("no-such-group-here") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(path));
  const auto nowhere = listen_unix(directory.path + "/none/a.sock", 0600, "", Scope::kAdmin);
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().detail.find("/none/a.sock") != std::string::npos);
  CHECK_FALSE(listen_unix("/" + std::string(200, 'a'), 0600, "", Scope::kAdmin));
  CHECK_FALSE(listen_unix("", 0600, "", Scope::kAdmin));
}
