// outboxctl as its users run it, against an API that the test prepared.
#include <doctest/doctest.h>
#include <unistd.h>

#include <sstream>

#include "common/json.h"
#include "ctl/fake_api.h"
#include "ctl/program.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const std::string kEvt = kEvent;
const std::string kEp = kEndpoint;

Ended run(const FakeApi& api, Arguments arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), {"--url", api.url()});
  return outboxctl(arguments, input);
}

Json page(const std::vector<Json>& rows, const Json& next = nullptr) {
  return {{"data", rows}, {"next_cursor", next}};
}

Json accepted() {
  return {{"id", kEvt}, {"created_at", "2026-11-23T15:00:00.000Z"}, {"deliveries", 2}, {"duplicate", false}};
}

Json status_body() {
  return {{"version", "0.1.0"},
          {"started_at", "2026-11-23T15:00:00.000Z"},
          {"store",
           {{"url", "sqlite:///x.db"}, {"database_bytes", 2048}, {"wal_bytes", 0}, {"schema_version", 1}}},
          {"deliveries", {{"pending", 3}, {"delivered", 1}, {"dead", 2}, {"discarded", 0}}},
          {"in_flight", 1},
          {"events", 4},
          {"outbox_rejected", 1},
          {"oldest_due_age_seconds", 0.5},
          {"endpoints", {{"active", 1}, {"paused", 0}, {"disabled", 0}}},
          {"worst_endpoints",
           {{{"endpoint", kEp},
             {"name", "shop\x1b[2J"},
             {"state", "paused"},
             {"oldest_due_age_seconds", 400.5},
             {"backlog", 17},
             {"in_flight", 1},
             {"consecutive_failures", 9},
             {"last_error", "timeout"}}}},
          {"listeners", {"unix:/run/x"}}};
}

}  // namespace

TEST_CASE("the exit status follows the answer") {
  FakeApi api;
  const std::string path = "GET /v1/events/" + kEvt;
  CHECK(run(api, {"event", "show", kEvt}).exit_code == 3);
  for (const auto& [status, code] : {std::pair{403, 4}, {409, 4}, {422, 4}, {500, 1}, {503, 1}}) {
    FakeApi fresh;
    fresh.answer(path, status, refusal(status, "Title", "detail"));
    const Ended outcome = run(fresh, {"event", "show", kEvt});
    const auto& shown = status;
    CAPTURE(shown);
    CHECK(outcome.exit_code == code);
    CHECK(outcome.err == "outboxctl: Title: detail\n");
    CHECK(outcome.out.empty());
  }
}

TEST_CASE("an unreachable daemon is exit status 5 and says where it was looked for") {
  const Ended socket = outboxctl({"--socket", "/nonexistent/admin.sock", "status"});
  CHECK(socket.exit_code == 5);
  CHECK(socket.err.find("unix:/nonexistent/admin.sock: No such file or directory") != std::string::npos);
  CHECK(outboxctl({"status"}, "", {"OUTBOXD_SOCKET=/nonexistent/s"}).err.find("/nonexistent/s") !=
        std::string::npos);
  CHECK(outboxctl({"--url", "http://127.0.0.1:1", "status"}).exit_code == 5);
}

TEST_CASE("an answer that is not JSON, or no list, is a failure and not a crash") {
  FakeApi api;
  api.answer_bytes("GET /v1/status", 200, "text/html", "<html>");
  CHECK(run(api, {"status"}).exit_code == 1);
  api.answer("GET /v1/events?limit=50", 200, Json::array());
  CHECK(run(api, {"event", "list"}).exit_code == 1);
}

TEST_CASE("answers of the wrong shape are shown as far as they go") {
  FakeApi api;
  for (const Json& body :
       {Json(nullptr), Json(7), Json("x"), Json::array({1, Json::object()}), Json::object(),
        Json{{"deliveries", "x"},
             {"store", 3},
             {"worst_endpoints", {1}},
             {"id", {1}},
             {"attempt_list", {1, nullptr}}}}) {
    FakeApi fresh;
    CAPTURE(dump(body));
    fresh.answer("GET /v1/status", 200, body);
    fresh.answer("GET /v1/events/" + kEvt, 200, body);
    fresh.answer("GET /v1/deliveries/" + delivery_id_text(1), 200, body);
    fresh.answer("GET /v1/endpoints/" + kEp + "/secrets", 200, body);
    for (const Arguments& line : {Arguments{"status"}, Arguments{"event", "show", kEvt},
                                  Arguments{"delivery", "show", delivery_id_text(1)},
                                  Arguments{"delivery", "attempts", delivery_id_text(1)},
                                  Arguments{"endpoint", "secret", "list", kEp}}) {
      const Ended outcome = run(fresh, line);
      CHECK(outcome.exit_code <= 1);
    }
  }
}

