// What shows an operator how things stand: tail, event tail, top, status --watch, delivery show and curl.
#include <doctest/doctest.h>

#include <memory>
#include <sstream>

#include "common/json.h"
#include "common/text.h"
#include "ctl/delivery_page.h"
#include "ctl/event_stream.h"
#include "ctl/failure.h"
#include "ctl/fake_api.h"
#include "ctl/program.h"
#include "ctl/shell.h"
#include "ctl/terminal.h"
#include "ctl/top_view.h"

using namespace outboxd;
using namespace outboxd::ctl;
using namespace outboxd::test;

namespace {

Ended run(const FakeApi& api, Arguments arguments) {
  arguments.insert(arguments.begin(), {"--url", api.url()});
  return outboxctl(arguments);
}

Json page(const std::vector<Json>& rows, const Json& next = nullptr) {
  return {{"data", rows}, {"next_cursor", next}};
}

Json attempt_row(int number, const std::string& outcome, const Json& status, const std::string& state) {
  return {{"id", "att_019ab0f40c2b7a3c8d4e5f60718293a7"},
          {"delivery", delivery_id_text(1)},
          {"event", kEvent},
          {"endpoint", kEndpoint},
          {"type", "order.paid"},
          {"number", number},
          {"started_at", "2026-11-23T15:00:0" + std::to_string(number) + ".000Z"},
          {"recorded_at", "2026-11-23T15:00:09.000Z"},
          {"total_ms", 12},
          {"outcome", outcome},
          {"status", status},
          {"error", outcome == "timeout" ? Json("no answer\x1b[2J") : Json()},
          {"state", state},
          {"reason", nullptr},
          {"due_at", nullptr}};
}

std::string event_text(const std::string& id, const std::string& name, const Json& data) {
  return "id: " + id + "\nevent: " + name + "\ndata: " + dump(data) + "\n\n";
}

void answer_stream(FakeApi& api, const std::string& query, const std::string& text) {
  api.answer_bytes("GET /v1/attempts/stream" + query, 200, "text/event-stream", "retry: 1000\n\n" + text);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> read(EventStreamReader& reader, std::string_view bytes) {
  std::vector<std::string> seen;
  reader.feed(bytes, [&](const ServerEvent& event) { seen.push_back(event.name + "=" + event.data); });
  return seen;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "server-sent events are read however their bytes are cut, and an id counts once its block is whole") {
  const std::string text =
      ": hello\nretry: 1000\n\nid: 7\nevent: attempt\ndata: {\"a\":1}\n\n"
      "data:x\r\ndata: y\r\n\r\nid: 9\n\nid: 10\n";
  for (const std::size_t size : {std::size_t{1}, std::size_t{3}, text.size()}) {
    EventStreamReader reader;
    std::vector<std::string> seen;
    for (std::size_t at = 0; at < text.size(); at += size) {
      for (auto& one : read(reader, std::string_view(text).substr(at, size))) seen.push_back(std::move(one));
    }
    CHECK(seen == std::vector<std::string>{"attempt={\"a\":1}", "message=x\ny"});
    CHECK(reader.last_id() == "9");
    reader.begin_anew();
    CHECK(read(reader, "data: z\n\n") == std::vector<std::string>{"message=z"});
    CHECK(reader.last_id() == "9");
  }
  EventStreamReader reader;
  CHECK_THROWS_AS(read(reader, std::string(2u << 20, 'x')), Failure);
}

TEST_CASE("tail shows every attempt once, in order, each with its own time, and ends well on Ctrl-C") {
  FakeApi api;
  answer_stream(api, "?last=10",
                event_text("a1", "attempt", attempt_row(1, "timeout", nullptr, "pending")) +
                    event_text("a2", "attempt", attempt_row(2, "http_5xx", 503, "pending")));
  answer_stream(api, "", event_text("a3", "attempt", attempt_row(3, "success", 200, "delivered")));
  RunningOutboxctl tail({"--url", api.url(), "tail"});
  const std::string first = tail.read_line();
  CHECK(first.starts_with("2026-11-23T15:00:01.000Z  " + delivery_id_text(1)));
  CHECK(has(first, "attempt 1"));
  CHECK(has(first, "timeout"));
  CHECK(has(first, "no answer\\x1b[2J"));
  const std::string second = tail.read_line();
  CHECK(second.starts_with("2026-11-23T15:00:02.000Z"));
  CHECK(has(second, "http_5xx 503"));
  CHECK(has(tail.read_line(), "success 200"));
  CHECK(tail.interrupt() == 0);
  CHECK(api.asked()[0].last_event_id.empty());
  CHECK(api.asked()[1].last_event_id == "a2");
}

TEST_CASE("tail says what it could not show, also to a reader of JSON lines") {
  FakeApi api;
  answer_stream(api, "?last=10&type=order.%2A&failed=true",
                event_text("a1", "dropped", {{"dropped", 750}}) +
                    event_text("a9", "attempt", attempt_row(2, "success", 200, "delivered")));
  answer_stream(api, "?type=order.%2A&failed=true", event_text("b0", "dropped", {{"dropped", nullptr}}));
  RunningOutboxctl tail({"--url", api.url(), "-o", "jsonl", "tail", "--type", "order.*", "--failed"});
  CHECK(tail.read_line() == R"({"dropped":750})");
  CHECK(Json::parse(tail.read_line())["number"] == 2);
  CHECK(tail.read_line() == R"({"dropped":null})");
  CHECK(tail.interrupt() == 0);
}

TEST_CASE("tail ends with what the daemon says when it is refused, and when what it gets is no stream") {
  FakeApi api;
  api.answer("GET /v1/attempts/stream?last=10", 503, refusal(503, "Unavailable", "all places are taken"));
  const Ended refused = run(api, {"tail"});
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "all places are taken"));
  FakeApi other;
  other.answer_bytes("GET /v1/attempts/stream?last=10", 200, "text/html", "data: <p>\n\n");
  CHECK(run(other, {"tail"}).exit_code == 1);
  CHECK(outboxctl({"--url", "http://127.0.0.1:1", "tail"}).exit_code == 5);
}

