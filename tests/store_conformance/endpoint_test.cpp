#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

Endpoint full_endpoint() {
  Endpoint e = new_endpoint("acme");
  e.name = "orders";
  e.types = {"order.*", "invoice.paid"};
  e.secrets = {{"whsec_new", kNow, std::nullopt}, {"whsec_old", kNow - kDay, kNow + kDay}};
  e.headers = {{"authorization", "Bearer x"}};
  e.format = PayloadFormat::kStandard;
  e.timeout = Millis(3000);
  e.retry_schedule = std::vector<Millis>{Millis(0), Millis(5000)};
  e.max_in_flight = 4;
  e.rate_limit = RateLimit{100, std::chrono::minutes(1)};
  e.ordering = Ordering::kKey;
  e.on_failure_in_order = OnFailureInOrder::kSkip;
  e.state = EndpointState::kPaused;
  e.filter = *PayloadFilter::parse(R"({"/amount": {"gte": 1.10}, "/vip": true})", "");
  e.tls = {"/etc/outboxd/ca.pem", "credential:cert", "credential:key"};
  e.metadata = R"({"team":"billing"})";
  return e;
}

// One whose requests have every shape that goes together.
Endpoint shaped_endpoint() {
  Endpoint e = full_endpoint();
  e.name = "shaped";
  e.format = PayloadFormat::kRaw;
  e.body_template = *BodyTemplate::parse(R"( {"text": "{{/a}}", "all": {{}} } )");
  e.content_type = "application/vnd.shop+json; v=1";
  e.auth = EndpointAuth{AuthScheme::kBasic, "shop", "p\xC3\xA4ss:word"};
  LegacySignature github = github_signature(), stripe = stripe_signature(), hmac;
  github.secret = "one";
  stripe.secret = "two";
  hmac = {.scheme = SignatureScheme::kHmac,
          .secret = "three",
          .header = "X-Shop",
          .algorithm = SignatureDigest::kSha512,
          .encoding = SignatureEncoding::kBase64,
          .prefix = "v0=",
          .over = SignatureOver::kIdTimestampBody};
  e.signatures = {github, stripe, hmac};
  e.disable_after.reset();
  return e;
}

void check_same(const Endpoint& a, const Endpoint& b) {
  CHECK(a.id == b.id);
  CHECK(a.url == b.url);
  CHECK(a.name == b.name);
  CHECK(a.tenant == b.tenant);
  CHECK(a.types == b.types);
  CHECK(a.secrets == b.secrets);
  CHECK(a.headers == b.headers);
  CHECK(a.auth == b.auth);
  CHECK(a.signatures == b.signatures);
  CHECK(a.body_template == b.body_template);
  CHECK(a.content_type == b.content_type);
  CHECK(a.disable_after == b.disable_after);
  CHECK(a.format == b.format);
  CHECK(a.timeout == b.timeout);
  CHECK(a.retry_schedule == b.retry_schedule);
  CHECK(a.max_in_flight == b.max_in_flight);
  CHECK(a.rate_limit == b.rate_limit);
  CHECK(a.ordering == b.ordering);
  CHECK(a.on_failure_in_order == b.on_failure_in_order);
  CHECK(a.failing_since == b.failing_since);
  CHECK(a.state == b.state);
  CHECK(a.disabled_reason == b.disabled_reason);
  CHECK(a.filter == b.filter);
  CHECK(a.tls == b.tls);
  CHECK(a.metadata == b.metadata);
  CHECK(a.created_at == b.created_at);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an endpoint comes back as it was given, after a restart too") {
  const Endpoint given = full_endpoint();
  const Endpoint made = create(given);
  CHECK(made.seq == 1);
  const Endpoint plain = create();
  const Endpoint shaped = create(shaped_endpoint());
  reopen();
  check_same(*reader->endpoint(given.id), given);
  check_same(*reader->endpoint(plain.id), plain);
  check_same(*reader->endpoint(shaped.id), shaped);
  CHECK(reader->all_endpoints().endpoints.size() == 3);
  CHECK(create().seq == 4);
}