TEST_CASE("the token file goes along as a bearer token") {
  FakeApi api;
  api.answer("GET /v1/status", 200, status_body());
  const TemporaryFile token("secret-token\n");
  CHECK(run(api, {"--token-file", token.path(), "status"}).exit_code == 0);
  CHECK(api.last().authorization == "Bearer secret-token");
  CHECK(outboxctl({"status"}, "", {"OUTBOXD_URL=" + api.url(), "OUTBOXD_TOKEN_FILE=" + token.path()})
            .exit_code == 0);
  CHECK(api.last().authorization == "Bearer secret-token");
  const TemporaryFile forged("a\r\nX-Other: b");
  CHECK(run(api, {"--token-file", forged.path(), "status"}).exit_code == 2);
}

TEST_CASE("the daemon is spoken to over a Unix socket, whatever proxy the environment names") {
  const std::string socket = "/tmp/outboxctl-test-" + std::to_string(::getpid()) + ".sock";
  ::unlink(socket.c_str());
  {
    FakeApi api(socket);
    api.answer("GET /v1/status", 200, status_body());
    const Ended outcome = outboxctl(
        {"status"}, "",
        {"OUTBOXD_SOCKET=" + socket, "http_proxy=http://127.0.0.1:1", "ALL_PROXY=http://127.0.0.1:1"});
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.out.find("pending 3") != std::string::npos);
  }
  ::unlink(socket.c_str());
}

TEST_CASE("status tells the state in words, escapes names, and judges with --exit-code") {
  FakeApi api;
  api.answer("GET /v1/status", 200, status_body());
  const Ended outcome = run(api, {"status", "--exit-code"});
  CHECK(outcome.exit_code == 0);
  for (const char* word : {"pending 3", "dead 2", "sqlite:///x.db", "2.0 KiB", "shop\\x1b[2J", "paused", "17",
                           "6m", "outbox list --rejected", "unix:/run/x"}) {
    CAPTURE(word);
    CHECK(outcome.out.find(word) != std::string::npos);
  }
  Json late = status_body();
  late["oldest_due_age_seconds"] = 7200;
  FakeApi other;
  other.answer("GET /v1/status", 200, late);
  CHECK(run(other, {"status"}).exit_code == 0);
  CHECK(run(other, {"status", "--exit-code"}).exit_code == 1);
  CHECK(Json::parse(run(other, {"status", "-o", "json"}).out) == late);
  CHECK(run(other, {"db", "info"}).out.find("schema version  1") != std::string::npos);
}

TEST_CASE("an event is sent with exactly the bytes given") {
  FakeApi api;
  api.answer("POST /v1/events", 202, accepted());
  const std::string payload = "{\"b\":1.10,\"a\":12345678901234567890,\"ü\":\"\\u00e9\"}";
  const Ended outcome = run(api, {"event", "send", "order.paid", "--data", payload, "--idempotency-key", "k",
                                  "--delay", "5m", "--header", "X-A: 1", "--header", "X-B:2", "-o", "id"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out == kEvt + "\n");
  CHECK(api.last().content_type == "application/json");
  CHECK(api.last().body ==
        "{\"type\":\"order.paid\",\"payload\":" + payload +
            ",\"idempotency_key\":\"k\",\"delay\":\"5m\",\"headers\":{\"X-A\":\"1\",\"X-B\":\"2\"}}");
}

TEST_CASE("a payload comes from stdin or a file as well, and a value may begin with a dash") {
  FakeApi api;
  api.answer("POST /v1/events", 202, accepted());
  CHECK(run(api, {"event", "send", "a", "-"}, "[1.0]\n").exit_code == 0);
  CHECK(api.last().body == "{\"type\":\"a\",\"payload\":[1.0]}");
  const TemporaryFile file("{\"x\": 1}");
  CHECK(run(api, {"event", "send", "a", "--data-file", file.path()}).exit_code == 0);
  CHECK(api.last().body == "{\"type\":\"a\",\"payload\":{\"x\": 1}}");
  CHECK(run(api, {"event", "send", "a", "--data", "-1.50"}).exit_code == 0);
  CHECK(api.last().body == "{\"type\":\"a\",\"payload\":-1.50}");
  CHECK(run(api, {"event", "send", "a", "-", "--content-type", "text/plain"}, "hi\n").exit_code == 0);
  CHECK(api.last().body == "{\"type\":\"a\",\"payload_base64\":\"aGkK\",\"content_type\":\"text/plain\"}");
}

TEST_CASE("a refused event names its fields") {
  FakeApi api;
  api.answer("POST /v1/events", 422,
             refusal(422, "Invalid event", "1 field is wrong",
                     Json::array({{{"pointer", "/ttl"}, {"detail", "is before\x1b deliver_at"}}})));
  const Ended outcome = run(api, {"event", "send", "a", "--data", "1"});
  CHECK(outcome.exit_code == 4);
  CHECK(outcome.err == "outboxctl: Invalid event: 1 field is wrong\n  /ttl: is before\\x1b deliver_at\n");
}

TEST_CASE(
    "a batch goes in requests of 1,000 lines, and a refused one names the lines and what was accepted "
    "before") {
  FakeApi api;
  Json data = Json::array();
  for (int i = 0; i < 1000; ++i) data.push_back(accepted());
  api.answer("POST /v1/events", 202, {{"data", data}});
  api.answer("POST /v1/events", 422,
             refusal(422, "Invalid event", "wrong",
                     Json::array({{{"pointer", "/1/type"}, {"detail", "is missing"}}})));
  std::string lines;
  for (int i = 0; i < 1002; ++i) lines += "{\"type\":\"a\",\"payload\":1.0}\n";
  const Ended outcome = run(api, {"event", "send", "--batch", "-", "-o", "id"}, lines);
  CHECK(outcome.exit_code == 1);  // partly done
  CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1000);
  CHECK(outcome.err.find("1000 events accepted, then lines 1001 to 1002") != std::string::npos);
  CHECK(outcome.err.find("line 1002: /type: is missing") != std::string::npos);
  REQUIRE(api.asked().size() == 2);
  CHECK(api.asked()[0].content_type == "application/x-ndjson");
  CHECK(api.asked()[0].body + api.asked()[1].body == lines);
}

