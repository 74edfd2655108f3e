// What an event allocates on its way from the bytes of a POST to the outcome on disk, alone, through the real pieces on
// one thread. The numbers below only go down: whoever saves one lowers its number, and one more fails.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "allocations/counted.h"
#include "api/request_reader.h"
#include "common/signature.h"
#include "delivery/delivery_engine.h"
#include "ingest/endpoint_directory.h"
#include "ingest/event_parser.h"
#include "ingest/ingest.h"
#include "outbound/http_sender.h"
#include "runtime/event_loop.h"
#include "store/sqlite/sqlite_store.h"
#include "support/raw_receiver.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Costs {
  Allocations accept;  // from the bytes of the request to the command
  Allocations commit;  // of the event, until everybody has heard of it
  Allocations send;    // until the outcome is submitted
  Allocations record;  // of the outcome
};

std::string post_of(std::size_t payload_bytes) {
  const std::string body =
      R"({"type":"order.paid","payload":{"text":")" + std::string(payload_bytes, 'x') + R"("}})";
  return "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::shared_ptr<const AddressPolicy> loopback_allowed() {
  AddressPolicy::Options options;
  options.allow_http = true;
  options.ports = {};
  options.allow_networks = {*Network::parse("127.0.0.0/8")};
  return std::make_shared<const AddressPolicy>(std::move(options));
}

// One event after another: the next is accepted when the outcome of the last is recorded.
class Path {
 public:
  explicit Path(PayloadFormat format = PayloadFormat::kRaw) {
    commits_.tell([this](Facts facts) { hear(std::move(facts)); });
    Endpoint endpoint = new_endpoint();
    endpoint.url = receiver_.url();
    endpoint.format = format;
    endpoint.secrets = {{SigningKey::generate(), kNow, {}}};
    endpoint.headers = {{"x-shop", "of a name that does not fit into a string itself"}};
    commits_.submit(CreateEndpoint{shared(std::move(endpoint))},
                    [](const CreateEndpoint&, const Result<EndpointPtr>& made) { REQUIRE(made); });
    commits_.step();
    engine_.own(PartitionSet().set(), Millis(0));
  }
  ~Path() { sender_.abort_all(); }
  Path(const Path&) = delete;

  std::vector<Costs> send(const std::string& post, std::size_t events) {
    post_ = post;
    costs_.reserve(events);
    left_ = events;
    accept();
    loop_.after_each_round([this] { after_round(); });
    loop_.call_at(loop_.now() + std::chrono::minutes(1), [this] { loop_.stop(); });
    loop_.run();
    CHECK(left_ == 0);
    CHECK(receiver_.connections() == 1);
    return std::move(costs_);
  }

 private:
  void hear(Facts facts) {
    for (const Fact& fact : facts) {
      if (const auto* changed = std::get_if<EndpointChanged>(&fact)) directory_.hear(*changed);
      if (const auto* outcome = std::get_if<OutcomeRecorded>(&fact))
        recorded_ = outcome->now.state == DeliveryState::kDelivered;
    }
    engine_.hear(std::move(facts));
  }

  void accept() {
    const Allocations before = allocations_so_far();
    CHECK(reader_.feed(post_) == post_.size());
    const api::RequestReader::Complete request = reader_.take();
    auto drafts = parse_events(EventBody::kJson, request.body, std::nullopt, ingest_.limits(), clock_.wall());
    ingest_.accept(std::move(drafts.value()), [](const auto& accepted) { CHECK(accepted); });
    costs_.push_back({.accept = allocations_so_far() - before, .commit = {}, .send = {}, .record = {}});
    sending_since_.reset();
  }

  void after_round() {
    engine_.pump();
    if (commits_.queued() == 0) return;
    Costs& costs = costs_.back();
    const Allocations before = allocations_so_far();
    if (sending_since_) costs.send = before - *sending_since_;
    commits_.step();
    const Allocations after = allocations_so_far();
    (sending_since_ ? costs.record : costs.commit) = after - before;
    sending_since_ = after;
    if (!std::exchange(recorded_, false)) return;
    if (--left_ == 0) return loop_.stop();
    accept();
  }

