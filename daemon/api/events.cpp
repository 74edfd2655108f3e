#include "api/routes.h"

#include <algorithm>

#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/outbox_rows.h"
#include "api/query.h"
#include "api/waiting.h"
#include "common/cloud_event.h"
#include "common/json_span.h"
#include "common/text.h"
#include "common/words.h"
#include "ingest/event_rules.h"
#include "ingest/matching.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr int kShownDeliveries = 250;  // of one event; the rest by GET /v1/deliveries?event=
constexpr bool kQuick = true;          // see Route
// Answers to more events than this are rendered by a worker: the API's loop would take too long (0.5 us an event).
constexpr std::size_t kMaxRenderedOnLoop = 100;

constexpr std::size_t kAcceptedBytes = 130;  // at most, of one accepted event in an answer

// Written by hand, not through Json: this is the answer to every event, and none of its values needs an
// escape.
void append_accepted(std::string& text, const AcceptedEvent& accepted) {
  text.append(R"({"id":")").append(accepted.id.to_string());
  text.append(R"(","created_at":")").append(format_time(accepted.created_at));
  text.append(R"(","deliveries":)").append(std::to_string(accepted.deliveries));
  text.append(accepted.duplicate ? R"(,"duplicate":true})" : R"(,"duplicate":false})");
}

Answer accepted_one(const AcceptedEvent& accepted) {
  std::string text;
  text.reserve(kAcceptedBytes);
  append_accepted(text, accepted);
  return json_answer(accepted.duplicate ? 200 : 202, std::move(text));
}

Answer accepted_batch(const std::vector<AcceptedEvent>& accepted) {
  std::string text = R"({"data":[)";
  text.reserve(accepted.size() * kAcceptedBytes + 16);
  for (const auto& event : accepted) {
    if (&event != &accepted.front()) text += ',';
    append_accepted(text, event);
  }
  text += "]}";
  return json_answer(202, std::move(text));
}

// Where a body of this kind has what an error is about: pointers, or a header's name.
struct FieldsOf {
  std::string_view idempotency_key, tenant;
};
FieldsOf fields_of(EventBody kind) {
  switch (kind) {
    case EventBody::kBinaryCloudEvent:
      return {"ce-id", "ce-outboxdtenant"};
    case EventBody::kCloudEvent:
    case EventBody::kCloudEventBatch:
      return {"/id", "/outboxdtenant"};
    default:
      return {"/idempotency_key", "/tenant"};
  }
}

bool is_batch(EventBody kind, std::string_view body) {
  return kind == EventBody::kNdjson || kind == EventBody::kCloudEventBatch ||
         (kind == EventBody::kJson && JsonScanner(body).peek() == '[');
}

// The store refers to events by their place in the command; callers know the fields of their body.
Problem in_terms_of_body(Problem refused, EventBody kind, bool batch) {
  if (refused.code != ProblemCode::kIdempotencyConflict) return refused;
  for (auto& error : refused.errors)
    error.pointer = (batch ? error.pointer : "") + std::string(fields_of(kind).idempotency_key);
  return refused;
}

// A CloudEvents media type comes before `ce-` headers, which a structured event may have too (HTTP binding, 3.2.3).
Result<EventBody> body_kind(const Request& request) {
  const bool structured =
      ascii_lower(request.header("content-type").value_or("")).starts_with("application/cloudevents");
  const auto is_attribute = [](const HeaderField& h) { return is_cloud_event_header(h.name); };
  if (!structured && std::ranges::any_of(request.headers, is_attribute)) return EventBody::kBinaryCloudEvent;
  const auto type = media_type(request);
  if (!type) return tl::unexpected(type.error());
  if (*type == "application/json") return EventBody::kJson;
  if (*type == "application/x-ndjson") return EventBody::kNdjson;
  if (*type == "application/cloudevents+json") return EventBody::kCloudEvent;
  if (*type == "application/cloudevents-batch+json") return EventBody::kCloudEventBatch;
  return problem(
      ProblemCode::kUnsupportedMediaType,
      "the Content-Type must be application/json, application/x-ndjson, application/cloudevents+json or "
      "application/cloudevents-batch+json, or the headers of a CloudEvent (ce-id and others) must be there; "
      "got " +
          in_quotes(*type));
}