TEST_CASE("a CloudEvent is sent as it is, and refused as the daemon says") {
  FakeApi api;
  api.answer("POST /v1/events", 202, accepted());
  const std::string event = "{ \"specversion\":\"1.0\" }\n";
  const Ended sent = run(api, {"event", "send", "--cloudevent", "-", "-o", "id"}, event);
  CHECK(sent.exit_code == 0);
  REQUIRE(api.asked().size() == 1);
  CHECK(api.asked()[0].content_type == "application/cloudevents+json");
  CHECK(api.asked()[0].body == event);
  FakeApi strict;
  strict.answer(
      "POST /v1/events", 422,
      refusal(422, "Invalid event", "wrong", Json::array({{{"pointer", "/id"}, {"detail", "is required"}}})));
  const Ended refused = run(strict, {"event", "send", "--cloudevent", "-"}, "{}");
  CHECK(refused.exit_code == 4);
  CHECK(refused.err.find("/id: is required") != std::string::npos);
}

TEST_CASE("a busy daemon is asked again for the same batch") {
  FakeApi api;
  api.answer("POST /v1/events", 503, refusal(503, "Unavailable", "busy"));
  api.answer("POST /v1/events", 202, {{"data", Json::array({accepted()})}});
  const Ended outcome = run(api, {"event", "send", "--batch", "-"}, "{\"type\":\"a\",\"payload\":1}\n");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out == "1 events accepted\n");
  CHECK(api.asked().size() == 2);
}

TEST_CASE("lists follow cursors up to the limit and say when there is more") {
  FakeApi api;
  api.answer("GET /v1/deliveries?state=dead&limit=3", 200, page({delivery_row(1, "dead", "timeout")}, "c 1"));
  api.answer("GET /v1/deliveries?state=dead&limit=2&cursor=c%201", 200,
             page({delivery_row(2, "dead"), delivery_row(3, "dead")}, "c2"));
  const Ended outcome = run(api, {"delivery", "list", "--state", "dead", "--limit", "3"});
  CHECK(outcome.exit_code == 0);
  CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 4);
  CHECK(outcome.out.find("dead (exhausted)") != std::string::npos);
  CHECK(outcome.err.find("--cursor c2") != std::string::npos);
  CHECK(run(api, {"delivery", "list", "--state", "dead", "--limit", "3", "-o", "id"}).out ==
        delivery_id_text(1) + "\n" + delivery_id_text(2) + "\n" + delivery_id_text(3) + "\n");
  CHECK(Json::parse(run(api, {"-q", "delivery", "list", "--state", "dead", "--limit", "3", "-o", "json"})
                        .out)["next_cursor"] == "c2");
}

TEST_CASE("a cursor that does not move ends the list") {
  FakeApi api;
  api.answer("GET /v1/events?limit=50", 200, page({}, "same"));
  api.answer("GET /v1/events?limit=50&cursor=same", 200, page({}, "same"));
  CHECK(run(api, {"event", "list"}).exit_code == 0);
  CHECK(api.asked().size() == 2);
}

TEST_CASE("an event is shown with its deliveries, its payload byte for byte") {
  FakeApi api;
  Json event = {{"id", kEvt},
                {"type", "order.paid"},
                {"tenant", ""},
                {"deliveries", {delivery_row(1, "dead", "http_5xx", 10)}}};
  api.answer("GET /v1/events/" + kEvt, 200, event);
  const Ended outcome = run(api, {"event", "show", kEvt});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("order.paid") != std::string::npos);
  CHECK(outcome.out.find("dead (exhausted)") != std::string::npos);
  const std::string bytes("\x00\x1b\xff{\"a\":1.10}\r\n", 14);
  api.answer_bytes("GET /v1/events/" + kEvt + "/payload", 200, "application/octet-stream", bytes);
  CHECK(run(api, {"event", "payload", kEvt}).out == bytes);
}

