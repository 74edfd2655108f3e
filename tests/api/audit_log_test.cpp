#include "api/audit_log.h"

#include <string>

#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

namespace {

Request request_to(const std::string& path) {
  Request request;
  request.method = "POST";
  request.path = path;
  request.who = "uid 0";
  return request;
}

bool ask(RawClient& client, const std::string& request) {
  client.send(request);
  return client.read_answer().has_value();
}

}  // namespace

TEST_CASE("the newest changes are given first, with their time") {
  ManualClock clock;
  AuditLog log(clock);
  CHECK(log.newest(10).empty());
  log.add(request_to("/a"), 200);
  clock.advance(Millis(5));
  log.add(request_to("/b"), 404);
  const auto all = log.newest(10);
  REQUIRE(all.size() == 2);
  CHECK(all[0].path == "/b");
  CHECK(all[0].status == 404);
  CHECK(all[0].at == clock.wall());
  CHECK(all[0].who == "uid 0");
  CHECK(all[1].path == "/a");
  CHECK(log.newest(1).size() == 1);
}

TEST_CASE("the oldest changes go when there are too many, and long paths are cut") {
  const ManualClock clock;
  AuditLog log(clock);
  for (std::size_t n = 0; n < AuditLog::kMaxEntries + 5; ++n)
    log.add(request_to('/' + std::to_string(n)), 200);
  const auto all = log.newest(2 * AuditLog::kMaxEntries);
  REQUIRE(all.size() == AuditLog::kMaxEntries);
  CHECK(all.back().path == "/5");
  log.add(request_to('/' + std::string(5000, 'x')), 200);
  CHECK(log.newest(1)[0].path.size() == 256);
}

TEST_CASE("the server notes what operators change and reveal, and nothing else") {
  const ManualClock clock;
  HttpServer::Options options;
  options.audit = std::make_shared<AuditLog>(clock);
  const auto audit = options.audit;
  TestServer server(std::move(options));
  RawClient admin(server.admin), producer(server.ingest);
  REQUIRE(ask(producer, post("{}")));
  REQUIRE(ask(admin, post("{}")));
  REQUIRE(ask(admin, get("/v1/events")));
  CHECK(audit->newest(10).empty());
  REQUIRE(ask(admin,
              "POST /v1/events/7/replay?secret=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(ask(admin, get("/v1/events/7?reveal=true")));
  const auto noted = audit->newest(10);
  REQUIRE(noted.size() == 2);
  CHECK(noted[0].method == "GET");
  CHECK(noted[0].path == "/v1/events/7");
  CHECK(noted[1].method == "POST");
  CHECK(noted[1].path == "/v1/events/7/replay");
  CHECK(noted[1].status == 200);
  CHECK(noted[1].who == "uid " + std::to_string(getuid()));
}