  TemporaryFolder folder_;
  RawReceiver receiver_{behaviour::answer()};
  SystemClock clock_;
  UuidGenerator ids_{clock_};
  telemetry::Metrics metrics_;
  std::unique_ptr<Store> store_ = open_sqlite_store({.path = folder_ / "outbox.db"});
  GroupCommit commits_{
      store_->writer(), store_->ownership().token, clock_, {}, [](const std::string& what) { FAIL(what); }};
  EndpointDirectory directory_;
  Ingest ingest_{commits_, directory_, clock_, ids_, metrics_, {}};
  EventLoop loop_;
  HttpSender sender_{loop_, loopback_allowed(), {}};
  DeliveryEngine engine_{
      {.executor = loop_,
       .backlog_executor = loop_,
       .sender = sender_,
       .store = *store_,
       .commits = commits_,
       .clock = clock_,
       .ids = ids_,
       .metrics = metrics_,
       .endpoints_of = [this](const PartitionSet& partitions) { return directory_.of(partitions); }},
      {}};
  api::HeadLimits limits_;
  api::RequestReader reader_{limits_};
  std::string post_;
  std::vector<Costs> costs_;
  std::size_t left_ = 0;
  bool recorded_ = false;                     // the outcome of the event, just now
  std::optional<Allocations> sending_since_;  // set once the event is committed
};

// The median, because now and then memory that is kept grows, or a timer has something to do.
Allocations usual(std::vector<Costs> costs, Allocations Costs::*part) {
  const auto middle = costs.begin() + static_cast<std::ptrdiff_t>(costs.size() / 2);
  std::ranges::nth_element(costs, middle, {}, [part](const Costs& one) {
    return std::pair((one.*part).count, (one.*part).large);
  });
  return (*middle).*part;
}

constexpr std::size_t kEvents = 101;

}  // namespace

TEST_CASE("an event allocates no more than it did, each step of its way") {
  const std::vector<Costs> costs = Path().send(post_of(100), kEvents);
  REQUIRE(costs.size() == kEvents);
  // Of the request: its headers (two), the body. Of the event: its content type, its payload, the draft; the command's
  // list, the event as it stays, its endpoints. What is to happen after the commit (two).
  CHECK(usual(costs, &Costs::accept).count <= 11);
  // Of the commit: the batch, its commands, the token, refusals, facts, answers, the changes of the endpoint's counts. Of
  // the event: what to do with it, the answer, its headers, what is hashed for the checksum, the digest.
  CHECK(usual(costs, &Costs::commit).count <= 12);
  // Its places in the lane (two), the decision. Of the request: the id, the headers, the signature (two), what is to
  // happen after it, the transfer, its addresses; that the sender begins. The response's headers. Of the attempt: itself,
  // its request line, what it was about.
  CHECK(usual(costs, &Costs::send).count <= 15);
  // Of the commit, as above. Of the outcome: the response's headers (two).
  CHECK(usual(costs, &Costs::record).count <= 9);
  CHECK(usual(costs, &Costs::send).count > 0);  // they are counted
}

TEST_CASE("a payload is copied once, from the body of its request to the event") {
  const std::vector<Costs> costs = Path().send(post_of(kLargeAllocation), kEvents);
  CHECK(usual(costs, &Costs::accept).large == 2);  // the body, and the event's payload
  CHECK(usual(costs, &Costs::commit).large == 0);
  CHECK(usual(costs, &Costs::send).large == 0);
  CHECK(usual(costs, &Costs::record).large == 0);
}

TEST_CASE("an envelope takes one more copy of the payload, as a whole") {
  for (const PayloadFormat format : {PayloadFormat::kStandard, PayloadFormat::kCloudEvents}) {
    const std::vector<Costs> costs = Path(format).send(post_of(kLargeAllocation), kEvents);
    CHECK(usual(costs, &Costs::send).large == 1);
  }
}