TEST_CASE("an endpoint is added with what was asked for, and its secret shown") {
  FakeApi api;
  api.answer("POST /v1/endpoints", 201,
             {{"id", kEp}, {"url", "https://e.example/h"}, {"state", "active"}, {"secret", "whsec_abc"}});
  const TemporaryFile secret("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
  const Ended outcome =
      run(api, {"endpoint", "add", "https://e.example/h", "--name", "shop", "--types", "order.*,invoice.**",
                "--retry-schedule", "0s,5s", "--metadata", "{\"n\":1.10}", "--secret-file", secret.path(),
                "--header", "X-A:1", "--max-in-flight", "4", "--timeout", "10s"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("whsec_abc") != std::string::npos);
  CHECK(outcome.err.find("this once") == std::string::npos);  // it can be revealed again
  CHECK(outcome.err.find("endpoint secret reveal " + kEp) != std::string::npos);
  CHECK(api.last().body ==
        "{\"url\":\"https://e.example/h\",\"name\":\"shop\",\"types\":[\"order.*\",\"invoice.**\"],"
        "\"secret\":\"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\",\"headers\":{\"X-A\":\"1\"},"
        "\"timeout\":\"10s\","
        "\"retry_schedule\":[\"0s\",\"5s\"],\"max_in_flight\":4,\"metadata\":{\"n\":1.10}}");
}

TEST_CASE("an endpoint is given a rate limit and an order, and rid of them") {
  FakeApi api;
  api.answer("PATCH /v1/endpoints/" + kEp, 200,
             {{"id", kEp}, {"rate_limit", "100/s"}, {"ordering", "key"}, {"on_failure_in_order", "skip"}});
  const Ended outcome = run(api, {"endpoint", "set", kEp, "--rate-limit", "100/s", "--ordering", "key",
                                  "--on-failure-in-order", "skip"});
  CHECK(outcome.exit_code == 0);
  CHECK(api.last().body == R"({"rate_limit":"100/s","ordering":"key","on_failure_in_order":"skip"})");
  for (const char* shown : {"rate_limit", "100/s", "on_failure_in_order", "skip"})
    CHECK(outcome.out.find(shown) != std::string::npos);
  CHECK(run(api, {"endpoint", "set", kEp, "--rate-limit", "none", "--ordering", "none"}).exit_code == 0);
  CHECK(api.last().body == R"({"rate_limit":null,"ordering":"none"})");
}

TEST_CASE("endpoints are changed, paused, resumed, enabled, disabled and removed") {
  FakeApi api;
  const std::string path = "/v1/endpoints/" + kEp;
  const Json endpoint = {{"id", kEp}, {"state", "active"}};
  api.answer("PATCH " + path, 200, endpoint);
  api.answer("POST " + path + "/pause", 200, endpoint);
  api.answer("POST " + path + "/resume", 200, endpoint);
  api.answer("GET " + path, 200, {{"id", kEp}, {"state", "paused"}});
  api.answer("GET /v1/deliveries?endpoint=" + kEp + "&state=pending&limit=250", 200, page({}));
  api.answer_bytes("DELETE " + path, 204, "", "");
  CHECK(run(api, {"endpoint", "set", kEp, "--url", "https://x.example/"}).exit_code == 0);
  CHECK(api.last().body == "{\"url\":\"https://x.example/\"}");
  CHECK(run(api, {"endpoint", "disable", kEp}).exit_code == 0);
  CHECK(api.last().body == "{\"state\":\"disabled\"}");
  CHECK(run(api, {"endpoint", "enable", kEp}).exit_code == 0);
  CHECK(api.last().body == "{\"state\":\"active\"}");
  CHECK(run(api, {"endpoint", "pause", kEp}).exit_code == 0);
  const Ended resumed = run(api, {"endpoint", "resume", kEp});
  CHECK(resumed.exit_code == 0);
  CHECK(resumed.err.find("was paused; nothing waits for it") != std::string::npos);
}

TEST_CASE("an endpoint is named, and removing it asks when something waits for it") {
  FakeApi api;
  const std::string path = "/v1/endpoints/" + kEp;
  const std::string pending = "GET /v1/deliveries?endpoint=" + kEp + "&state=pending&limit=250";
  api.answer("GET /v1/endpoints/the%20orders%2F1", 200, {{"id", kEp}});
  api.answer_bytes("DELETE " + path, 204, "", "");
  api.answer(pending, 200, page({Json{{"id", "dlv_019bd3c2f1c0700000000100008d9e11"}}}));
  const Ended refused = run(api, {"endpoint", "remove", "the orders/1"});
  CHECK(refused.exit_code == 2);
  CHECK(refused.err.find("--yes") != std::string::npos);
  CHECK(api.last().method == "GET");
  const Ended removed = run(api, {"endpoint", "remove", "the orders/1", "--yes"});
  CHECK(removed.exit_code == 0);
  CHECK(removed.err.find("1 pending") != std::string::npos);
  CHECK(api.last().method == "DELETE");
  FakeApi idle;
  idle.answer("GET " + path, 200, {{"id", kEp}});
  idle.answer_bytes("DELETE " + path, 204, "", "");
  idle.answer(pending, 200, page({}));
  CHECK(run(idle, {"endpoint", "remove", kEp}).exit_code == 0);
}

TEST_CASE("the shell is told what may stand next: commands, options, their words, and endpoints by name") {
  FakeApi api;
  api.answer("GET /v1/endpoints?limit=250", 200,
             page({Json{{"id", kEp}, {"name", "orders"}}, Json{{"id", kEp}, {"name", ""}}}));
  using Words = std::vector<std::string>;
  const auto next = [&api](Arguments words) {
    words.insert(words.begin(), {"complete", "--"});
    const Ended ended = outboxctl(words, "", {"OUTBOXD_URL=" + api.url()});
    CHECK(ended.exit_code == 0);
    CHECK(ended.err.empty());
    Words found;
    std::istringstream lines(ended.out);
    for (std::string line; std::getline(lines, line);) found.push_back(line);
    return found;
  };
  CHECK(next({"end"}) == Words{"endpoint"});
  CHECK(next({"endpoint", "pa"}) == Words{"pause"});
  CHECK(next({"endpoint", "pause", ""}) == Words{"orders", kEp});
  CHECK(next({"endpoint", "pause", "orders", ""}).empty());
  CHECK(next({"delivery", "list", "--endpoint", "o"}) == Words{"orders"});
  CHECK(next({"delivery", "list", "--stat"}) == Words{"--state", "--status"});
  CHECK(next({"delivery", "list", "--state", "d"}) == Words{"delivered", "dead", "discarded"});
  CHECK(next({"delivery", "list", "--state", "=", "p"}) == Words{"pending"});
  CHECK(next({"-o", "jso"}) == Words{"json", "jsonl"});
  CHECK(next({"-q", "delivery", "retry", "--dry-run", "--endp"}) == Words{"--endpoint"});
  CHECK(next({"no", "such", "th"}).empty());
  const Ended unreachable =
      outboxctl({"complete", "--", "endpoint", "show", ""}, "", {"OUTBOXD_SOCKET=/nonexistent"});
  CHECK(unreachable.exit_code == 0);
  CHECK((unreachable.out + unreachable.err).empty());
}

TEST_CASE("there is a script for each shell") {
  CHECK(outboxctl({"completion", "bash"}).out.find("complete -o default -F _outboxctl outboxctl") !=
        std::string::npos);
  CHECK(outboxctl({"completion", "zsh"}).out.starts_with("#compdef outboxctl"));
  CHECK(outboxctl({"completion", "fish"}).out.find("complete -c outboxctl") != std::string::npos);
  CHECK(outboxctl({"completion", "csh"}).exit_code == 2);
}

TEST_CASE("a slip of the hand is answered with the command or the option that was meant") {
  FakeApi api;
  CHECK(run(api, {"endpont", "list"}).err.find("did you mean \"endpoint\"?") != std::string::npos);
  CHECK(run(api, {"endpoint", "lst"}).err.find("did you mean \"list\"?") != std::string::npos);
  const Ended option = run(api, {"delivery", "list", "--sate=dead"});
  CHECK(option.exit_code == 2);
  CHECK(option.err.find("unknown option: --sate; did you mean \"--state\"?") != std::string::npos);
  CHECK(run(api, {"delivery", "list", "--outptu", "json"}).err.find("did you mean \"--output\"?") !=
        std::string::npos);
  CHECK(run(api, {"delivery", "list", "--state", "dead", "x"}).err.find("did you mean") == std::string::npos);
}

TEST_CASE("a test of an endpoint succeeds when the subscriber accepts") {
  for (const auto& [outcome_word, code] : {std::pair{"success", 0}, {"http_5xx", 1}}) {
    FakeApi api;
    api.answer("GET /v1/endpoints/" + kEp, 200, {{"id", kEp}, {"state", "active"}});
    api.answer(
        "POST /v1/endpoints/" + kEp + "/test", 200,
        {{"attempt",
          {{"id", "att_1"}, {"outcome", outcome_word}, {"status", 200}, {"response_body", "a\x1b[0m"}}}});
    const Ended outcome = run(api, {"endpoint", "test", kEp});
    CHECK(outcome.exit_code == code);
    CHECK(outcome.out.find("a\\x1b[0m") != std::string::npos);
  }
}

TEST_CASE("secrets are listed cut, revealed on request and rotated with an overlap") {
  FakeApi api;
  const std::string path = "/v1/endpoints/" + kEp + "/secrets";
  api.answer("GET " + path, 200, {{"data", {{{"hint", "whsec_…abcd"}, {"kind", "v1"}}}}});
  api.answer("GET " + path + "?reveal=true", 200,
             {{"data", {{{"secret", "whsec_full"}, {"hint", "x"}, {"kind", "v1"}}}}});
  api.answer("POST " + path + "/rotate", 200,
             {{"secret", "whsec_new"}, {"expires_previous_at", "2026-11-24T15:00:00.000Z"}});
  CHECK(run(api, {"endpoint", "secret", "list", kEp}).out.find("whsec_…abcd") != std::string::npos);
  CHECK(run(api, {"endpoint", "secret", "reveal", kEp, "-o", "id"}).out == "whsec_full\n");
  CHECK(run(api, {"endpoint", "secret", "rotate", kEp, "--overlap", "1h"}).out.find("whsec_new") !=
        std::string::npos);
  CHECK(api.last().body == "{\"overlap\":\"1h\"}");
}

TEST_CASE("a delivery is shown with its attempts and the last answer, escaped") {
  FakeApi api;
  Json delivery = delivery_row(1, "dead", "http_5xx", 1);
  delivery["attempt_list"] = {
      {{"id", "att_1"},
       {"number", 1},
       {"started_at", "2026-11-23T15:00:00.000Z"},
       {"timings",
        {{"dns_ms", 0}, {"connect_ms", 1}, {"tls_ms", nullptr}, {"first_byte_ms", 7}, {"total_ms", 9}}},
       {"outcome", "http_5xx"},
       {"status", 503},
       {"error", "HTTP 503"},
       {"remote_address", "203.0.113.7:443"},
       {"resent", true},
       {"response_body", "sorry\x1b]0;x\x07"}}};
  api.answer("GET /v1/deliveries/" + delivery_id_text(1), 200, delivery);
  const Ended outcome = run(api, {"delivery", "show", delivery_id_text(1)});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("9 ms") != std::string::npos);
  CHECK(outcome.out.find("203.0.113.7:443") != std::string::npos);
  CHECK(run(api, {"delivery", "show", delivery_id_text(1), "-o", "wide"}).out.find("twice") !=
        std::string::npos);
  CHECK(outcome.out.find("sorry\\x1b]0;x\\x07") != std::string::npos);
  CHECK(outcome.out.find('\x1b') == std::string::npos);
  CHECK(run(api, {"delivery", "attempts", delivery_id_text(1), "-o", "id"}).out == "att_1\n");
}

TEST_CASE("retrying ids goes on after a refusal and is then a partial failure") {
  FakeApi api;
  api.answer("POST /v1/deliveries/" + delivery_id_text(1) + "/retry", 200, delivery_row(1, "pending"));
  api.answer("POST /v1/deliveries/" + delivery_id_text(2) + "/retry", 409,
             refusal(409, "Conflict", "it is pending"));
  api.answer("POST /v1/deliveries/" + delivery_id_text(3) + "/retry", 200, delivery_row(3, "pending"));
  const Ended outcome = run(api, {"retry", delivery_id_text(1), delivery_id_text(2), delivery_id_text(3)});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.out == "2 retried\n");
  CHECK(outcome.err.find(delivery_id_text(2) + ": Conflict: it is pending") != std::string::npos);
  CHECK(run(api, {"retry", delivery_id_text(2)}).exit_code == 4);
  CHECK(run(api, {"delivery", "retry", delivery_id_text(9)}).exit_code == 3);
  CHECK(run(api, {"delivery", "retry", delivery_id_text(1)}).exit_code == 0);
}

