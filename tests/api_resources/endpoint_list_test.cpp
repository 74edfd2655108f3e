// Which endpoints a list has, and in which order.
#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;
using Names = std::vector<std::string>;
using Pointers = std::vector<std::string>;

namespace {

struct EndpointList {
  EndpointList() {
    for (const char* name : {"shop", "Crm", "billing", "shop-2"}) ids.push_back(add(name));
  }
  std::string add(const std::string& name) {
    return api.add_endpoint(R"(,"types":["none"],"name":")" + name + '"');
  }
  EndpointSeq seq_of(const std::string& id) { return api.directory.find(EndpointId::parse(id).value())->seq; }
  // Over all pages.
  Names names(const std::string& query) {
    Names all;
    std::string cursor;
    for (int pages = 0; pages < 20; ++pages) {
      const Sent page = api.call("GET", "/v1/endpoints?" + query + "&cursor=" + cursor);
      REQUIRE_MESSAGE(page.status == 200, page.body);
      for (const auto& row : page.json["data"]) all.push_back(row["name"]);
      if (page.json["next_cursor"].is_null()) return all;
      cursor = page.json["next_cursor"];
    }
    FAIL("the pages do not end");
    return all;
  }
  void lane(const std::string& id, int failures, bool open) {
    api.context.ask_lanes = [seq = seq_of(id), failures, open](std::optional<EndpointSeq>,
                                                               const api::Context::Asked<api::Lanes>& done) {
      done([seq, failures, open] {
        api::Lanes lanes(std::in_place);
        api::LaneView view;
        view.consecutive_failures = failures;
        view.breaker_open = open;
        lanes->emplace(seq, view);
        return lanes;
      });
    };
  }

  Api api;
  Names ids;
};

}  // namespace

TEST_CASE_FIXTURE(EndpointList, "endpoints are found by a part of their name, URL or id, in either case") {
  CHECK(names("search=SHOP") == Names{"shop", "shop-2"});
  CHECK(names("search=crm") == Names{"Crm"});
  CHECK(names("search=example.COM/hook&limit=1") == Names{"shop", "Crm", "billing", "shop-2"});
  CHECK(names("search=" + ids[2]) == Names{"billing"});
  CHECK(names("search=nothing").empty());
  const auto refused = api.call("GET", "/v1/endpoints?search=" + std::string(101, 'x'));
  CHECK(refused.status == 422);
  CHECK(refused.pointers() == Pointers{"search"});
}

TEST_CASE_FIXTURE(EndpointList, "endpoints are found by their state, and pages follow each other") {
  api.call("POST", "/v1/endpoints/Crm/pause");
  CHECK(names("state=paused") == Names{"Crm"});
  CHECK(names("state=active&limit=1") == Names{"shop", "billing", "shop-2"});
  CHECK(names("state=active&search=shop") == Names{"shop", "shop-2"});
  CHECK(names("state=disabled").empty());
  CHECK(api.call("GET", "/v1/endpoints?state=on&health=bad&sort=name").pointers() ==
        Pointers{"state", "health", "sort"});
  for (const char* cursor : {"p1", "m", "mx", "m-1"}) {
    CAPTURE(cursor);
    CHECK(api.call("GET", std::string("/v1/endpoints?state=active&cursor=") + cursor).pointers() ==
          Pointers{"cursor"});
  }
}

TEST_CASE_FIXTURE(EndpointList, "failing endpoints have an open breaker, or have failed for long") {
  CHECK(names("health=failing").empty());
  lane(ids[1], 2, false);
  CHECK(names("health=failing").empty());
  lane(ids[1], 5, true);
  CHECK(names("health=failing") == Names{"Crm"});
  CHECK(names("health=failing&search=shop").empty());
  lane(ids[2], 5, true);
  api.commit(SetFailingSince{seq_of(ids[1]), api.clock.wall(), std::nullopt});
  api.call("POST", "/v1/endpoints/Crm/pause");
  CHECK(names("health=failing") == Names{"Crm", "billing"});
  api.commit(SetFailingSince{seq_of(ids[1]), std::nullopt, std::nullopt});
  CHECK(names("health=failing") == Names{"billing"});
}

TEST_CASE_FIXTURE(EndpointList, "failing endpoints are found in the store when a loop does not answer") {
  api.context.ask_lanes = [](std::optional<EndpointSeq>, const api::Context::Asked<api::Lanes>& done) {
    done([] { return std::nullopt; });
  };
  CHECK(names("health=failing").empty());
  api.commit(SetFailingSince{seq_of(ids[2]), api.clock.wall(), std::nullopt});
  for (const char* query : {"health=failing", "health=failing&sort=backlog", "health=failing&limit=1"}) {
    CAPTURE(query);
    CHECK(names(query) == Names{"billing"});
  }
}

TEST_CASE_FIXTURE(EndpointList, "the largest backlogs come first, as one page") {
  api.add_endpoint(R"(,"name":"all","types":["order.**"])");
  api.add_endpoint(R"(,"name":"paid","types":["order.paid"])");
  api.add_event();
  REQUIRE(api.call("POST", "/v1/events", R"({"type":"order.made","payload":1})").status == 202);
  CHECK(names("sort=backlog") == Names{"all", "paid", "shop", "Crm", "billing", "shop-2"});
  CHECK(names("sort=backlog&search=a") == names("search=a&sort=backlog"));
  const auto two = api.call("GET", "/v1/endpoints?sort=backlog&limit=2&stats=true");
  REQUIRE(two.json["data"].size() == 2);
  CHECK(two.json["data"][0]["stats"]["pending"] == 2);
  CHECK(two.json["data"][1]["stats"]["pending"] == 1);
  CHECK(two.json["next_cursor"].is_null());
  CHECK(api.call("GET", "/v1/endpoints?sort=backlog&cursor=m3").pointers() == Pointers{"cursor"});
}

TEST_CASE_FIXTURE(EndpointList, "a caller of one tenant finds that tenant's alone") {
  api.add_endpoint(R"(,"tenant":"acme","name":"shop")");
  api.tenant = "acme";
  for (const char* query : {"search=shop", "state=active", "sort=backlog"}) {
    CAPTURE(query);
    CHECK(names(query) == Names{"shop"});
  }
  CHECK(api.call("GET", "/v1/endpoints?search=shop&tenant=other").status == 403);
}
