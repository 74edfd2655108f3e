#include "store/sqlite/rows.h"

#include <algorithm>

#include "common/event_checksum.h"
#include "common/json.h"
#include "common/text.h"

namespace outboxd::sqlite {
namespace {

[[noreturn]] void corrupt(std::string_view what) {
  throw CorruptValue("the database holds a value that outboxd never wrote: " + std::string(what));
}

// Calls `take` for each element of a stored JSON list.
template <class Take>
void for_each(std::string_view text, std::string_view column, Take take) {
  try {
    const Json list = Json::parse(text);
    for (const auto& element : list.get_ref<const Json::array_t&>()) take(element);
  } catch (const Json::exception&) {
    corrupt(column);
  }
}

std::vector<HeaderField> decode_headers(std::string_view text) {
  std::vector<HeaderField> headers;
  if (text.empty()) return headers;
  for_each(text, "headers", [&headers](const Json& field) {
    headers.push_back({field.at(0).get<std::string>(), field.at(1).get<std::string>()});
  });
  return headers;
}

// Ties a sealed secret to its endpoint's row, so that it opens nowhere else.
std::string place_of(const EndpointId& endpoint) {
  return "endpoint.secrets " + endpoint.to_string();
}

std::string encode_secrets(const Endpoint& endpoint, const SecretBox* box) {
  Json list = Json::array();
  for (const auto& secret : endpoint.secrets) {
    Json one = Json::object();
    if (box == nullptr) {
      one["text"] = secret.text;
    } else {
      const auto sealed = box->seal(secret.text, place_of(endpoint.id));
      one["sealed"] = base64_encode(sealed.bytes);
      one["key"] = sealed.key_id;
    }
    one["created_at"] = unix_millis(secret.created_at);
    if (secret.expires_at) one["expires_at"] = unix_millis(*secret.expires_at);
    list.push_back(std::move(one));
  }
  return dump(list);
}

std::string open_secret(const Json& one, const EndpointId& endpoint, const SecretBox* box) {
  if (!one.contains("sealed")) return one.at("text").get<std::string>();
  const SecretBox::Sealed sealed{one.at("key").get<std::string>(),
                                 base64_decode(one.at("sealed").get<std::string>()).value_or("")};
  if (box == nullptr || !box->has(sealed.key_id)) {
    throw StoreError(StoreError::Kind::kMissingKey,
                     "the secrets of endpoint " + endpoint.to_string() + " are encrypted with key " +
                         sealed.key_id + ": add its line to the file of [store] secrets_key_file" +
                         (box == nullptr ? ", which is not configured" : ""));
  }
  const auto text = box->open(sealed, place_of(endpoint));
  if (!text) corrupt("a secret of endpoint " + endpoint.to_string() + ", which does not decrypt");
  return *text;
}

std::vector<EndpointSecret> decode_secrets(std::string_view text, const EndpointId& endpoint,
                                           const SecretBox* box) {
  std::vector<EndpointSecret> secrets;
  for_each(text, "endpoint.secrets", [&](const Json& one) {
    EndpointSecret secret{
        open_secret(one, endpoint, box), from_unix_millis(one.at("created_at").get<std::int64_t>()), {}};
    if (one.contains("expires_at"))
      secret.expires_at = from_unix_millis(one.at("expires_at").get<std::int64_t>());
    secrets.push_back(std::move(secret));
  });
  return secrets;
}

template <class T>
T word(std::optional<T> parsed, std::string_view column) {
  if (!parsed) corrupt(column);
  return *parsed;
}

constexpr int kMaxCount = 1'000'000'000;  // for anything counted; small enough that the sum of two fits

int int_between(const Cursor& row, int column, int least, int most, std::string_view name) {
  const std::int64_t value = row.integer(column);
  if (value < least || value > most) corrupt(name);
  return static_cast<int>(value);
}

// Short enough that sums with times do not overflow.
constexpr Millis kMaxDuration = std::chrono::hours(24 * 366 * 10);

Millis bounded(Millis d, std::string_view column) {
  if (d < Millis(0) || d > kMaxDuration) corrupt(column);
  return d;
}

std::optional<Millis> read_duration(const Cursor& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return Millis(row.integer(column));
}

}  // namespace

int read_attempts(const Cursor& row, int column) {
  return int_between(row, column, 0, kMaxCount, "a number of attempts");
}

int read_priority(const Cursor& row, int column) {
  return int_between(row, column, 0, 9, "a priority");
}

std::optional<std::string> encode_headers(const std::vector<HeaderField>& headers) {
  if (headers.empty()) return std::nullopt;
  Json list = Json::array();
  for (const auto& field : headers) list.push_back(Json::array({field.name, field.value}));
  return dump(list);
}

Uuid read_uuid(std::string_view bytes) {
  Uuid uuid;
  if (bytes.size() != uuid.bytes.size()) corrupt("an id");
  std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
  return uuid;
}

EndpointColumns::EndpointColumns(const Endpoint& e, const SecretBox* box)
    : types(dump(Json(e.types))),
      secrets(encode_secrets(e, box)),
      headers(encode_headers(e.headers).value_or("[]")) {
  if (e.retry_schedule) {
    Json list = Json::array();
    for (const Millis wait : *e.retry_schedule) list.push_back(wait.count());
    retry_schedule = dump(list);
  }
  if (e.timeout) timeout = e.timeout->count();
  if (e.max_in_flight) max_in_flight = *e.max_in_flight;
  if (e.rate_limit) {
    rate_limit_count = e.rate_limit->count;
    rate_limit_per = e.rate_limit->per.count();
  }
  if (!e.tls.empty()) tls = dump(to_json(e.tls));
}

Ordering read_ordering(std::string_view text) {
  return word(parse_ordering(text), "endpoint.ordering");
}

namespace {

EndpointTls decode_tls(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    const auto member = [&json](const char* name) { return json.value(name, std::string()); };
    return {member("ca_file"), member("client_cert"), member("client_key")};
  } catch (const Json::exception&) {
    corrupt("endpoint.tls");
  }
}

}  // namespace

