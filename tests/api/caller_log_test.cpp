#include <fstream>

#include "common/text.h"
#include "http_server_fixture.h"
#include "support/captured_stderr.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;
using outboxd::test::captured_stderr;
using outboxd::test::TemporaryFolder;

namespace {

std::shared_ptr<const Authenticator> tokens(const std::string& text) {
  const TemporaryFolder folder;
  std::ofstream(folder / "tokens") << text;
  return Authenticator::from_file(folder / "tokens").value();
}
std::string line_of(const std::string& scope, const std::string& token, const std::string& name) {
  return scope + " " + hex_encode(sha256(token)) + " " + name + "\n";
}
std::string bearer(const std::string& token) {
  return "Authorization: Bearer " + token + "\r\n";
}

int status(RawClient& client, const std::string& request) {
  client.send(request);
  const auto answer = client.read_answer();
  return answer ? answer->status : 0;
}

std::vector<std::string> lines_with(const std::string& log, std::string_view what) {
  std::vector<std::string> lines;
  std::istringstream all(log);
  for (std::string line; std::getline(all, line);) {
    if (line.find(what) != std::string::npos) lines.push_back(line);
  }
  return lines;
}

std::string replay(const std::string& more_headers = "") {
  return "POST /v1/events/7/replay?secret=1 HTTP/1.1\r\nHost: localhost\r\n" + more_headers +
         "Content-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("the log says who changed what as an operator, and nothing of other requests") {
  TestServer server({}, tokens(line_of("ingest", "p", "shop") + line_of("admin", "o", "ann")));
  const std::string log = captured_stderr([&] {
    RawClient local(server.admin), remote(server.tcp), producer(server.ingest);
    CHECK(status(local, replay()) == 200);
    CHECK(status(remote, replay(bearer("o"))) == 200);
    CHECK(status(local, get("/v1/events")) == 200);
    CHECK(status(local, get("/open")) == 200);
    CHECK(status(producer, post("{}")) == 200);
    CHECK(status(remote, post("{}", bearer("p"))) == 200);
  });
  const auto lines = lines_with(log, "");
  REQUIRE(lines.size() == 2);
  for (const auto& line : lines) {
    CHECK(line.find("level=info msg=\"operator request\" method=POST path=/v1/events/7/replay status=200") !=
          std::string::npos);
    CHECK(line.find("secret") == std::string::npos);
  }
  const std::string user =
      "unix:uid=" + std::to_string(getuid()) + ",gid=" + std::to_string(getgid()) + ",pid=";
  CHECK(lines[0].find(user) != std::string::npos);
  CHECK(lines[1].find("peer=127.0.0.1:") != std::string::npos);
  CHECK(lines[1].ends_with("token=ann"));
}

TEST_CASE("refused callers are in the log, one line a second, which says how many were left out") {
  TestServer server({}, tokens(line_of("ingest", "p", "shop")));
  int refused = 0;
  const auto start = std::chrono::steady_clock::now();
  const std::string log = captured_stderr([&] {
    RawClient remote(server.tcp);
    const auto call = [&] {
      const bool unknown = refused++ % 2 == 0;
      CHECK(status(remote, replay(bearer(unknown ? "wrong-token" : "p"))) == (unknown ? 401 : 403));
    };
    call();
    const auto first = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - first < std::chrono::seconds(1)) call();
    call();
  });
  const auto took = std::chrono::steady_clock::now() - start;
  const auto lines = lines_with(log, "caller refused");
  REQUIRE(lines.size() >= 2);
  CHECK(lines.size() <= static_cast<std::size_t>(took / std::chrono::seconds(1)) + 1);
  CHECK(lines.size() == lines_with(log, "").size());
  CHECK(lines[0].find("level=warn") != std::string::npos);
  CHECK(lines[0].find("method=POST path=/v1/events/7/replay status=401 peer=127.0.0.1:") !=
        std::string::npos);
  CHECK(lines[0].ends_with("left_out=0"));
  CHECK(log.find("wrong-token") == std::string::npos);
  int told = 0;
  for (const auto& line : lines) told += 1 + std::stoi(line.substr(line.find("left_out=") + 9));
  CHECK(told <= refused);
  CHECK(told > static_cast<int>(lines.size()));
}

TEST_CASE("what a caller chose cannot forge a line of the log, nor fill it") {
  TestServer server;
  const std::string log = captured_stderr([&] {
    RawClient client(server.admin), evil(server.tcp);
    CHECK(status(client,
                 "POST /v1/events/x%22%20level=error%20msg=%22forged%C2%9B/replay HTTP/1.1\r\nHost: a\r\n"
                 "Content-Length: 0\r\n\r\n") == 200);
    CHECK(status(evil, std::string(5000, 'M') + " /" + std::string(1000, 'a') +
                           " HTTP/1.1\r\nHost: evil.example\r\n\r\n") == 403);
  });
  const auto lines = lines_with(log, "");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("path=\"/v1/events/x\\\" level=error msg=\\\"forged") != std::string::npos);
  CHECK(lines[0].find('\xC2') == std::string::npos);
  CHECK(lines[1].size() < 600);
}

TEST_CASE("other tokens hold for the next request, also on a connection that is kept") {
  TestServer server({}, tokens(line_of("admin", "first", "a")));
  RawClient client(server.tcp);
  CHECK(status(client, get("/v1/events", bearer("first"))) == 200);
  CHECK(status(client, get("/v1/events", bearer("second"))) == 401);
  server.set_authenticator(tokens(line_of("admin", "second", "b") + line_of("ingest", "first", "a")));
  CHECK(status(client, get("/v1/events", bearer("first"))) == 403);
  CHECK(status(client, get("/v1/events", bearer("second"))) == 200);

  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    const auto one = tokens(line_of("admin", "second", "b"));
    const auto other = tokens(line_of("admin", "second", "c"));
    for (int i = 0; !stop; ++i) server.set_authenticator(i % 2 == 0 ? one : other);
  });
  for (int i = 0; i < 300; ++i) CHECK(status(client, get("/v1/events", bearer("second"))) == 200);
  stop = true;
  swapper.join();
}
