#include "delivery/delivery_engine.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "store/sqlite/sqlite_store.h"
#include "support/captured_stderr.h"
#include "support/manual_executor.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

// Requests under way are those that the test has not answered yet.
class FakeSender final : public Sender {
 public:
  struct Sent {
    SendRequest request;
    Done done;
  };
  std::vector<Sent> under_way;
  int sent = 0;

  void send(SendRequest request, Done done) override {
    ++sent;
    under_way.push_back({std::move(request), std::move(done)});
  }
  void flush() override {}
  void set_policy(const std::shared_ptr<const AddressPolicy>&) override {}
  void abort(std::int64_t group) override {
    abort_those([group](const Sent& one) { return one.request.group == group; });
  }
  void abort_all() override {
    abort_those([](const Sent&) { return true; });
  }
  // The one that was sent first.
  void answer(int status, Outcome outcome, std::optional<Time> certificate_expires_at = {}) {
    REQUIRE_FALSE(under_way.empty());
    const Sent first = std::move(under_way.front());
    under_way.erase(under_way.begin());
    SendResult result;
    result.outcome = outcome;
    result.status = status;
    result.certificate_expires_at = certificate_expires_at;
    first.done(std::move(result));
  }
  void succeed() { answer(200, Outcome::kSuccess); }

 private:
  template <class Which>
  void abort_those(Which which) {
    const auto rest =
        std::stable_partition(under_way.begin(), under_way.end(), [&](const Sent& s) { return !which(s); });
    std::vector<Sent> aborted(std::make_move_iterator(rest), std::make_move_iterator(under_way.end()));
    under_way.erase(rest, under_way.end());
    SendResult result;
    result.aborted = true;
    for (const Sent& one : aborted) one.done(result);
  }
};

// The same store, of which the engine cannot be sure that it still owns anything.
class DoubtfulStore final : public Store {
 public:
  explicit DoubtfulStore(Store& real) : real_(real) {}
  StoreWriter& writer() override { return real_.writer(); }
  std::unique_ptr<StoreReader> new_reader() override { return real_.new_reader(); }
  Ownership ownership() const override { return real_.ownership(); }
  bool may_send() const override { return is_sure; }
  Facts wait_for_changes(Millis timeout) override { return real_.wait_for_changes(timeout); }
  void interrupt() override { real_.interrupt(); }
  void release(const PartitionSet& partitions) override { real_.release(partitions); }

  bool is_sure = true;

 private:
  Store& real_;
};

PartitionSet partition(Partition one) {
  return PartitionSet().set(static_cast<std::size_t>(one));
}

// An engine over a real store, on one thread; it owns what the test says.
struct Rig {
  TemporaryFolder folder;
  ManualClock clock{kNow};
  UuidGenerator uuids{clock};
  telemetry::Metrics metrics;
  std::unique_ptr<Store> store = open();
  DoubtfulStore doubtful{*store};
  GroupCommit commits{
      store->writer(), store->ownership().token, clock, {}, [](const std::string& what) { FAIL(what); }};
  ManualExecutor executor{clock};
  FakeSender sender;
  std::map<EndpointSeq, EndpointPtr> endpoints;  // as committed
  bool changes_are_late = false;                 // the engine does not hear of them yet
  DeliveryEngine engine{{.executor = executor,
                         .backlog_executor = executor,
                         .sender = sender,
                         .store = doubtful,
                         .commits = commits,
                         .clock = clock,
                         .ids = uuids,
                         .metrics = metrics,
                         .endpoints_of = [this](const PartitionSet& wanted) { return those_of(wanted); }},
                        {}};

  Rig() {
    commits.tell([this](Facts facts) {
      for (const Fact& fact : facts) {
        if (const auto* changed = std::get_if<EndpointChanged>(&fact))
          endpoints[changed->endpoint] = changed->now;
      }
      if (changes_are_late)
        std::erase_if(facts, [](const Fact& fact) { return std::holds_alternative<EndpointChanged>(fact); });
      engine.hear(std::move(facts));
    });
  }
  std::unique_ptr<Store> open() {
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.clock = &clock;
    return open_sqlite_store(options);
  }
  std::vector<EndpointPtr> those_of(const PartitionSet& wanted) {
    std::vector<EndpointPtr> all;
    for (const auto& [seq, endpoint] : endpoints) {
      if (endpoint && wanted.test(static_cast<std::size_t>(partition_of(seq)))) all.push_back(endpoint);
    }
    return all;
  }