std::string recode_secrets(std::string_view stored, const EndpointId& endpoint, const SecretBox& box) {
  Endpoint e;
  e.id = endpoint;
  e.secrets = decode_secrets(stored, endpoint, &box);
  return encode_secrets(e, &box);
}

void count_secret_keys(std::string_view stored, SecretKeys& counts) {
  for_each(stored, "endpoint.secrets",
           [&counts](const Json& one) { ++counts[one.value("key", std::string())]; });
}

Endpoint read_endpoint(const Cursor& row, const SecretBox* box) {
  Endpoint e;
  e.seq = row.integer(0);
  e.id = EndpointId{read_uuid(row.view(1))};
  e.url = row.text(2);
  e.name = row.text(3);
  e.tenant = row.text(4);
  e.types.clear();
  for_each(row.view(5), "endpoint.types",
           [&e](const Json& type) { e.types.push_back(type.get<std::string>()); });
  e.secrets = decode_secrets(row.view(6), e.id, box);
  e.headers = decode_headers(row.view(7));
  e.format = word(parse_payload_format(row.view(8)), "endpoint.format");
  if (!row.is_null(9)) e.timeout = bounded(Millis(row.integer(9)), "endpoint.timeout");
  if (!row.is_null(10)) {
    e.retry_schedule.emplace();
    for_each(row.view(10), "endpoint.retry_schedule", [&e](const Json& wait) {
      e.retry_schedule->push_back(bounded(Millis(wait.get<std::int64_t>()), "endpoint.retry_schedule"));
    });
    if (e.retry_schedule->empty() || e.retry_schedule->size() > kMaxRetrySchedule)
      corrupt("endpoint.retry_schedule");
  }
  if (!row.is_null(11)) e.max_in_flight = int_between(row, 11, 1, kMaxCount, "endpoint.max_in_flight");
  e.state = word(parse_endpoint_state(row.view(12)), "endpoint.state");
  e.disabled_reason = row.text(13);
  e.metadata = row.text(14);
  e.created_at = row.time(15);
  e.updated_at = row.time(16);
  if (!row.is_null(17)) {
    e.rate_limit = RateLimit{int_between(row, 17, 1, kMaxRate, "endpoint.rate_limit_count"),
                             bounded(Millis(row.integer(18)), "endpoint.rate_limit_per")};
    if (e.rate_limit->per == Millis(0)) corrupt("endpoint.rate_limit_per");
  }
  e.ordering = read_ordering(row.view(19));
  e.on_failure_in_order = word(parse_on_failure_in_order(row.view(20)), "endpoint.on_failure_in_order");
  e.failing_since = row.optional_time(21);
  if (!row.is_null(22)) e.tls = decode_tls(row.view(22));
  return e;
}