TEST_CASE_FIXTURE(Fixture, "an update replaces everything but the identity and the state") {
  const Endpoint made = create(shaped_endpoint());
  Endpoint changed = new_endpoint();
  changed.id = made.id;
  changed.url = "https://example.org/new";
  changed.state = EndpointState::kActive;
  changed.updated_at = kNow + Millis(1000);
  const auto answer = update(changed, made.updated_at);
  REQUIRE(answer);
  const auto stored = reader->endpoint(made.id);
  CHECK(stored->seq == made.seq);
  CHECK(stored->url == changed.url);
  CHECK(stored->tenant.empty());
  CHECK_FALSE(stored->timeout);
  CHECK_FALSE(stored->retry_schedule);
  CHECK_FALSE(stored->rate_limit);
  CHECK(stored->ordering == Ordering::kNone);
  CHECK(stored->on_failure_in_order == OnFailureInOrder::kBlock);
  CHECK(stored->secrets.empty());
  CHECK_FALSE(stored->auth);
  CHECK(stored->signatures.empty());
  CHECK_FALSE(stored->body_template);
  CHECK_FALSE(stored->content_type);
  CHECK(stored->disable_after == kDefaultDisableAfter);
  CHECK(stored->state == EndpointState::kPaused);
  CHECK(stored->updated_at == kNow + Millis(1000));
  check_same(**answer, *stored);
}

TEST_CASE_FIXTURE(Fixture, "credentials and signatures are changed one without the other") {
  Endpoint e = create(shaped_endpoint());
  for (int step = 0; step < 3; ++step) {
    const Time base = e.updated_at;
    e.updated_at += Millis(1);
    if (step == 0) e.signatures.erase(e.signatures.begin());
    if (step == 1) e.auth = EndpointAuth{AuthScheme::kBearer, "", "token"};
    if (step == 2) e.secrets.clear();
    REQUIRE(update(e, base));
    reopen();
    check_same(*reader->endpoint(e.id), e);
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "of two updates of the same version the second is refused, within one millisecond too") {
  const Endpoint made = create();
  REQUIRE(update(made, made.updated_at));
  const auto second = update(made, made.updated_at);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ProblemCode::kConflict);
  CHECK(update(new_endpoint(), kNow).error().code == ProblemCode::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "a name is one endpoint's in its tenant, as long as that is there") {
  const auto named = [](const char* name, const char* tenant) {
    Endpoint e = new_endpoint(tenant);
    e.name = name;
    return e;
  };
  const auto try_to_create = [this](const Endpoint& e) {
    return apply(CreateEndpoint{std::make_shared<const Endpoint>(e)});
  };
  const Endpoint first = create(named("orders", ""));
  const auto second = try_to_create(named("orders", ""));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ProblemCode::kConflict);
  CHECK(second.error().errors.at(0).pointer == "/name");
  CHECK(second.error().detail.find(first.id.to_string()) != std::string::npos);
  CHECK(try_to_create(named("orders", "acme")));
  CHECK(try_to_create(named("", "")));
  CHECK(try_to_create(named("", "")));

  Endpoint other = create(named("bills", ""));
  const Time before = other.updated_at;
  other.name = "orders";
  CHECK(update(other, before).error().code == ProblemCode::kConflict);
  CHECK(reader->endpoint(other.id)->name == "bills");
  Endpoint same = first;
  same.url = "https://example.org/elsewhere";
  CHECK(update(same, first.updated_at));
  apply(RemoveEndpoint{first.id, kNow});
  CHECK(update(other, before));
}

TEST_CASE_FIXTURE(Fixture, "a state is set and answered with the whole endpoint") {
  const Endpoint made = create();
  auto answer = apply(SetEndpointState{made.id, kNow + Millis(5), EndpointState::kDisabled, "gone"});
  CHECK((*answer)->state == EndpointState::kDisabled);
  CHECK((*answer)->seq == made.seq);
  CHECK(reader->endpoint(made.id)->disabled_reason == "gone");
  CHECK(reader->endpoint(made.id)->updated_at > made.updated_at);
  apply(SetEndpointState{made.id, kNow, EndpointState::kActive, ""});
  CHECK(reader->endpoint(made.id)->state == EndpointState::kActive);
  CHECK(reader->endpoint(made.id)->disabled_reason.empty());
  CHECK(apply(SetEndpointState{EndpointId{ids().next()}, kNow, EndpointState::kActive, ""}).error().code ==
        ProblemCode::kNotFound);
}

TEST_CASE_FIXTURE(Fixture,
                  "since when an endpoint fails is kept over changes and restarts, until it is set active") {
  const Endpoint made = create();
  const Time since = kNow - kDay;
  apply(failing_since(made.seq, since));
  reopen();
  CHECK(reader->endpoint(made.id)->failing_since == since);
  CHECK(reader->endpoint(made.id)->updated_at == made.updated_at);  // no version of its own
  CHECK((*update(made, made.updated_at))->failing_since == since);
  CHECK((*apply(SetEndpointState{made.id, kNow, EndpointState::kDisabled, "failing"}))->failing_since ==
        since);
  CHECK_FALSE((*apply(SetEndpointState{made.id, kNow, EndpointState::kActive, ""}))->failing_since);
  CHECK_FALSE(reader->endpoint(made.id)->failing_since);
  apply(failing_since(made.seq, since));
  apply(failing_since(made.seq, std::nullopt));
  CHECK_FALSE(reader->endpoint(made.id)->failing_since);
}

