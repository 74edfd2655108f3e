#include "ingest/endpoint_directory.h"

#include <doctest/doctest.h>

#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

Endpoint numbered(EndpointSeq seq, const std::string& tenant = "") {
  Endpoint endpoint = new_endpoint(tenant);
  endpoint.seq = seq;
  return endpoint;
}

struct Rig {
  EndpointDirectory directory;
  DirectoryVersion version = 7;
  Endpoint first = numbered(1);

  Rig() { directory.load({{first, numbered(2), numbered(3, "acme")}, version}); }
  auto match(std::string_view tenant, std::string_view type) const {
    return directory.match(tenant, type).endpoints;
  }
  void remove(const Endpoint& endpoint) {
    directory.hear({.endpoint = endpoint.seq, .now = nullptr, .version = ++version});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "what matches is found once and remembered, until any endpoint changes") {
  const auto both = match("", "a");
  CHECK(both->size() == 2);
  CHECK(match("", "a") == both);
  CHECK(match("acme", "a")->size() == 1);
  CHECK(match("nobody", "a")->empty());
  remove(first);
  CHECK(match("", "a")->size() == 1);
  CHECK(both->size() == 2);
}

TEST_CASE_FIXTURE(Rig,
                  "what is not remembered, or not any more, is not looked for by who asks only for that") {
  CHECK_FALSE(directory.remembered("", "a"));
  const auto both = match("", "a");
  REQUIRE(directory.remembered("", "a"));
  CHECK(directory.remembered("", "a")->endpoints == both);
  CHECK(directory.remembered("", "a")->filters == 0);
  CHECK_FALSE(directory.remembered("acme", "a"));
  remove(first);
  CHECK_FALSE(directory.remembered("", "a"));
}

TEST_CASE_FIXTURE(Rig, "a match says of which version it is") {
  CHECK(directory.match("", "a").version == 7);
  CHECK(directory.match("", "a").version == 7);  // remembered
  remove(first);
  CHECK(directory.match("", "a").version == 8);
}

TEST_CASE_FIXTURE(Rig, "a change does not take down what was remembered: that is for who asks again") {
  const std::weak_ptr<const std::vector<EndpointPtr>> remembered = match("", "a");
  CHECK_FALSE(remembered.expired());
  remove(first);
  CHECK_FALSE(remembered.expired());
  match("", "a");
  CHECK(remembered.expired());
}

TEST_CASE_FIXTURE(Rig, "more than is remembered is forgotten, and found again") {
  for (int i = 0; i < 10'001; ++i) CHECK(match("", "type." + std::to_string(i))->size() == 2);
  const auto again = match("", "type.0");
  CHECK(again->size() == 2);
  CHECK(match("", "type.0") == again);
}

TEST_CASE_FIXTURE(Rig, "an endpoint that moves to another tenant matches there alone") {
  Endpoint moved = first;
  moved.tenant = "acme";
  directory.hear({.endpoint = 1, .now = std::make_shared<const Endpoint>(moved), .version = ++version});
  CHECK(match("", "a")->size() == 1);
  CHECK(match("acme", "a")->size() == 2);
  CHECK(directory.find(first.id)->tenant == "acme");
}

TEST_CASE_FIXTURE(Rig, "a word means an endpoint by its id, by the beginning of its id, or by its name") {
  const auto change = [this](EndpointSeq seq, EndpointId id, const char* name, const char* tenant) {
    Endpoint changed = numbered(seq, tenant);
    changed.id = id;
    changed.name = name;
    directory.hear({.endpoint = seq, .now = std::make_shared<const Endpoint>(changed), .version = ++version});
    return changed.id.to_string();
  };
  const auto meant = [this](std::string_view word) {
    std::vector<EndpointSeq> seqs;
    for (const EndpointPtr& endpoint : directory.meant_by(word)) seqs.push_back(endpoint->seq);
    return seqs;
  };
  using Seqs = std::vector<EndpointSeq>;
  const std::string one = change(1, *EndpointId::parse("ep_0199aaaa000070008000000000000001"), "orders", "");
  change(2, *EndpointId::parse("ep_0199aaab000070008000000000000001"), "bills", "");
  change(3, *EndpointId::parse("ep_0199b000000070008000000000000001"), "orders", "acme");
  CHECK(meant(one) == Seqs{1});
  CHECK(meant("ep_0199aaaa") == Seqs{1});
  CHECK(meant("ep_0199aaa") == Seqs{1, 2});
  CHECK(meant("ep_0199c").empty());
  CHECK(meant("ep_0199AAAA").empty());
  CHECK(meant(one + "0").empty());
  CHECK(meant("bills") == Seqs{2});
  CHECK(meant("orders") == Seqs{1, 3});
  CHECK(meant("").empty());
  change(1, *EndpointId::parse(one), "letters", "");
  CHECK(meant("orders") == Seqs{3});
  CHECK(meant("letters") == Seqs{1});
}

TEST_CASE_FIXTURE(Rig, "the endpoints of a partition are those with its number") {
  PartitionSet second;
  second.set(2);
  REQUIRE(directory.of(second).size() == 1);
  CHECK(directory.of(second)[0]->seq == 2);
  CHECK(directory.all().size() == 3);
}

TEST_CASE_FIXTURE(Rig, "a version is reached when every change up to it was heard, in whatever order") {
  CHECK(directory.hear({.endpoint = 2, .now = nullptr, .version = 10}));
  CHECK(directory.find(2) == nullptr);
  CHECK(directory.match("", "a").version == 7);
  const auto older = std::make_shared<const Endpoint>(numbered(2));
  CHECK_FALSE(directory.hear({.endpoint = 2, .now = older, .version = 8}));  // it was removed since
  CHECK(directory.find(2) == nullptr);
  CHECK(directory.hear({.endpoint = 1, .now = nullptr, .version = 9}));
  CHECK(directory.match("", "a").version == 10);
  CHECK_FALSE(directory.hear({.endpoint = 2, .now = older, .version = 10}));
  CHECK(directory.match("", "a").endpoints->empty());
}