void read_event(const Cursor& row, int first, Event& event) {
  event.tenant = row.text(first + 1);
  event.type = row.text(first + 2);
  event.payload = row.text(first + 3);
  event.content_type = row.text(first + 4);
  event.ordering_key = row.optional_text(first + 5);
  event.traceparent = row.optional_text(first + 8);
  event.created_at = row.time(first + 9);
  event.deliver_at = row.optional_time(first + 10);
  event.expires_at = row.optional_time(first + 11);
  try {
    event.id = EventId{read_uuid(row.view(first))};
    event.priority = read_priority(row, first + 6);
    event.headers = decode_headers(row.view(first + 7));
  } catch (const CorruptValue&) {
    event.damaged = true;
  }
}

std::shared_ptr<Event> read_checked_event(const Cursor& row, EventSeq seq, int first,
                                          EventSeq last_unchecked) {
  auto event = std::make_shared<Event>();
  event->seq = seq;
  read_event(row, first, *event);
  const int checksum = first + 12;
  // A missing checksum is accepted only for events from before there were checksums: otherwise damage that erases the
  // checksum would go unnoticed.
  const bool whole =
      row.is_null(checksum) ? seq <= last_unchecked : row.integer(checksum) == event_checksum(*event);
  event->damaged = event->damaged || !whole;
  event->erased = !row.is_null(checksum + 1);
  event->json_checked = !row.is_null(checksum);  // events with a checksum were checked before they got it
  return event;
}

EventRow read_event_row(const Cursor& row) {
  EventRow answer;
  answer.event.seq = row.integer(0);
  read_event(row, 1, answer.event);
  answer.deliveries = row.integer(13);
  answer.payload_bytes = row.integer(14);
  answer.payload_erased_at = row.optional_time(15);
  return answer;
}

DeliveryState read_state(std::string_view text) {
  return word(parse_delivery_state(text), "delivery.state");
}

Delivery read_delivery(const Cursor& row, Millis ahead) {
  Delivery d;
  d.key = {row.integer(0), row.integer(1)};
  d.state = read_state(row.view(2));
  if (!row.is_null(3)) d.reason = word(parse_dead_reason(row.view(3)), "delivery.reason");
  d.attempts = read_attempts(row, 4);
  d.due_at = row.time(5) - ahead;
  d.priority = read_priority(row, 6);
  d.error = row.optional_text(7);
  d.created_at = row.time(8);
  d.finished_at = row.optional_time(9);
  return d;
}

DeliveryRow read_delivery_row(const Cursor& row, Millis ahead) {
  // A damaged event id must not make a whole page of deliveries fail.
  const auto event = row.view(10);
  return {read_delivery(row, ahead),
          event.size() == sizeof(Uuid) ? EventId{read_uuid(event)} : EventId{},
          EndpointId{read_uuid(row.view(11))},
          row.text(12),
          row.text(13),
          row.number(16) != 0};
}

Attempt read_attempt(const Cursor& row) {
  Attempt a;
  a.id = AttemptId{read_uuid(row.view(0))};
  a.number = row.number(1);
  a.started_at = row.time(2);
  a.timings = {read_duration(row, 3), read_duration(row, 4), read_duration(row, 5), read_duration(row, 6),
               Millis(row.integer(7))};
  a.outcome = word(parse_outcome(row.view(8)), "attempt.outcome");
  a.status = row.number(9);
  a.error = row.text(10);
  a.request_line = row.text(11);
  a.response_headers = decode_headers(row.view(12));
  a.response_body = row.text(13);
  a.remote_address = row.optional_text(14).value_or("");
  a.resent = row.number(15) != 0;
  return a;
}

OutboxRow read_outbox_row(const Cursor& row) {
  OutboxRow o;
  o.row = row.integer(0);
  o.type = row.text(1);
  o.payload_is_text = row.type(2) == SQLITE_TEXT;
  o.payload = row.text(2);
  o.tenant = row.optional_text(3);
  o.content_type = row.optional_text(4);
  o.ordering_key = row.optional_text(5);
  o.idempotency_key = row.optional_text(6);
  o.headers = row.optional_text(7);
  o.deliver_at = row.optional_text(8);
  o.expires_at = row.optional_text(9);
  o.traceparent = row.optional_text(10);
  o.priority = row.optional_integer(11);
  o.rejected = row.optional_text(12);
  o.rejected_at = row.optional_time(13);
  return o;
}

}  // namespace outboxd::sqlite
