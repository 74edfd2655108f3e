#include "store/endpoint_columns.h"

namespace outboxd {
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

std::vector<std::string> read_types(std::string_view stored) {
  std::vector<std::string> types;
  for_each(stored, "endpoint.types",
           [&types](const Json& type) { types.push_back(type.get<std::string>()); });
  return types;
}

std::vector<Millis> read_schedule(std::string_view stored) {
  constexpr std::string_view kColumn = "endpoint.retry_schedule";
  std::vector<Millis> schedule;
  for_each(stored, kColumn,
           [&](const Json& wait) { schedule.push_back(bounded(Millis(wait.get<std::int64_t>()), kColumn)); });
  if (schedule.empty() || schedule.size() > kMaxRetrySchedule) corrupt(kColumn);
  return schedule;
}

RateLimit read_rate_limit(std::int64_t count, std::int64_t per) {
  const RateLimit limit{int_between(count, 1, kMaxRate, "endpoint.rate_limit_count"),
                        bounded(Millis(per), "endpoint.rate_limit_per")};
  if (limit.per == Millis(0)) corrupt("endpoint.rate_limit_per");
  return limit;
}

Ordering read_ordering(std::string_view stored) {
  return word(parse_ordering(stored), "endpoint.ordering");
}

EndpointTls read_tls(std::string_view stored) {
  return read_object(stored, "endpoint.tls", [](const Json& json) {
    const auto member = [&json](const char* name) { return json.value(name, std::string()); };
    return EndpointTls{member("ca_file"), member("client_cert"), member("client_key")};
  });
}

PayloadFilter read_filter(std::string_view stored) {
  auto filter = PayloadFilter::parse(stored, "");
  if (!filter) corrupt("endpoint.filter");
  return std::move(*filter);
}

BodyTemplate read_body_template(std::string_view stored) {
  auto body = BodyTemplate::parse(stored);
  if (!body) corrupt("endpoint.body_template");
  return std::move(*body);
}

EndpointAuth read_auth(std::string_view stored) {
  return read_object(stored, "endpoint.auth", [](const Json& json) {
    return EndpointAuth{
        .scheme = word(parse_auth_scheme(json.at("scheme").get<std::string>()), "endpoint.auth"),
        .name = json.at("name").get<std::string>(),
        .secret = {}};
  });
}

std::vector<LegacySignature> read_signatures(std::string_view stored) {
  std::vector<LegacySignature> signatures;
  for_each(stored, "endpoint.signatures",
           [&signatures](const Json& one) { signatures.push_back(signature_of(one)); });
  return signatures;
}

}  // namespace outboxd