  // What the engine has to do now; what it submits is not committed yet.
  void run_engine() {
    do {
      engine.pump();
    } while (executor.step());
  }
  void run() {
    do {
      run_engine();
    } while (commits.step());
  }
  template <class C>
  typename C::Answer commit(C command) {
    std::optional<Result<typename C::Answer>> answer;
    commits.submit(std::move(command),
                   [&](const C&, Result<typename C::Answer> a) { answer = std::move(a); });
    run();
    REQUIRE(answer);
    return answer->value();
  }
  EndpointPtr add_endpoint() { return commit(CreateEndpoint{shared(new_endpoint())}); }
  DeliveryKey accept(const EndpointPtr& endpoint) {
    const NewEvent event = new_event({endpoint->seq});
    commit(accepting({event}));
    return {event.event->seq, endpoint->seq};
  }
  void own(const EndpointPtr& endpoint, Millis ordered_after = {}) {
    engine.own(partition(partition_of(endpoint->seq)), ordered_after);
    run();
  }
  void disown(const EndpointPtr& endpoint, bool abort) {
    engine.disown(partition(partition_of(endpoint->seq)), abort, [this](const PartitionSet&) { ++disowned; });
    run();
  }
  Delivery stored(DeliveryKey key) { return store->new_reader()->delivery(key)->delivery; }

  int disowned = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "an accepted event is sent at once, and what came of it is committed") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  const auto key = accept(endpoint);
  REQUIRE(sender.under_way.size() == 1);
  CHECK(*sender.under_way[0].request.body == R"({"id":42})");
  CHECK(sender.under_way[0].request.group == endpoint->seq);
  sender.succeed();
  run();
  CHECK(stored(key).state == DeliveryState::kDelivered);
  const auto attempts = store->new_reader()->attempts(key);
  REQUIRE(attempts.size() == 1);
  CHECK(attempts[0].status == 200);
  CHECK(sender.sent == 1);
}

TEST_CASE_FIXTURE(
    Rig, "an event that a template makes too large is dead without an attempt, and holds nobody up") {
  Endpoint wanted = new_endpoint();
  std::string text = "[0";
  for (int i = 0; i < 64; ++i) text += ",{{}}";
  wanted.body_template = *BodyTemplate::parse(text + "]");
  wanted.ordering = Ordering::kEndpoint;
  const auto endpoint = commit(CreateEndpoint{shared(std::move(wanted))});
  own(endpoint);
  NewEvent large = new_event({endpoint->seq});
  large.event->payload = '"' + std::string(kMaxTemplatedBody / 64, 'a') + '"';
  large.endpoints[0].ordering = Ordering::kEndpoint;
  commit(accepting({large}));
  NewEvent next = new_event({endpoint->seq});
  next.endpoints[0].ordering = Ordering::kEndpoint;
  commit(accepting({next}));
  const Delivery dead = stored({large.event->seq, endpoint->seq});
  CHECK(dead.state == DeliveryState::kDead);
  CHECK(dead.reason == DeadReason::kTooLarge);
  CHECK(store->new_reader()->attempts(dead.key).empty());
  REQUIRE(sender.under_way.size() == 1);
  sender.succeed();
  run();
  CHECK(stored({next.event->seq, endpoint->seq}).state == DeliveryState::kDelivered);
}