TEST_CASE_FIXTURE(Fixture, "another receiver has not failed yet") {
  Endpoint made = create();
  apply(failing_since(made.seq, kNow - kDay));
  made.name = "another name";
  made = **update(made, made.updated_at);
  CHECK(made.failing_since);
  made.url = "https://example.com/moved";
  CHECK_FALSE((*update(made, made.updated_at))->failing_since);
  CHECK_FALSE(reader->endpoint(made.id)->failing_since);
}

TEST_CASE_FIXTURE(Fixture, "what one version of an endpoint is disabled for does not disable the next") {
  const Endpoint made = create();
  Endpoint moved = made;
  moved.url = "https://example.com/moved";
  moved = **update(moved, made.updated_at);
  DisableEndpoint disable{made.id, kNow, made.updated_at, "gone"};
  const auto refused = apply(disable);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ProblemCode::kConflict);
  CHECK(reader->endpoint(made.id)->state == EndpointState::kActive);
  disable.if_updated_at = moved.updated_at;
  CHECK(apply(disable));
  CHECK(reader->endpoint(made.id)->state == EndpointState::kDisabled);
}

TEST_CASE_FIXTURE(Fixture, "an endpoint that is removed or was never there does not begin to fail") {
  const Endpoint gone = create();
  apply(RemoveEndpoint{gone.id, kNow});
  CHECK(apply(failing_since(gone.seq, kNow)));
  CHECK(apply(failing_since(77, kNow)));
}

TEST_CASE_FIXTURE(Fixture, "a removed endpoint is found nowhere, and its deliveries stay readable") {
  const Endpoint made = create();
  const EventSeq event = accept_one(new_event({made.seq}));
  const auto removed = apply(RemoveEndpoint{made.id, kNow});
  check_same(**removed, made);
  CHECK_FALSE(reader->endpoint(made.id));
  CHECK(reader->all_endpoints().endpoints.empty());
  CHECK(reader->endpoints(std::nullopt, {})->rows.empty());
  CHECK(reader->due(made.seq, 10, 1000).deliveries.empty());
  CHECK(reader->delivery({event, made.seq})->endpoint == made.id);
  CHECK(apply(RemoveEndpoint{made.id, kNow}).error().code == ProblemCode::kNotFound);
  CHECK(update(made, made.updated_at).error().code == ProblemCode::kNotFound);
}

TEST_CASE_FIXTURE(Fixture,
                  "pending deliveries of removed endpoints are discarded in steps, across restarts") {
  const Endpoint gone = create(), stays = create();
  std::vector<EventSeq> events;
  for (int i = 0; i < 5; ++i) events.push_back(accept_one(new_event({gone.seq, stays.seq})));
  apply(delivered({events[0], gone.seq}, 1));
  apply(RemoveEndpoint{gone.id, kNow});
  CHECK(apply(DiscardRemoved{.limit = 3, .at = kNow})->deliveries == 3);
  reopen();
  CHECK(apply(DiscardRemoved{.limit = 3, .at = kNow})->deliveries == 1);
  CHECK(apply(DiscardRemoved{.limit = 3, .at = kNow})->deliveries == 0);
  CHECK(delivery({events[0], gone.seq}).state == DeliveryState::kDelivered);
  CHECK(delivery({events[1], gone.seq}).state == DeliveryState::kDiscarded);
  CHECK(delivery({events[1], gone.seq}).finished_at == kNow);
  CHECK(delivery({events[1], stays.seq}).state == DeliveryState::kPending);
  CHECK(reader->status().discarded == 4);
  CHECK(reader->status().pending == 5);
}

TEST_CASE_FIXTURE(Fixture, "endpoints are listed oldest first, by tenant, page by page") {
  std::vector<EndpointId> of_acme;
  for (int i = 0; i < 5; ++i) {
    of_acme.push_back(create(new_endpoint("acme")).id);
    create(new_endpoint("other"));
  }
  std::vector<EndpointId> seen;
  Page page{2, ""};
  int pages = 0;
  while (true) {
    const auto rows = reader->endpoints("acme", page);
    REQUIRE(rows);
    for (const auto& e : rows->rows) seen.push_back(e.id);
    ++pages;
    if (!rows->next) break;
    page.after = *rows->next;
  }
  CHECK(seen == of_acme);
  CHECK(pages == 3);
  CHECK(reader->endpoints(std::nullopt, {50, ""})->rows.size() == 10);
}
