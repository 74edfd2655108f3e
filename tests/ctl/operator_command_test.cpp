// What an operator changes: the endpoints as a file, a test, an erasure, rejected rows.
#include <doctest/doctest.h>

#include "ctl/fake_api.h"
#include "ctl/program.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

Ended run(const FakeApi& api, Arguments arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), {"--url", api.url()});
  return outboxctl(arguments, input);
}

Json endpoint_row(const std::string& name, const std::string& timeout = "20s") {
  return {{"id", kEndpoint},   {"url", "https://example.com/"},
          {"name", name},      {"tenant", ""},
          {"types", {"**"}},   {"timeout", timeout},
          {"state", "active"}, {"created_at", "2026-11-23T15:00:00.000Z"},
          {"auth", nullptr},   {"signatures", Json::array()}};
}

Json page(const std::vector<Json>& rows) {
  return {{"data", rows}, {"next_cursor", nullptr}};
}

const std::string kPath = std::string("/v1/endpoints/") + kEndpoint;
const std::string kAll = "GET /v1/endpoints?limit=250";

std::string file_with(const Json& endpoints) {
  return dump(Json{{"version", 1}, {"endpoints", endpoints}});
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an export is applied without a change, and secrets are in it only when asked for") {
  FakeApi api;
  api.answer(kAll, 200, page({endpoint_row("orders")}));
  api.answer("GET " + kPath + "/secrets?reveal=true", 200,
             page({Json{{"secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}));
  const Ended exported = run(api, {"endpoint", "export"});
  CHECK(exported.exit_code == 0);
  CHECK_FALSE(has(exported.out, "whsec_"));
  CHECK_FALSE(has(exported.out, kEndpoint));
  const Ended applied = run(api, {"endpoint", "apply", "-"}, exported.out);
  CHECK(applied.exit_code == 0);
  CHECK(has(applied.err, "nothing to change"));
  const Ended revealed = run(api, {"endpoint", "export", "--reveal"});
  CHECK(has(revealed.out, "whsec_MfKQ"));
  CHECK(has(run(api, {"endpoint", "apply", "-"}, revealed.out).err, "nothing to change"));
  for (const Asked& asked : api.asked()) CHECK(asked.method == "GET");
}

TEST_CASE("applying shows what changes, asks, and does it with what the file says") {
  FakeApi api;
  api.answer(kAll, 200, page({endpoint_row("orders"), endpoint_row("old")}));
  api.answer("GET /v1/deliveries?endpoint=" + std::string(kEndpoint) + "&state=pending&limit=250", 200,
             page({Json{{"id", "x"}}}));
  api.answer("POST /v1/endpoints", 201, endpoint_row("new"));
  api.answer("PATCH " + kPath, 200, endpoint_row("orders"));
  api.answer_bytes("DELETE " + kPath, 204, "", "");
  const std::string file =
      file_with({{{"name", "orders"}, {"url", "https://example.com/"}, {"timeout", "10s"}},
                 {{"name", "new"}, {"url", "https://example.com/new"}}});
  const auto methods = [&api] {
    std::string all;
    for (const Asked& asked : api.asked())
      all += asked.method == "GET" ? "" : asked.method + " " + asked.body + "\n";
    return all;
  };
  const Ended dry = run(api, {"endpoint", "apply", "-", "--dry-run", "--prune"}, file);
  CHECK(dry.exit_code == 0);
  CHECK(has(dry.out, "~ change orders\n    timeout: \"20s\" -> \"10s\"\n"));
  CHECK(has(dry.out, "- remove old (1 pending deliveries are discarded)"));
  CHECK(run(api, {"endpoint", "apply", "-"}, file).exit_code == 2);  // there is no terminal to ask on
  CHECK(methods().empty());
  const Ended done = run(api, {"endpoint", "apply", "-", "--prune", "--yes"}, file);
  CHECK_MESSAGE(done.exit_code == 0, done.err);
  CHECK(has(done.err, "created 1, changed 1, removed 1"));
  CHECK(
      methods() ==
      "PATCH {\"timeout\":\"10s\"}\nPOST {\"name\":\"new\",\"url\":\"https://example.com/new\"}\nDELETE \n");
  const Ended json = run(api, {"-o", "json", "endpoint", "apply", "-", "--dry-run"}, file);
  CHECK(Json::parse(json.out)["change"][0]["fields"]["timeout"]["to"] == "10s");
}

TEST_CASE("what the daemon refuses is told by its place in the file, and the rest can be applied later") {
  FakeApi api;
  api.answer(kAll, 200, page({}));
  api.answer(
      "POST /v1/endpoints", 422,
      refusal(422, "Invalid endpoint", "/url is denied", {{{"pointer", "/url"}, {"detail", "is denied"}}}));
  const Ended refused = run(api, {"endpoint", "apply", "-", "--yes"},
                            file_with({{{"name", "a"}, {"url", "https://example.com/"}}}));
  CHECK(refused.exit_code == 4);
  CHECK(has(refused.err, "/endpoints/0/url: is denied"));
  CHECK(has(refused.err, "0 of 1 changes were made"));
  const Ended nameless =
      run(api, {"endpoint", "apply", "-", "--yes"}, file_with({{{"url", "https://example.com/"}}}));
  CHECK(nameless.exit_code == 2);
  CHECK(has(nameless.err, "/endpoints/0/name: is required"));
}

TEST_CASE("a test sends what is given, exactly, and says what to do about the answer") {
  FakeApi api;
  Attempt attempt;
  attempt.outcome = Outcome::kConnect;
  attempt.error = "connection refused";
  api.answer("GET " + std::string("/v1/endpoints/orders"), 200, endpoint_row("orders"));
  api.answer("POST " + kPath + "/test", 200, {{"attempt", to_json(attempt)}});
  const Ended outcome =
      run(api, {"endpoint", "test", "orders", "--type", "order.paid", "--data", "{\"n\": 1.10}"});
  CHECK(outcome.exit_code == 1);
  CHECK(api.last().body == "{\"type\":\"order.paid\",\"payload\":{\"n\": 1.10}}");
  CHECK(has(outcome.out, "connection refused"));
  CHECK(has(outcome.err, "is the subscriber running?"));
}

TEST_CASE("an erasure says what it did") {
  FakeApi api;
  api.answer("DELETE /v1/events/" + std::string(kEvent) + "/payload", 200,
             {{"id", kEvent}, {"payload_erased_at", "2026-11-23T15:00:00.000Z"}, {"discarded", 2}});
  const Ended erased = run(api, {"event", "erase", kEvent, "--yes"});
  CHECK_MESSAGE(erased.exit_code == 0, erased.err);
  CHECK(has(erased.out, "discarded"));
  CHECK(has(erased.err, "backups"));
}

TEST_CASE("rejected rows are shown, read again and dropped") {
  FakeApi api;
  api.answer("GET /v1/outbox/7", 200,
             {{"row", 7}, {"reason", "payload: is larger than 1 MiB"}, {"payload", "{}"}});
  api.answer("POST /v1/outbox/7/retry", 202, {{"row", 7}});
  api.answer_bytes("DELETE /v1/outbox/7", 204, "", "");
  const Ended shown = run(api, {"outbox", "show", "7"});
  CHECK(has(shown.out, "payload: is larger"));
  CHECK(has(shown.err, "outboxctl outbox retry 7"));
  const Ended again = run(api, {"outbox", "retry", "7"});
  CHECK(again.exit_code == 4);
  CHECK(has(again.err, "rejected again: payload: is larger"));
  FakeApi accepting;
  accepting.answer("POST /v1/outbox/7/retry", 202, {{"row", 7}});
  CHECK(run(accepting, {"outbox", "retry", "7"}).exit_code == 0);
  CHECK(run(api, {"outbox", "drop", "7", "--yes"}).exit_code == 0);
  CHECK(api.last().method == "DELETE");
}

TEST_CASE("a sample event is sent, and whether anybody wants it is said") {
  FakeApi api;
  api.answer(
      "POST /v1/events", 202,
      {{"id", kEvent}, {"created_at", "2026-11-23T15:00:00.000Z"}, {"deliveries", 0}, {"duplicate", false}});
  const Ended sent = run(api, {"trigger", "order.paid"});
  CHECK(sent.exit_code == 0);
  CHECK(Json::parse(api.last().body)["payload"]["sample"] == true);
  CHECK(has(sent.err, "outboxctl listen --types 'order.paid'"));
  run(api, {"trigger", "order.paid", "--data", "[1.10]", "--tenant", "acme"});
  CHECK(api.last().body == "{\"type\":\"order.paid\",\"payload\":[1.10],\"tenant\":\"acme\"}");
}

TEST_CASE("an event that nobody wants is accepted with a warning, also within a batch") {
  FakeApi api;
  const Json accepted{
      {"id", kEvent}, {"created_at", "2026-11-23T15:00:00.000Z"}, {"deliveries", 0}, {"duplicate", false}};
  api.answer("POST /v1/events", 202, accepted);
  const Ended sent = run(api, {"-q", "event", "send", "ordr.paid", "--data", "1", "-o", "id"});
  CHECK(sent.exit_code == 0);
  CHECK(sent.out == std::string(kEvent) + "\n");
  CHECK(has(sent.err, "no endpoint wants ordr.paid"));
  FakeApi batch;
  batch.answer("POST /v1/events", 202, {{"data", {accepted, accepted}}});
  const TemporaryFile file("{\"type\":\"a\",\"payload\":1}\n{\"type\":\"a\",\"payload\":2}\n");
  CHECK(has(run(batch, {"event", "send", "--batch", file.path()}).err, "2 of them are delivered to nobody"));
}

TEST_CASE("types are shown with who wants them, and advice where nobody does") {
  FakeApi api;
  const auto type = [](const char* name, std::int64_t endpoints) {
    return Json{{"tenant", ""},
                {"type", name},
                {"events", 7},
                {"last_at", "2026-11-23T15:00:00.000Z"},
                {"endpoints", endpoints}};
  };
  const Json data = Json::array({type("order.paid", 2), type("ordr.paid", 0)});
  api.answer("GET /v1/types?limit=50", 200, {{"data", data}, {"next_cursor", nullptr}});
  const Ended shown = run(api, {"event", "types"});
  CHECK(shown.exit_code == 0);
  CHECK(has(shown.out, "ENDPOINTS"));
  CHECK(has(shown.out, "ordr.paid"));
  CHECK(has(shown.err, "1 type reaches no endpoint"));
  CHECK(has(shown.err, "--type ordr.paid"));
  const Ended json = run(api, {"-q", "event", "types", "-o", "json"});
  CHECK(Json::parse(json.out)["data"] == data);
  CHECK(json.err.empty());
  CHECK(run(api, {"-q", "event", "types", "-o", "id"}).out == "order.paid\nordr.paid\n");
  api.answer("GET /v1/types?tenant=acme&limit=50", 200, {{"data", Json::array()}, {"next_cursor", nullptr}});
  CHECK(has(run(api, {"event", "types", "--tenant", "acme"}).err, "none found"));
}

TEST_CASE("events that nobody wanted are listed on their own") {
  FakeApi api;
  api.answer("GET /v1/events?unmatched=true&limit=50", 200,
             {{"data", Json::array({{{"id", kEvent}, {"type", "ordr.paid"}, {"deliveries", 0}}})},
              {"next_cursor", nullptr}});
  CHECK(has(run(api, {"event", "list", "--unmatched"}).out, "ordr.paid"));
  CHECK(run(api, {"event", "list", "--unmatched", "--rejected"}).exit_code == 2);
}