TEST_CASE_FIXTURE(Rig, "the certificate that an endpoint showed is known until its URL is changed") {
  const auto endpoint = add_endpoint();
  const Time expires_at = kNow + 48h;
  const auto known = [&](std::optional<EndpointSeq> only) {
    CertificateExpiries found;
    engine.ask_status(only, [&](const EngineStatus& status) { found = status.certificates; });
    run();
    return found;
  };
  const auto move_to = [&](const std::string& url) {
    Endpoint moved = *endpoints[endpoint->seq];
    const Time before = moved.updated_at;
    moved.url = url;
    moved.updated_at += 1ms;
    commit(UpdateEndpoint{shared(moved), before});
  };
  own(endpoint);
  accept(endpoint);
  accept(endpoint);
  CHECK(known({}).empty());
  sender.answer(500, Outcome::kHttp5xx, expires_at);
  CHECK(known({}) == CertificateExpiries{{endpoint->seq, expires_at}});
  CHECK(known(endpoint->seq).size() == 1);
  CHECK(known(endpoint->seq + 1).empty());
  move_to("https://elsewhere.example/");
  CHECK(known({}).empty());
  sender.answer(200, Outcome::kSuccess, expires_at);  // from where it was
  CHECK(known({}).empty());
  accept(endpoint);
  sender.answer(200, Outcome::kSuccess, expires_at + 1h);
  CHECK(known({}) == CertificateExpiries{{endpoint->seq, expires_at + 1h}});
  disown(endpoint, false);
  CHECK(known({}).empty());
}

TEST_CASE_FIXTURE(Rig, "nothing is sent to endpoints of partitions that are not owned") {
  const auto first = add_endpoint(), second = add_endpoint();
  own(second);
  accept(first);
  CHECK(sender.sent == 0);
  accept(second);
  CHECK(sender.sent == 1);
}

TEST_CASE_FIXTURE(Rig, "who comes to own a partition takes its endpoints, and what waits for them on disk") {
  const auto endpoint = add_endpoint();
  accept(endpoint);
  CHECK(sender.sent == 0);
  own(endpoint);
  CHECK(sender.sent == 1);
}

TEST_CASE_FIXTURE(Rig, "a partition that is given up politely is over when its last outcome is committed") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  const auto key = accept(endpoint);
  disown(endpoint, false);
  accept(endpoint);
  CHECK(sender.sent == 1);
  REQUIRE(sender.under_way.size() == 1);
  sender.succeed();
  run_engine();
  CHECK(disowned == 0);  // the outcome waits for its commit
  run();
  CHECK(disowned == 1);
  CHECK(stored(key).state == DeliveryState::kDelivered);
  CHECK(sender.sent == 1);
}

TEST_CASE_FIXTURE(Rig,
                  "a partition that is given up at once has its requests aborted, and nothing recorded") {
  const auto endpoint = add_endpoint(), other = add_endpoint();
  own(endpoint);
  own(other);
  const auto key = accept(endpoint);
  accept(other);
  REQUIRE(sender.under_way.size() == 2);
  disown(endpoint, true);
  CHECK(disowned == 1);
  REQUIRE(sender.under_way.size() == 1);
  CHECK(sender.under_way[0].request.group == other->seq);
  CHECK(sender.sent == 2);  // the other one was never aborted and sent again
  CHECK(stored(key).state == DeliveryState::kPending);
  CHECK(store->new_reader()->attempts(key).empty());
  own(endpoint);  // it is still there to be sent
  CHECK(sender.under_way.size() == 2);
}

TEST_CASE_FIXTURE(Rig, "a partition with nothing under way is given up at once") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  disown(endpoint, false);
  CHECK(disowned == 1);
}

TEST_CASE_FIXTURE(Rig, "an endpoint that says it is gone is disabled, and gets nothing more") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  accept(endpoint);
  sender.answer(410, Outcome::kHttp4xx);
  run();
  CHECK(endpoints[endpoint->seq]->state == EndpointState::kDisabled);
  accept(endpoint);
  CHECK(sender.sent == 1);
}

TEST_CASE_FIXTURE(Rig, "an endpoint that could not be disabled, for it has been changed, goes on") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  accept(endpoint);
  changes_are_late = true;
  auto changed = *endpoint;
  changed.name = "changed";
  changed.updated_at += 1ms;
  commit(UpdateEndpoint{shared(changed), endpoint->updated_at});
  sender.answer(410, Outcome::kHttp4xx);
  run();
  CHECK(endpoints[endpoint->seq]->state == EndpointState::kActive);
  accept(endpoint);
  CHECK(sender.sent == 2);
}

TEST_CASE_FIXTURE(Rig, "an answer is judged behind what was committed before it was given") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  const auto key = accept(endpoint);
  auto moved = *endpoint;
  moved.url = "https://elsewhere.example/";
  moved.updated_at += 1ms;
  commits.submit(UpdateEndpoint{shared(moved), endpoint->updated_at},
                 [](const UpdateEndpoint&, const Result<EndpointPtr>&) {});
  while (commits.step()) {
  }  // the engine has been told, and has not come to it yet
  sender.answer(410, Outcome::kHttp4xx);
  run();
  CHECK(endpoints[endpoint->seq]->state == EndpointState::kActive);
  CHECK(stored(key).state == DeliveryState::kPending);
  CHECK(stored(key).attempts == 1);
}