TEST_CASE("event tail shows each event as it comes, the newest last") {
  const auto event = [](int n) {
    return Json{{"id", "evt_019ab0f40c2b7a3c8d4e5f607182930" + std::to_string(n)},
                {"type", "order.paid"},
                {"tenant", ""},
                {"deliveries", n == 3 ? 0 : 2},
                {"created_at", "2026-11-23T15:00:0" + std::to_string(n) + ".000Z"}};
  };
  FakeApi api;
  api.answer("GET /v1/events?limit=10", 200, page({event(2), event(1)}));
  api.answer("GET /v1/events?limit=50", 200, page({event(4), event(3), event(2), event(1)}));
  RunningOutboxctl tail({"--url", api.url(), "event", "tail"});
  for (int n = 1; n <= 4; ++n) {
    const std::string line = tail.read_line();
    CHECK(line.starts_with("2026-11-23T15:00:0" + std::to_string(n)));
    CHECK(has(line, "no endpoint") == (n == 3));
  }
  CHECK(tail.interrupt() == 0);
}

TEST_CASE("text fits into the columns it is given, whatever is in it") {
  CHECK(fitted("abc", 5) == "abc  ");
  CHECK(fitted("abc", 5, true) == "  abc");
  CHECK(fitted("abcdef", 5) == "abcd~");
  CHECK(fitted("abcde", 5) == "abcde");
  CHECK(cut("abc", 5) == "abc");
  CHECK(cut("a\x1b[2Jb", 20) == "a\\x1b[2Jb");
  CHECK(cut("abc", 0).empty());
}

