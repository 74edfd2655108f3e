// Acts on all that match a filter: counted, asked about, made as a batch, watched.
#include <doctest/doctest.h>

#include "ctl/fake_api.h"
#include "ctl/program.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const std::string kBatch = "bat_019ab0f40c2b7a3c8d4e5f60718293a4";

Ended run(const FakeApi& api, Arguments arguments) {
  arguments.insert(arguments.begin(), {"--url", api.url()});
  return outboxctl(arguments);
}

Json batch_row(const std::string& state, int done, int skipped = 0) {
  return {{"id", kBatch},
          {"action", "retry"},
          {"filter", {{"state", "dead"}, {"endpoint", kEndpoint}}},
          {"endpoint_name", "shop"},
          {"state", state},
          {"matched", 3},
          {"exact", true},
          {"done", done},
          {"skipped", skipped},
          {"rate", "1000/s"},
          {"seconds_left", nullptr},
          {"reason", "fixed\x1b[2J"},
          {"who", "uid 0"},
          {"created_at", "2026-11-23T14:00:00.000Z"},
          {"finished_at", nullptr}};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A daemon that counts three, makes a batch, and is done with it at the third look.
struct Daemon {
  FakeApi api;
  Daemon() {
    api.answer("POST /v1/batches", 200, {{"matched", 3}, {"exact", true}});
    api.answer("POST /v1/batches", 202, batch_row("running", 0));
    api.answer("GET /v1/batches/" + kBatch, 200, batch_row("running", 1));
    api.answer("GET /v1/batches/" + kBatch, 503, refusal(503, "Unavailable", "busy"));
    api.answer("GET /v1/batches/" + kBatch, 200, batch_row("finished", 2, 1));
  }
  Json sent(std::size_t request) { return Json::parse(api.asked().at(request).body); }
};

}  // namespace

TEST_CASE_FIXTURE(Daemon, "retrying by filter counts first, makes a batch, and waits until it has ended") {
  const Ended done = run(api, {"delivery", "retry", "--endpoint", "shop", "--reason", "exhausted", "--rate",
                               "50/s", "--note", "fixed", "--yes"});
  CHECK_MESSAGE(done.exit_code == 0, done.err);
  CHECK(has(done.out, "2 retried, 1 skipped"));
  CHECK(has(done.err, "3 deliveries (dead) match"));
  CHECK(has(done.err, kBatch));
  REQUIRE(api.asked().size() == 5);
  const Json filter = {{"state", "dead"}, {"endpoint", "shop"}, {"reason", "exhausted"}};
  CHECK(
      sent(0) ==
      Json{
          {"action", "retry"}, {"filter", filter}, {"dry_run", true}, {"rate", "50/s"}, {"reason", "fixed"}});
  CHECK(sent(1) == Json{{"action", "retry"}, {"filter", filter}, {"rate", "50/s"}, {"reason", "fixed"}});
}

TEST_CASE_FIXTURE(Daemon, "--dry-run only counts, and says when it is not all") {
  const Ended counted = run(api, {"delivery", "discard", "--state", "pending", "--type", "a", "--dry-run"});
  CHECK(counted.exit_code == 0);
  CHECK(counted.out == "3 deliveries (pending) match\n");
  CHECK(api.asked().size() == 1);
  CHECK(sent(0)["filter"] == Json{{"state", "pending"}, {"type", "a"}});
  FakeApi many;
  many.answer("POST /v1/batches", 200, {{"matched", 10000}, {"exact", false}});
  CHECK(run(many, {"delivery", "retry", "--type", "a", "--dry-run"}).out ==
        "at least 10000 deliveries (dead) match\n");
  CHECK(Json::parse(run(many, {"delivery", "retry", "--type", "a", "--dry-run", "-o", "json"}).out) ==
        Json{{"matched", 10000}, {"exact", false}});
  CHECK(many.asked().size() == 2);
}

TEST_CASE_FIXTURE(Daemon, "nothing is made where nothing matches, or without a yes") {
  CHECK(run(api, {"delivery", "retry", "--type", "a"}).exit_code == 2);
  CHECK(api.asked().empty());
  FakeApi empty;
  empty.answer("POST /v1/batches", 200, {{"matched", 0}, {"exact", true}});
  CHECK(run(empty, {"delivery", "retry", "--type", "a", "--yes"}).exit_code == 0);
  CHECK(empty.asked().size() == 1);
}

TEST_CASE_FIXTURE(Daemon, "events are replayed by filter, and those that an endpoint has missed") {
  CHECK(run(api, {"event", "replay", "--type", "a", "--until", "2026-11-23T14:00:00Z", "--yes"}).exit_code ==
        0);
  CHECK(sent(1)["action"] == "replay");
  CHECK(sent(1)["filter"] == Json{{"type", "a"}, {"until", "2026-11-23T14:00:00.000Z"}});
  Daemon other;
  CHECK(run(other.api, {"event", "replay", "--missing", "--endpoint", "shop", "--since",
                        "2026-11-23T14:00:00Z", "--yes", "-o", "json"})
            .exit_code == 0);
  CHECK(other.sent(1)["action"] == "replay_missing");
  for (const Arguments& wrong : {Arguments{"event", "replay"},
                                 {"event", "replay", "--missing", "--endpoint", "shop", "--yes"},
                                 {"event", "replay", "--missing", "--since", "1h", "--yes"},
                                 {"event", "replay", kEvent, "--type", "a"},
                                 {"event", "replay", kEvent, "--missing"},
                                 {"event", "replay", "--type", "a"},
                                 {"delivery", "retry", delivery_id_text(1), "--rate", "1/s"},
                                 {"batch", "show", kEvent},
                                 {"batch"}})
    CHECK(run(other.api, wrong).exit_code == 2);
}

TEST_CASE("a batch is listed, shown and cancelled; one that was cancelled has failed for who watches it") {
  FakeApi api;
  api.answer("GET /v1/batches?limit=50", 200,
             {{"data", Json::array({batch_row("running", 1)})}, {"next_cursor", nullptr}});
  const Ended listed = run(api, {"batch", "list"});
  CHECK(listed.exit_code == 0);
  CHECK(has(listed.out, "state=dead endpoint=shop"));
  CHECK(has(listed.out, "1 of 3"));
  CHECK(run(api, {"batch", "list", "-o", "id"}).out == kBatch + "\n");
  api.answer("GET /v1/batches/" + kBatch, 200, batch_row("cancelled", 1));
  const Ended shown = run(api, {"batch", "show", kBatch});
  CHECK(has(shown.out, "fixed\\x1b[2J"));
  const Ended watched = run(api, {"batch", "watch", kBatch});
  CHECK(watched.exit_code == 1);
  CHECK(watched.out == "1 retried; the batch was cancelled\n");
  api.answer("POST /v1/batches/" + kBatch + "/cancel", 200, batch_row("cancelled", 1));
  CHECK(run(api, {"batch", "cancel", kBatch}).out == "1 retried; the batch was cancelled\n");
  CHECK(run(api, {"batch", "show", "bat_" + std::string(32, '0')}).exit_code == 3);
}