TEST_CASE("retrying an event retries its dead deliveries") {
  FakeApi api;
  CHECK(run(api, {"retry", kEvt}).exit_code == 3);
  api.answer("GET /v1/events/" + kEvt, 200, {{"id", kEvt}});
  api.answer("GET /v1/deliveries?event=" + kEvt + "&state=dead&limit=250", 200,
             page({delivery_row(4, "dead")}));
  api.answer("POST /v1/deliveries/" + delivery_id_text(4) + "/retry", 200, delivery_row(4, "pending"));
  CHECK(run(api, {"retry", kEvt}).out == "1 retried\n");
}

namespace {

Json failure_group(const std::string& group, int attempts, int dead, const Json& filter) {
  return {{"group", group},
          {"attempts", attempts},
          {"dead", dead},
          {"endpoint_count", 1},
          {"endpoints", {{{"id", kEndpoint}, {"name", "the shop's"}}}},
          {"type", nullptr},
          {"error", group},
          {"reason", nullptr},
          {"first_at", "2026-11-23T14:00:00.000Z"},
          {"last_at", "2026-11-23T15:00:00.000Z"},
          {"last_error", "timed out\x1b[2J"},
          {"last_status", nullptr},
          {"filter", filter}};
}

Json failures(const std::vector<Json>& groups) {
  return {
      {"by", "error"}, {"since", "2026-11-23T14:00:00.000Z"}, {"groups", groups.size()}, {"data", groups}};
}

}  // namespace

