#include "store/sqlite/endpoint_rows.h"

#include "store/sqlite/column_values.h"
#include "store/sqlite/endpoint_secrets.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

// Everything but the secret, which endpoint_secrets.h keeps.
Json json_of(const LegacySignature& s) {
  return {{"scheme", to_string(s.scheme)},     {"header", s.header}, {"algorithm", to_string(s.algorithm)},
          {"encoding", to_string(s.encoding)}, {"prefix", s.prefix}, {"over", to_string(s.over)}};
}

LegacySignature signature_of(const Json& json) {
  constexpr std::string_view kColumn = "endpoint.signatures";
  const auto text = [&json](const char* name) { return json.at(name).get<std::string>(); };
  return {.scheme = word(parse_signature_scheme(text("scheme")), kColumn),
          .secret = {},
          .header = text("header"),
          .algorithm = word(parse_signature_digest(text("algorithm")), kColumn),
          .encoding = word(parse_signature_encoding(text("encoding")), kColumn),
          .prefix = text("prefix"),
          .over = word(parse_signature_over(text("over")), kColumn)};
}

// A stored JSON object, read by `take`.
template <class Take>
auto read_object(std::string_view text, std::string_view column, Take take) {
  try {
    return take(Json::parse(text));
  } catch (const Json::exception&) {
    corrupt(column);
  }
}

EndpointAuth read_auth(std::string_view text) {
  return read_object(text, "endpoint.auth", [](const Json& json) {
    return EndpointAuth{
        .scheme = word(parse_auth_scheme(json.at("scheme").get<std::string>()), "endpoint.auth"),
        .name = json.at("name").get<std::string>(),
        .secret = {}};
  });
}

EndpointTls read_tls(std::string_view text) {
  return read_object(text, "endpoint.tls", [](const Json& json) {
    const auto member = [&json](const char* name) { return json.value(name, std::string()); };
    return EndpointTls{member("ca_file"), member("client_cert"), member("client_key")};
  });
}

std::vector<Millis> read_schedule(std::string_view text) {
  constexpr std::string_view kColumn = "endpoint.retry_schedule";
  std::vector<Millis> schedule;
  for_each(text, kColumn,
           [&](const Json& wait) { schedule.push_back(bounded(Millis(wait.get<std::int64_t>()), kColumn)); });
  if (schedule.empty() || schedule.size() > kMaxRetrySchedule) corrupt(kColumn);
  return schedule;
}

RateLimit read_rate_limit(const Cursor& row, int column) {
  const RateLimit limit{int_between(row, column, 1, kMaxRate, "endpoint.rate_limit_count"),
                        bounded(Millis(row.integer(column + 1)), "endpoint.rate_limit_per")};
  if (limit.per == Millis(0)) corrupt("endpoint.rate_limit_per");
  return limit;
}

// What came with schema 13, from `first` on.
void read_shape(const Cursor& row, int first, Endpoint& e) {
  if (!row.is_null(first)) {
    auto filter = PayloadFilter::parse(row.view(first), "");
    if (!filter) corrupt("endpoint.filter");
    e.filter = std::move(*filter);
  }
  if (!row.is_null(first + 1)) {
    auto body = BodyTemplate::parse(row.view(first + 1));
    if (!body) corrupt("endpoint.body_template");
    e.body_template = std::move(*body);
  }
  e.content_type = row.optional_text(first + 2);
  if (!row.is_null(first + 3)) e.auth = read_auth(row.view(first + 3));
  if (!row.is_null(first + 4)) {
    for_each(row.view(first + 4), "endpoint.signatures",
             [&e](const Json& one) { e.signatures.push_back(signature_of(one)); });
  }
  e.disable_after.reset();
  if (!row.is_null(first + 5))
    e.disable_after = bounded(Millis(row.integer(first + 5)), "endpoint.disable_after");
}

}  // namespace

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
  if (e.filter) filter = e.filter->text();
  if (e.body_template) body_template = e.body_template->text();
  if (e.auth) auth = dump(Json{{"scheme", to_string(e.auth->scheme)}, {"name", e.auth->name}});
  if (!e.signatures.empty()) {
    Json list = Json::array();
    for (const LegacySignature& signature : e.signatures) list.push_back(json_of(signature));
    signatures = dump(list);
  }
  if (e.disable_after) disable_after = e.disable_after->count();
}

Ordering read_ordering(std::string_view text) {
  return word(parse_ordering(text), "endpoint.ordering");
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
  e.headers = decode_headers(row.view(7));
  e.format = word(parse_payload_format(row.view(8)), "endpoint.format");
  if (!row.is_null(9)) e.timeout = bounded(Millis(row.integer(9)), "endpoint.timeout");
  if (!row.is_null(10)) e.retry_schedule = read_schedule(row.view(10));
  if (!row.is_null(11)) e.max_in_flight = int_between(row, 11, 1, kMaxCount, "endpoint.max_in_flight");
  e.state = word(parse_endpoint_state(row.view(12)), "endpoint.state");
  e.disabled_reason = row.text(13);
  e.metadata = row.text(14);
  e.created_at = row.time(15);
  e.updated_at = row.time(16);
  if (!row.is_null(17)) e.rate_limit = read_rate_limit(row, 17);
  e.ordering = read_ordering(row.view(19));
  e.on_failure_in_order = word(parse_on_failure_in_order(row.view(20)), "endpoint.on_failure_in_order");
  e.failing_since = row.optional_time(21);
  if (!row.is_null(22)) e.tls = read_tls(row.view(22));
  read_shape(row, 23, e);
  decode_secrets(row.view(6), box, e);
  return e;
}

}  // namespace outboxd::sqlite