namespace {

Json top_endpoint(const std::string& name, int pending, const Json& stats = Json::object()) {
  Json endpoint = {{"id", kEndpoint}, {"name", name}, {"url", "https://example.com/"}, {"state", "active"}};
  endpoint["stats"] = {{"pending", pending}};
  endpoint["stats"].update(stats);
  return endpoint;
}

const Style kTopStyle{.format = Format::kTable, .color = false, .now = *parse_time("2026-11-23T15:00:00Z")};

std::vector<Json> top_endpoints() {
  const Json bad = {
      {"oldest_due_at", "2026-11-23T14:50:00.000Z"},
      {"dead", 3},
      {"in_flight", 1},
      {"breaker", "open"},
      {"next_probe_at", "2026-11-23T15:00:40.000Z"},
      {"last_error", {{"error", "http_5xx\x1b[2J"}, {"status", 503}, {"at", "2026-11-23T14:59:00.000Z"}}},
      {"rates", {{"in_per_second", 0.25}, {"out_per_second", 12345}}},
      {"latency_ms", {{"p50", 20}, {"p95", 1500}}}};
  const Json good = {{"oldest_due_at", "2026-11-23T14:59:30.000Z"}, {"breaker", "closed"}};
  return {top_endpoint("orders", 5),
          top_endpoint("a rather long name of an endpoint that nobody would give it", 1'234'567, bad),
          top_endpoint("billing", 70, good)};
}

std::string first_of(const std::vector<Json>& endpoints, TopOrder order) {
  return arranged(endpoints,
                  TopState{.order = order, .filter = {}, .typing = false, .complaint = {}})[0]["name"];
}

std::vector<Json> filtered(const std::vector<Json>& endpoints, const std::string& filter) {
  return arranged(endpoints, TopState{.order = {}, .filter = filter, .typing = false, .complaint = {}});
}

}  // namespace

TEST_CASE("top sorts by what is asked for, and filters") {
  auto endpoints = top_endpoints();
  CHECK(first_of(endpoints, TopOrder::kBacklog).starts_with("a rather"));
  CHECK(first_of(endpoints, TopOrder::kName).starts_with("a rather"));
  CHECK(first_of(endpoints, TopOrder::kOldest).starts_with("a rather"));
  CHECK(arranged(endpoints, {})[1]["name"] == "billing");
  endpoints[0]["stats"]["oldest_due_at"] = "2026-11-01T00:00:00.000Z";
  CHECK(first_of(endpoints, TopOrder::kOldest) == "orders");
  CHECK(first_of(endpoints, TopOrder::kErrors).starts_with("a rather"));
  endpoints[2]["state"] = "disabled";
  endpoints[2]["stats"]["last_error"] = {{"error", "gone"}, {"at", "2026-11-23T14:59:59.000Z"}};
  CHECK(first_of(endpoints, TopOrder::kErrors) == "billing");
  REQUIRE(filtered(endpoints, "HTTP_5").size() == 1);
  REQUIRE(filtered(endpoints, "disabled").size() == 1);
  CHECK(filtered(endpoints, "disabled")[0]["name"] == "billing");
  CHECK(filtered(endpoints, "nowhere").empty());
}

TEST_CASE(
    "the screen of top is as large as the terminal, a line an endpoint, and lacking figures are dashes") {
  const Json status = {
      {"version", "0.1.0"}, {"deliveries", {{"pending", 7}}}, {"endpoints", {{"active", 3}}}};
  const auto screen = [&](int columns, int lines) {
    return render_top_screen(status, top_endpoints(), {}, kTopStyle, columns, lines);
  };
  for (const int columns : {20, 80, 120, 200}) {
    for (const int lines : {4, 5, 24}) {
      const auto shown = lines_of(screen(columns, lines));
      CAPTURE(columns);
      CHECK(shown.size() == static_cast<std::size_t>(lines));
      for (const std::string& line : shown) {
        CHECK((columns < 80 || display_width(line) <= columns));
        CHECK_FALSE(has(line, "\x1b"));
      }
    }
  }
  const auto narrow = lines_of(screen(80, 24));
  CHECK(narrow[2].starts_with("a rather"));
  for (const auto* part : {"1.2M", "10m", "0.2", "12k", "1.5s", "open", "40s", "http_5"})
    CHECK_MESSAGE(has(narrow[2], part), narrow[2]);
  CHECK(has(narrow[4], " - "));
  for (const auto* part :
       {"DEAD", "P50", "20ms", "503, 1m ago", "a rather long name of an endpoint that nobody", "q quit"})
    CHECK_MESSAGE(has(screen(200, 24), part), part);
  TopState lost;
  lost.complaint = "cannot reach outboxd";
  CHECK(lines_of(render_top_screen(status, {}, lost, kTopStyle, 80, 6)).back() == "cannot reach outboxd");
}