TEST_CASE("failures are shown as the daemon counts them, with the command that retries the worst") {
  const std::string since = "2026-11-23T14:00:00.000Z";
  const auto shown = [&](const Json& answer, const std::string& format = "table") {
    FakeApi api;
    api.answer("GET /v1/failures?by=error&since=2026-11-23T14%3A00%3A00.000Z&limit=50", 200, answer);
    return run(api, {"failures", "--since", since, "-o", format});
  };
  const Json filter = {{"endpoint", kEndpoint}, {"error", "timeout"}, {"state", "dead"}};
  const Json two = failures({failure_group("timeout", 41, 7, filter),
                             failure_group("http_5xx", 3, 0, {{"error", "http_5xx"}, {"state", "dead"}})});
  const Ended table = shown(two);
  CHECK(table.exit_code == 0);
  for (const char* part : {"ERROR", "timeout", "41", "7", "the shop's", "timed out\\x1b[2J", "http_5xx"}) {
    CAPTURE(part);
    CHECK(table.out.find(part) != std::string::npos);
  }
  CHECK(
      table.err.find("outboxctl delivery retry --endpoint 'the shop'\\''s' --state dead --error timeout\n") !=
      std::string::npos);
  const Ended lines = shown(two, "jsonl");
  CHECK(Json::parse(lines.out.substr(0, lines.out.find('\n')))["dead"] == 7);
  CHECK(lines.err.empty());
  CHECK(Json::parse(shown(two, "json").out)["groups"] == 2);
  CHECK(shown(two, "id").out == "timeout\nhttp_5xx\n");

  CHECK(shown(failures({failure_group("timeout", 41, 0, filter)})).err.find("tried again by themselves") !=
        std::string::npos);
  CHECK(shown(failures({failure_group("other", 41, 7, nullptr)})).err.empty());
  const Ended none = shown(failures({}));
  CHECK(none.out.empty());
  CHECK(none.err.find("nothing has failed since") != std::string::npos);
  CHECK(shown(Json::array()).exit_code == 1);
  CHECK(shown({{"data", {7, Json::object()}}}).exit_code == 0);
}

