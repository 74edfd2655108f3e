// A PostgreSQL server of a test's own: in a folder of its own, on a Unix socket, without TCP, as an unprivileged user. It
// does not outlive this process, however that ends.
//
// The programs are those of the newest version that Debian's packages have installed, or those in the folder that
// OUTBOXD_POSTGRESQL_BIN names.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace outboxd::test {

struct PrivatePostgresOptions {
  // A crash of the machine loses nothing, which costs what it costs in production.
  bool durable = false;
  std::filesystem::path data = {};         // where its files lie, "": below the folder of temporary files
  std::vector<std::string> settings = {};  // more of them: "shared_buffers=512MB"
};

class PrivatePostgres {
 public:
  static bool is_installed();

  // Makes a cluster and starts it. Throws std::runtime_error with the server's words if it cannot.
  explicit PrivatePostgres(PrivatePostgresOptions options = {});
  ~PrivatePostgres();
  PrivatePostgres(const PrivatePostgres&) = delete;

  void start();  // again, after stop()
  void stop();   // sessions are ended, and everything is written

  pid_t process() const { return pid_; }               // whose children serve the sessions
  std::string url(const std::string& database) const;  // as libpq reads it
  // A new database; an exact copy of `like` if that is given, which nobody may be connected to.
  void create_database(const std::string& name, const std::string& like = "template0");
  void drop_database(const std::string& name);  // sessions in it are ended
  std::string log() const;                      // what the server has said so far
  // What psql prints for it: the fields separated by |.
  std::string sql(const std::string& database, const std::string& script) const;

 private:
  std::string run(const std::vector<std::string>& command, const std::string& input = {}) const;
  bool answers() const;

  const PrivatePostgresOptions options_;
  std::filesystem::path programs_, folder_, data_;
  pid_t pid_ = -1;
};

}  // namespace outboxd::test
