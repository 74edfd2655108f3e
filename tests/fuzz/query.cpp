// Query parameters, and the Host header.   since, limit, cursor, flag, endpoint, host
#include <array>

#include "api/browser_guard.h"
#include "api/query.h"
#include "common/json.h"
#include "common/text.h"
#include "fuzz/target.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  api::Request request;
  for (const auto* name : {"since", "limit", "cursor", "flag", "endpoint"}) {
    if (auto value = parts.optional()) request.query.emplace(name, std::move(*value));
  }
  const Time now = from_unix_millis(1'767'225'600'000);
  api::Query query(request, now);
  const auto since = query.time("since");
  const auto page = query.page();
  const bool flag = query.flag("flag");
  const auto endpoint = query.id<EndpointId>("endpoint");
  const auto refusal = query.refusal();

  HOLDS(page.limit >= 1 && page.limit <= api::kMaxPageLimit && page.after.size() <= api::kMaxParameterLength);
  HOLDS(is_valid_utf8(page.after));
  HOLDS(!since || *since <= from_unix_millis(253'402'300'799'999));
  if (refusal) {
    HOLDS(refusal->code == ProblemCode::kInvalidParameter && refusal->errors.size() <= 5);
    HOLDS(Json::parse(dump(to_json(*refusal)), nullptr, false).is_object());
  } else {
    HOLDS(query.has("since") == since.has_value() && query.has("endpoint") == endpoint.has_value());
    HOLDS(!flag || request.query.find("flag")->second == "true");
  }

  const auto host = parts.next();
  const std::array<std::string, 1> allowed = {"hooks.example"};
  if (api::host_allowed(host, "192.0.2.7", allowed)) {
    const auto plain = ascii_lower(host);
    bool known = plain.empty() || plain.starts_with('[');  // ::1 has many spellings
    for (const auto* name : {"localhost", "127.", "::1", "192.0.2.7", "hooks.example"})
      known = known || plain.find(name) != std::string::npos;
    HOLDS(known);
  }
}