TEST_CASE("top without a terminal is a table, once; what is of another shape is shown as far as it goes") {
  FakeApi api;
  api.answer("GET /v1/status", 200, {{"version", "0.1.0"}});
  api.answer("GET /v1/endpoints?stats=true&limit=250", 200, page(top_endpoints()));
  const Ended table = run(api, {"top"});
  CHECK(table.exit_code == 0);
  CHECK(has(table.out, "BACKLOG"));
  CHECK(has(table.out, "1.2M"));
  CHECK_FALSE(has(table.out, "\x1b"));
  CHECK(lines_of(run(api, {"-o", "jsonl", "top"}).out).size() == 3);
  FakeApi odd;
  odd.answer("GET /v1/status", 200, Json::array());
  odd.answer("GET /v1/endpoints?stats=true&limit=250", 200,
             page({1, nullptr, Json{{"stats", 7}},
                   Json{{"stats", {{"rates", "x"}, {"pending", "y"}, {"last_error", 3}}}}}));
  CHECK(run(odd, {"top"}).exit_code == 0);
}

TEST_CASE(
    "a watched status goes on while the daemon cannot be reached, and its exit status is the last one's") {
  auto api = std::make_unique<FakeApi>();
  api->answer("GET /v1/status", 200, {{"version", "0.1.0"}, {"endpoints", {{"disabled", 1}}}});
  RunningOutboxctl watch({"--url", api->url(), "-o", "jsonl", "status", "--watch", "--exit-code"});
  CHECK(Json::parse(watch.read_line())["version"] == "0.1.0");
  CHECK(watch.interrupt() == 1);
}

namespace {

DeliveryPage dead_page() {
  Json delivery = delivery_row(1, "dead", "http_5xx", 2);
  delivery["endpoint_name"] = "the shop";
  delivery["finished_at"] = "2026-11-23T14:58:00.000Z";
  const Json attempt = {
      {"id", "att_1"},
      {"number", 2},
      {"started_at", "2026-11-23T14:58:00.000Z"},
      {"timings",
       {{"dns_ms", 3}, {"connect_ms", 5}, {"tls_ms", nullptr}, {"first_byte_ms", 70}, {"total_ms", 91}}},
      {"outcome", "http_5xx"},
      {"status", 503},
      {"error", "HTTP 503"},
      {"request_line", "POST https://example.com/hook"},
      {"remote_address", "203.0.113.7:443"},
      {"resent", false},
      {"response_headers", Json::array({Json{{"name", "retry-after"}, {"value", "5"}}})},
      {"response_body", "sorry\x1b]0;x\x07\nsecond line"}};
  delivery["attempt_list"] = Json::array({attempt});
  const Json request = {
      {"headers", Json::array({Json{{"name", "content-type"}, {"value", "application/json"}},
                               Json{{"name", "webhook-timestamp"}, {"value", "1"}},
                               Json{{"name", "webhook-signature"}, {"value", nullptr}},
                               Json{{"name", "outboxd-attempt"}, {"value", "3"}}})}};
  return {delivery,
          {{"ordering_key", "user-7"}},
          {{"url", "https://example.com/hook"}, {"state", "active"}},
          nullptr,
          request};
}

}  // namespace

TEST_CASE("a delivery's page says what was sent, what came back, and what to do") {
  const std::string text = render_delivery(dead_page(), kTopStyle);
  for (const auto* part :
       {"dead (exhausted), 2 attempts, 2m ago", "the shop  ep_", "https://example.com/hook", "3 ms", "5 ms",
        "70 ms", "91 ms", "  > POST https://example.com/hook", "  > content-type: application/json",
        "  > webhook-timestamp: 1795445880", "  > webhook-signature: <shown by", "  > outboxd-attempt: 2",
        "in order of user-7", "  < HTTP 503", "  < retry-after: 5", "  < sorry\\x1b]0;x\\x07",
        "  < second line", "outboxctl delivery retry dlv_", "outboxctl delivery curl dlv_"})
    CHECK_MESSAGE(has(text, part), part, " in\n", text);
  CHECK_FALSE(has(text, "\x1b"));
}