TEST_CASE("failures are asked of one endpoint, and by what they are grouped") {
  FakeApi api;
  run(api, {"failures", "--by", "endpoint", "--endpoint", "shop", "--tenant", "acme", "--limit", "7"});
  const std::string target = api.last().target;
  CHECK(target.starts_with("/v1/failures?by=endpoint&since="));
  CHECK(target.ends_with("&endpoint=shop&tenant=acme&limit=7"));
  CHECK(run(api, {"failures", "--by", "weather"}).exit_code == 2);
}

TEST_CASE("an id that is well formed and unknown is not found, wherever one is taken") {
  FakeApi api;
  const std::string zeros(32, '0');
  const std::string evt = "evt_" + zeros, ep = "ep_" + zeros, dlv = "dlv_" + zeros;
  const std::string filter = "state=dead&endpoint=" + ep;
  api.answer("GET /v1/deliveries?endpoint=" + ep + "&limit=50", 200, page({}));
  api.answer("GET /v1/deliveries?event=" + evt + "&limit=50", 200, page({}));
  api.answer("GET /v1/deliveries?" + filter + "&limit=250", 200, page({}));
  api.answer("POST /v1/batches", 200, {{"matched", 0}, {"exact", true}});
  api.answer("POST /v1/events/" + kEvt + "/replay", 422, refusal(422, "Invalid", "names no endpoint"));
  for (const Arguments& line : {Arguments{"event", "show", evt},
                                {"event", "payload", evt},
                                {"event", "replay", evt},
                                {"event", "replay", kEvt, "--endpoint", ep},
                                {"endpoint", "show", ep},
                                {"endpoint", "set", ep, "--name", "n"},
                                {"endpoint", "pause", ep},
                                {"endpoint", "resume", ep},
                                {"endpoint", "enable", ep},
                                {"endpoint", "disable", ep},
                                {"endpoint", "remove", ep},
                                {"endpoint", "test", ep},
                                {"endpoint", "secret", "list", ep},
                                {"endpoint", "secret", "reveal", ep},
                                {"endpoint", "secret", "rotate", ep},
                                {"delivery", "show", dlv},
                                {"delivery", "attempts", dlv},
                                {"delivery", "retry", dlv},
                                {"delivery", "discard", dlv},
                                {"delivery", "list", "--endpoint", ep},
                                {"delivery", "list", "--event", evt},
                                {"delivery", "retry", "--endpoint", ep, "--yes"},
                                {"delivery", "discard", "--endpoint", ep, "--dry-run"},
                                {"retry", dlv},
                                {"retry", evt},
                                {"tail", "--endpoint", ep}}) {
    std::string text;
    for (const std::string& argument : line) text += argument + " ";
    CAPTURE(text);
    const Ended outcome = run(api, line);
    CHECK_MESSAGE(outcome.exit_code == 3, outcome.err);
    CHECK(outcome.out.find("retried") == std::string::npos);
  }
  // One that exists and has nothing is no mistake.
  api.answer("GET /v1/endpoints/" + ep, 200, {{"id", ep}});
  CHECK(run(api, {"delivery", "list", "--endpoint", ep}).exit_code == 0);
}