Result<std::vector<EventDraft>> read_drafts(const Request& request, EventBody kind, const EventLimits& limits,
                                            Time now) {
  const bool binary = kind == EventBody::kBinaryCloudEvent;
  if (request.body.empty() && !binary)
    return problem(ProblemCode::kMalformed, "the body is empty: an event is expected");
  std::optional<std::string> key;
  if (const auto header = request.header("idempotency-key")) key = *header;
  auto drafts = binary ? parse_binary_cloud_event(request.headers, request.body, key, limits)
                       : parse_events(kind, request.body, key, limits, now);
  const auto traceparent = request.header("traceparent");
  if (!drafts || !traceparent || !is_traceparent(*traceparent)) return drafts;
  for (auto& draft : *drafts) draft.event.traceparent = *traceparent;
  return drafts;
}

// A caller of one tenant sends that tenant's events, which need not name it.
std::optional<Problem> give_tenant(const Request& request, std::vector<EventDraft>& drafts, EventBody kind,
                                   bool batch) {
  if (!request.tenant) return std::nullopt;
  if (*request.tenant == kOpsTenant)
    return Problem{ProblemCode::kForbidden, "events of tenant _ops are made by outboxd itself"};
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    std::string& tenant = drafts[i].event.tenant;
    if (tenant.empty()) tenant = *request.tenant;
    if (!request.may_see(tenant))
      return other_tenant(request, tenant,
                          (batch ? '/' + std::to_string(i) : "") + std::string(fields_of(kind).tenant));
  }
  return std::nullopt;
}

struct ParsedEvents {
  std::vector<EventDraft> drafts;
  EventBody kind = EventBody::kJson;
  bool batch = false;
};

Result<Answer> accepted_answer(const Result<std::vector<AcceptedEvent>>& accepted, EventBody kind,
                               bool batch) {
  if (!accepted) return tl::unexpected(in_terms_of_body(accepted.error(), kind, batch));
  return batch ? accepted_batch(*accepted) : accepted_one(accepted->front());
}

void commit_events(Context& context, const ExchangePtr& exchange, ParsedEvents events) {
  const auto count = events.drafts.size();
  context.ingest.accept(std::move(events.drafts), [exchange, count, kind = events.kind, batch = events.batch](
                                                      Result<std::vector<AcceptedEvent>> result) {
    auto make = [accepted = std::move(result), kind, batch](const Request&) {
      return accepted_answer(accepted, kind, batch);
    };
    if (count <= kMaxRenderedOnLoop) return exchange->respond_with(std::move(make));
    exchange->resume([make = std::move(make)](const ExchangePtr& resumed) {
      guarded(resumed, [&] { resumed->respond(make(resumed->request())); });
    });
  });
}

// Called on the API's loop for small bodies. Batches go on from there to a worker, and so does an event for which more
// must be done than to look up what the directory remembers: many endpoints or filters want to see it, or its type is
// new. Nothing else here depends on the thread: parsing is pure, and what is shared (directory, ingest, group commit,
// metrics) is thread safe, under locks that are held for moments.
void accept_events(Context& context, const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  const auto refuse = [&](const Problem& refused) {
    context.metrics.events_rejected(kind_of(refused.code).slug, 1);
    exchange->respond(refused);
  };
  const auto kind = body_kind(request);
  if (!kind) return refuse(kind.error());
  const bool batch = is_batch(*kind, request.body);
  if (batch && exchange->on_loop()) {
    return exchange->resume([&context](const ExchangePtr& resumed) {
      guarded(resumed, [&] { accept_events(context, resumed); });
    });
  }
  auto drafts = read_drafts(request, *kind, context.ingest.limits(), context.clock.wall());
  if (!drafts) return refuse(drafts.error());
  if (const auto refused = give_tenant(request, *drafts, *kind, batch)) return refuse(*refused);
  ParsedEvents events{std::move(*drafts), *kind, batch};
  if (!exchange->on_loop() || context.ingest.matches_quickly(events.drafts.front().event))
    return commit_events(context, exchange, std::move(events));
  exchange->resume(
      [&context, events = std::make_shared<ParsedEvents>(std::move(events))](const ExchangePtr& resumed) {
        guarded(resumed, [&] { commit_events(context, resumed, std::move(*events)); });
      });
}