TEST_CASE_FIXTURE(Rig, "tests and preflights are no partition's, and go on when all of them are given up") {
  const auto endpoint = add_endpoint();
  engine.own(PartitionSet().set(), Millis(0));
  run();
  accept(endpoint);
  int answered = 0;
  engine.send_test(endpoint, new_event().event, [&](const Attempt& attempt) {
    CHECK(attempt.outcome == Outcome::kSuccess);
    ++answered;
  });
  engine.preflight(parse_endpoint_url(endpoint->url).value(), {},
                   [&](const DeliveryEngine::Preflight& found) {
                     CHECK(found.outcome == Outcome::kSuccess);
                     ++answered;
                   });
  run();
  REQUIRE(sender.under_way.size() == 3);
  engine.disown(PartitionSet().set(), true, [this](const PartitionSet&) { ++disowned; });
  run();
  CHECK(disowned == 1);
  REQUIRE(sender.under_way.size() == 2);
  sender.succeed();
  sender.succeed();
  CHECK(answered == 2);
}

TEST_CASE_FIXTURE(Rig, "a stop waits for what is under way up to its limit, and then aborts it") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  const auto key = accept(endpoint);
  bool stopped = false;
  engine.stop(5s, [&] { stopped = true; });
  run();
  CHECK_FALSE(stopped);
  clock.advance(5s);
  run();
  CHECK(stopped);
  CHECK(stored(key).state == DeliveryState::kPending);
  CHECK(store->new_reader()->attempts(key).empty());
}

TEST_CASE_FIXTURE(Rig,
                  "an endpoint that begins to fail is one line of the log, with its name and the cause") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  for (int i = 0; i < kInitialWindow; ++i) accept(endpoint);
  const auto count = [](const std::string& text, const std::string& part) {
    int found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  const std::string log = captured_stderr([&] {
    while (!sender.under_way.empty()) {
      sender.answer(500, Outcome::kHttp5xx);
      run();
    }
    for (int probe = 0; probe < 3; ++probe) {
      clock.advance(1h);
      run();
      while (!sender.under_way.empty()) {
        sender.answer(500, Outcome::kHttp5xx);
        run();
      }
    }
  });
  CHECK(count(log, "endpoint is failing") == 1);
  CHECK(count(log, endpoint->id.to_string()) == 1);
  CHECK(log.find("http_5xx") != std::string::npos);
}

TEST_CASE_FIXTURE(Rig,
                  "nothing is sent or read while the store does not know whether the partitions are ours") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  accept(endpoint);
  CHECK(sender.sent == 1);
  doubtful.is_sure = false;
  sender.succeed();
  const auto key = accept(endpoint);
  CHECK(sender.sent == 1);
  clock.advance(Millis(1000));
  run();
  CHECK(sender.sent == 1);
  doubtful.is_sure = true;
  clock.advance(Millis(100));  // by itself, without any fact
  run();
  CHECK(sender.sent == 2);
  sender.succeed();
  run();
  CHECK(stored(key).state == DeliveryState::kDelivered);
}

TEST_CASE_FIXTURE(Rig, "requests that a first disown let finish are aborted by a second") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  accept(endpoint);
  disown(endpoint, false);
  CHECK(disowned == 0);
  REQUIRE(sender.under_way.size() == 1);
  disown(endpoint, true);
  CHECK(sender.under_way.empty());
  CHECK(disowned == 2);
}

TEST_CASE_FIXTURE(Rig, "an outcome that the store turned away is let go of when the hint of it comes") {
  const auto endpoint = add_endpoint();
  own(endpoint);
  const auto key = accept(endpoint);
  commits.tell([](const Facts&) {});  // whatever the store says, the engine hears only this:
  sender.succeed();
  disown(endpoint, false);
  CHECK(disowned == 0);
  engine.hear({OutcomeRecorded{.key = key}});
  run();
  CHECK(disowned == 1);
}
