#include "ingest/endpoint_directory.h"

#include <doctest/doctest.h>

#include <future>

#include "store/fake_writer.h"
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
  FakeWriter writer;
  GroupCommit commits{writer, {}, [](const std::string& what) { FAIL(what); }};
  EndpointDirectory directory{commits};
  Endpoint first = numbered(1);
  std::vector<EndpointPtr> told;

  Rig() {
    directory.load({first, numbered(2), numbered(3, "acme")});
    directory.subscribe([this](EndpointSeq, EndpointPtr endpoint) { told.push_back(std::move(endpoint)); });
    commits.start();
  }
  ~Rig() { commits.drain(); }

  Result<EndpointPtr> disable() {
    std::promise<Result<EndpointPtr>> done;
    directory.disable(first, "gone", kNow,
                      [&](Result<EndpointPtr> result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  }
  void remove(const Endpoint& endpoint) {
    writer.on_apply = [seq = endpoint.seq](std::span<Write*> batch) {
      std::get<RemoveEndpoint>(batch[0]->command).seq = seq;
    };
    std::promise<void> done;
    directory.remove(endpoint.id, kNow, [&](const auto&) { done.set_value(); });
    done.get_future().get();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "what matches is found once and remembered, until any endpoint changes") {
  const auto both = directory.match("", "a");
  CHECK(both->size() == 2);
  CHECK(directory.match("", "a") == both);
  CHECK(directory.match("acme", "a")->size() == 1);
  CHECK(directory.match("nobody", "a")->empty());
  remove(first);
  CHECK(directory.match("", "a")->size() == 1);
  CHECK(both->size() == 2);
}

TEST_CASE_FIXTURE(Rig, "a change does not take down what was remembered: that is for who asks again") {
  const std::weak_ptr<const std::vector<EndpointPtr>> remembered = directory.match("", "a");
  CHECK_FALSE(remembered.expired());
  remove(first);
  CHECK_FALSE(remembered.expired());
  directory.match("", "a");
  CHECK(remembered.expired());
}

TEST_CASE_FIXTURE(Rig, "more than is remembered is forgotten, and found again") {
  for (int i = 0; i < 10'001; ++i) CHECK(directory.match("", "type." + std::to_string(i))->size() == 2);
  const auto again = directory.match("", "type.0");
  CHECK(again->size() == 2);
  CHECK(directory.match("", "type.0") == again);
}

TEST_CASE_FIXTURE(Rig, "an endpoint is disabled when that is committed") {
  writer.on_apply = [this](std::span<Write*> batch) {
    auto& command = std::get<DisableEndpoint>(batch[0]->command);
    CHECK(command.reason == "gone");
    command.endpoint = first;
    command.endpoint.state = EndpointState::kDisabled;
  };
  CHECK(disable().value()->state == EndpointState::kDisabled);
  CHECK(directory.find(first.id)->state == EndpointState::kDisabled);
  REQUIRE(told.size() == 1);
  CHECK(told[0]->state == EndpointState::kDisabled);
}

TEST_CASE_FIXTURE(
    Rig, "one that could not be disabled is told of as it stays: nobody goes on believing otherwise") {
  writer.on_apply = [](std::span<Write*> batch) {
    batch[0]->refused = Problem{ProblemCode::kInternal, "a rule of the schema"};
  };
  CHECK_FALSE(disable().has_value());
  CHECK(directory.find(first.id)->state == EndpointState::kActive);
  REQUIRE(told.size() == 1);
  CHECK(told[0]->state == EndpointState::kActive);
}