Json json_of_row(const EventRow& row) {
  Json json = to_json(row.event);
  json["payload_bytes"] = row.payload_bytes;
  json["payload_erased_at"] =
      row.payload_erased_at ? Json(format_time(*row.payload_erased_at)) : Json(nullptr);
  json["deliveries"] = row.deliveries;
  return json;
}

// What it keeps of the CloudEvent that it came as.
Json attributes_of(const Event& event) {
  Json attributes = Json::parse(event.cloud_event.value_or("null"), nullptr, false);
  return attributes.is_object() ? attributes : Json(nullptr);  // the row may have been damaged
}

Result<Answer> list_rejected(Context& context, Query& query) {
  for (const auto* name : {"tenant", "type", "since", "until", "unmatched"}) {
    if (query.has(name)) query.refuse(name, "does not go with rejected=true");
  }
  if (query.request().tenant) {
    return problem(ProblemCode::kForbidden,
                   "rejected rows belong to no tenant yet: to see them needs a token without a tenant");
  }
  const Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto rows = context.readers.lend()->rejected_outbox(page);
  if (!rows) return tl::unexpected(rows.error());
  Json data = Json::array();
  for (const auto& row : rows->rows) data.push_back(json_of_rejected(row));
  return list_answer(std::move(data), rows->next);
}

Result<Answer> list_events(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  if (query.flag("rejected")) return list_rejected(context, query);
  const EventFilter filter{.tenant = query.tenant(),
                           .type = query.text("type"),
                           .since = query.time("since"),
                           .until = query.time("until"),
                           .unmatched = query.flag("unmatched")};
  const Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto rows = context.readers.lend()->events(filter, page);
  if (!rows) return tl::unexpected(rows.error());
  Json data = Json::array();
  for (const auto& row : rows->rows) data.push_back(json_of_row(row));
  return list_answer(std::move(data), rows->next);
}

Result<EventRow> find_event(Context& context, const Request& request, bool with_payload) {
  const auto id = path_id<EventId>(request, "event");
  if (!id) return tl::unexpected(id.error());
  auto row = context.readers.lend()->event(*id, with_payload);
  if (!row || !request.may_see(row->event.tenant)) return not_found("event", id->to_string());
  return std::move(*row);
}

Result<Answer> event_with_deliveries(Context& context, const EventRow& row, const Lanes& lanes) {
  DeliveryFilter of_event;
  of_event.event = row.event.id;
  const auto deliveries = context.readers.lend()->deliveries(of_event, Page{kShownDeliveries, ""});
  if (!deliveries) return tl::unexpected(deliveries.error());
  Json json = json_of_row(row);
  json["cloud_event"] = attributes_of(row.event);
  json["deliveries"] = Json::array();
  for (const auto& d : deliveries->rows) json["deliveries"].push_back(json_of_row(context, d, lanes));
  json["deliveries_next_cursor"] = deliveries->next ? Json(*deliveries->next) : Json(nullptr);
  return json_answer(200, json);
}

void show_event(Context& context, const ExchangePtr& exchange) {
  auto found = find_event(context, exchange->request(), false);
  if (!found) return exchange->respond(found.error());
  with_lanes(context, exchange, {},
             [&context, row = std::move(*found)](const ExchangePtr& resumed, const Lanes& lanes) {
               resumed->respond(event_with_deliveries(context, row, lanes));
             });
}

Result<Answer> show_payload(Context& context, const Request& request) {
  if (const auto shown = check_payload_shown(context, request); !shown) return tl::unexpected(shown.error());
  auto row = find_event(context, request, true);
  if (!row) return tl::unexpected(row.error());
  if (row->payload_erased_at) {
    return problem(ProblemCode::kNotFound, "the payload of " + row->event.id.to_string() + " was erased at " +
                                               format_time(*row->payload_erased_at));
  }
  // A producer chose type and bytes: a browser must neither guess another type nor show it as a page of ours.
  return Answer{200,
                row->event.content_type,
                std::move(row->event.payload),
                {{"Content-Security-Policy", "sandbox; default-src 'none'"},
                 {"Content-Disposition", "attachment; filename=\"" + row->event.id.to_string() + '"'}}};
}