TEST_CASE("a token is made alone on its line, as --token-file reads it") {
  const TemporaryFile tokens("");
  const Ended made = outboxctl({"token", "create", "shop", "--file", tokens.path()});
  CHECK(made.exit_code == 0);
  CHECK(std::count(made.out.begin(), made.out.end(), '\n') == 1);
  CHECK(made.err.find("this once") != std::string::npos);
  FakeApi api;
  api.answer("GET /v1/status", 200, status_body());
  const TemporaryFile token(made.out);
  CHECK(run(api, {"--token-file", token.path(), "status"}).exit_code == 0);
  CHECK(api.last().authorization == "Bearer " + made.out.substr(0, made.out.size() - 1));
  const Ended json = outboxctl({"token", "create", "till", "--file", tokens.path(), "-o", "json"});
  CHECK(Json::parse(json.out)["name"] == "till");
  CHECK(outboxctl({"token", "revoke", "nobody", "--file", tokens.path()}).exit_code == 3);
}

TEST_CASE("signatures are made and verified without the daemon, and any change is noticed") {
  const TemporaryFile secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
  const TemporaryFile body("{\"test\": 2432232314}");
  // The example of the Standard Webhooks libraries' own tests.
  const Ended made =
      outboxctl({"signature", "sign", "--secret-file", secret.path(), "--id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
                 "--timestamp", "1614265330", "--data-file", body.path()});
  CHECK(made.exit_code == 0);
  CHECK(made.out == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n");
  const auto verify = [&](const std::string& signature, const std::string& data,
                          const std::string& tolerance) {
    return outboxctl(
        {"signature", "verify", "--secret-file", secret.path(), "--id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
         "--timestamp", "1614265330", "--signature", signature, "--tolerance", tolerance},
        data);
  };
  const std::string data = "{\"test\": 2432232314}";
  const std::string signature = made.out.substr(0, made.out.size() - 1);
  CHECK(verify(signature, data, "3650d").exit_code == 0);
  CHECK(verify(signature, data, "5m").exit_code == 1);  // signed years ago
  CHECK(verify(signature, data + " ", "3650d").exit_code == 1);
}

TEST_CASE("the configuration is checked with status 78 for errors, and shown with its origins") {
  const TemporaryFile good("[policy]\nallow_http = true\n");
  const TemporaryFile bad("[policy]\nallow_htp = true\n[log]\nlevel = 3\n");
  CHECK(outboxctl({"config", "check", "--config", good.path()}).exit_code == 0);
  const Ended outcome = outboxctl({"config", "check", "--config", bad.path()});
  CHECK(outcome.exit_code == 78);
  CHECK(outcome.err.find(bad.path() + ":2:") != std::string::npos);
  CHECK(outcome.err.find("2 errors") != std::string::npos);
  CHECK(outboxctl({"config", "check", "--config", "/nonexistent"}).exit_code == 78);
  const Ended shown = outboxctl({"config", "show", "--origin", "--config", good.path()});
  CHECK(shown.exit_code == 0);
  CHECK(shown.out.find("allow_http = true  # " + good.path() + ":2") != std::string::npos);
  const Json rows =
      Json::parse(outboxctl({"config", "show", "--config", good.path(), "-o", "json"}).out)["data"];
  const auto value = [&rows](const std::string& key) {
    for (const Json& row : rows) {
      if (row["key"] == key) return row["value"];
    }
    return Json("missing");
  };
  CHECK(value("policy.allow_http") == true);
  CHECK(value("policy.ports") == Json{80, 443});
  CHECK(value("delivery.timeout") == "20s");
  CHECK(value("delivery.max_in_flight") == 20000);
  CHECK(outboxctl({"-o", "json", "config", "check", "--config", good.path()}).exit_code == 0);
  const Ended errors = outboxctl({"-o", "json", "config", "check", "--config", bad.path()});
  CHECK(errors.exit_code == 78);
  CHECK(Json::parse(errors.out)["errors"].size() == 2);
  CHECK(Json::parse(errors.out)["valid"] == false);
}