TEST_CASE("a pending delivery's page says what it waits for, and which command helps") {
  DeliveryPage page = dead_page();
  page.delivery["state"] = "pending";
  page.delivery["reason"] = nullptr;
  page.delivery["waiting"] = {{"for", "due"}, {"until", "2026-11-23T15:05:00.000Z"}};
  const auto shown = [&page] { return render_delivery(page, kTopStyle); };
  CHECK(has(shown(), "waits for  due, 5m"));
  CHECK(has(shown(), "in 5m, by the retry schedule"));
  page.delivery["waiting"] = {{"for", "paused"}, {"until", nullptr}};
  CHECK(has(shown(), "the shop is paused"));
  CHECK(has(shown(), "try: outboxctl endpoint resume"));
  page.endpoint = nullptr;
  page.request = nullptr;
  CHECK(has(shown(), "(removed)"));
  CHECK_FALSE(has(shown(), "delivery curl"));
}

TEST_CASE("a word for the shell is exactly that word") {
  CHECK(shell_quoted("plain-1.2_x/:@") == "plain-1.2_x/:@");
  CHECK(shell_quoted("") == "''");
  CHECK(shell_quoted("it's $HOME `x` \\") == "'it'\\''s $HOME `x` \\'");
  CHECK(shell_quoted("*") == "'*'");
}

TEST_CASE("a curl command carries the body byte for byte, and no secret that was not asked for") {
  const auto request = [](const std::string& body) {
    return Json{{"method", "POST"},
                {"url", "https://example.com/a?b={1}&c='d'"},
                {"headers", Json::array({Json{{"name", "content-type"}, {"value", "application/json"}},
                                         Json{{"name", "webhook-signature"}, {"value", nullptr}}})},
                {"body_base64", base64_encode(body)},
                {"tls", {{"client_cert", "/etc/x y.pem"}}}};
  };
  const std::string plain = curl_command(request("{\"name\": \"O'Brien\",\n \"n\": 1.10}\n"));
  CHECK(plain.starts_with("curl "));
  CHECK(has(plain, "--data-raw '{\"name\": \"O'\\''Brien\",\n \"n\": 1.10}\n'"));
  CHECK(has(plain, "'webhook-signature: <shown by delivery curl --reveal>'"));
  CHECK(has(plain, "--cert '/etc/x y.pem'"));
  CHECK(has(plain, "'https://example.com/a?b={1}&c='\\''d'\\'''"));
  for (const std::string& body :
       {std::string("\0\xff", 2), std::string("\x1b[2J"), std::string(100'000, 'x')}) {
    const std::string bytes = curl_command(request(body));
    CHECK(bytes.starts_with("base64 -d <<'END' | curl "));
    CHECK(has(bytes, "--data-binary @-"));
    CHECK(bytes.ends_with("\nEND\n"));
    CHECK_FALSE(has(bytes, "\x1b"));
  }
  CHECK_THROWS_AS(curl_command(Json::array()), Failure);
}

TEST_CASE("delivery curl asks for secrets only when it is told to") {
  FakeApi api;
  const std::string path = "GET /v1/deliveries/" + delivery_id_text(1) + "/request";
  const auto request = [](const Json& signature) {
    return Json{{"url", "https://example.com/"},
                {"headers", Json::array({Json{{"name", "webhook-signature"}, {"value", signature}}})},
                {"body_base64", "e30="},
                {"tls", nullptr}};
  };
  api.answer(path, 200, request(nullptr));
  api.answer(path + "?reveal=true", 200, request("v1,c2lnbmVk"));
  const Ended masked = run(api, {"delivery", "curl", delivery_id_text(1)});
  CHECK(masked.exit_code == 0);
  CHECK(has(masked.out, "webhook-signature: <shown by delivery curl --reveal>"));
  CHECK(has(masked.err, "left out"));
  CHECK(has(run(api, {"delivery", "curl", delivery_id_text(1), "--reveal"}).out, "v1,c2lnbmVk"));
  const Ended json = run(api, {"-o", "json", "delivery", "curl", delivery_id_text(1)});
  CHECK(Json::parse(json.out)["body_base64"] == "e30=");
  CHECK(run(api, {"delivery", "curl", delivery_id_text(2)}).exit_code == 3);
}