// Step after step, so that no transaction is long; the first one takes the payload.
void erase_some(Context& context, const ExchangePtr& exchange, ErasePayload step,
                std::int64_t discarded_before) {
  context.commits.submit(step, [&context, exchange, discarded_before](const ErasePayload& command,
                                                                      const Result<Erased>& erased) {
    const std::int64_t discarded = discarded_before + (erased ? erased->discarded : 0);
    if (erased && erased->next) {
      ErasePayload next = command;
      next.after = *erased->next;
      return erase_some(context, exchange, next, discarded);
    }
    exchange->respond_with([erased, event = command.id, discarded](const Request& request) -> Result<Answer> {
      if (!erased) return tl::unexpected(erased.error());
      const std::string id = event.to_string();
      log::info("event payload erased", {{"event", id}, {"discarded", discarded}, {"by", request.peer}});
      return json_answer(
          200, Json{{"id", id}, {"payload_erased_at", format_time(erased->at)}, {"discarded", discarded}});
    });
  });
}

void erase_payload(Context& context, const ExchangePtr& exchange) {
  const auto row = find_event(context, exchange->request(), false);
  if (!row) return exchange->respond(row.error());
  erase_some(context, exchange, ErasePayload{.id = row->event.id, .at = context.clock.wall()}, 0);
}

// The endpoints a replay goes to: the one named in the body, else all that match the event now.
Result<std::vector<EndpointSeq>> replay_targets(Context& context, const Event& event, const Json& body) {
  const auto named = text_member(body, "endpoint");
  if (!named) return tl::unexpected(named.error());
  if (!*named) {
    std::vector<EndpointSeq> matching;
    const auto all = matches_of(context.directory, event).endpoints;
    for (const auto& endpoint : *all) matching.push_back(endpoint->seq);
    return matching;
  }
  // Another tenant's endpoint is treated as unknown: an event never leaves its tenant.
  const auto endpoint = find_endpoint_of_tenant(context.directory, **named, event.tenant, "/endpoint");
  if (!endpoint) return tl::unexpected(endpoint.error());
  return std::vector<EndpointSeq>{(*endpoint)->seq};
}

void replay_event(Context& context, const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  const auto body = action_body(request, {"endpoint"});
  if (!body) return exchange->respond(body.error());
  const auto row = find_event(context, request, true);
  if (!row) return exchange->respond(row.error());
  auto targets = replay_targets(context, row->event, *body);
  if (!targets) return exchange->respond(targets.error());
  ReplayEvent replay{row->event.id, std::move(*targets), context.clock.wall()};
  context.commits.submit(std::move(replay), [exchange](const ReplayEvent& command,
                                                       const Result<Replayed>& replayed) {
    exchange->respond_with([replayed, event = command.id](const Request& asked) -> Result<Answer> {
      if (!replayed) return tl::unexpected(replayed.error());
      const std::string id = event.to_string();
      log::info("event replayed", {{"event", id}, {"deliveries", replayed->deliveries}, {"by", asked.peer}});
      return json_answer(202, Json{{"id", id}, {"deliveries", replayed->deliveries}});
    });
  });
}

}  // namespace

std::vector<Route> event_routes(Context& context) {
  // Producers may send events and look up one whose id they hold; what shows other producers' events is for operators.
  return {
      {"POST", "/v1/events", Access::kSend, deferring(context, accept_events), kQuick},
      {"GET", "/v1/events", Access::kView,
       answering(context, list_events,
                 {"tenant", "type", "since", "until", "unmatched", "rejected", "limit", "cursor"})},
      {"GET", "/v1/events/{id}", Access::kLookUp, deferring(context, show_event)},
      {"GET", "/v1/events/{id}/payload", Access::kLookUp, answering(context, show_payload)},
      {"DELETE", "/v1/events/{id}/payload", Access::kAdmin, deferring(context, erase_payload)},
      {"POST", "/v1/events/{id}/replay", Access::kAdmin, deferring(context, replay_event)},
  };
}

}  // namespace outboxd::api
