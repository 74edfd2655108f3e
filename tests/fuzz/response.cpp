// What a subscriber answers: bounded whatever it sends, one reading of the body's length, a pause that is never negative nor long.
//   lines as libcurl hands them over; after the blank line of a final status the body
#include <vector>

#include "common/json.h"
#include "common/retry_schedule.h"
#include "common/text.h"
#include "delivery/retry_policy.h"
#include "fuzz/target.h"
#include "outbound/response_reader.h"

using namespace outboxd;

namespace {

constexpr std::size_t kMaxBody = 8192;
const Time kNow = Time(Millis(1'767'225'600'000));

void check_kept(ResponseReader& reader) {
  Attempt attempt;
  attempt.status = reader.status();
  attempt.response_headers = reader.headers();
  attempt.response_body = reader.body();
  std::size_t bytes = 0;
  for (const auto& header : attempt.response_headers) bytes += header.name.size() + header.value.size();
  HOLDS(bytes <= kMaxStoredResponseHeaders && attempt.response_body.size() <= kMaxStoredResponseBody);
  HOLDS(Json::parse(dump(to_json(attempt)), nullptr, false).is_object());
}

// The final head's fields that say where the body ends.
void check_one_length(const std::vector<std::string_view>& fields) {
  std::optional<std::string> length;
  bool encoded = false;
  for (const auto line : fields) {
    const auto name = ascii_lower(line.substr(0, line.find(':')));
    if (name.size() == line.size()) continue;
    if (name == "transfer-encoding") encoded = true;
    if (name != "content-length") continue;
    auto value = std::string(line.substr(name.size() + 1));
    value.erase(0, std::min(value.find_first_not_of(" \t\r\n"), value.size()));
    value.erase(value.find_last_not_of(" \t\r\n") + 1);
    HOLDS(!length || *length == value);
    length = value;
  }
  HOLDS(!length || !encoded);
}

}  // namespace

FUZZ_TARGET(input) {
  ResponseReader reader(kMaxBody);
  std::size_t head = 0;
  bool going_on = true;
  std::vector<std::string_view> fields;  // since the last status line
  while (going_on && !reader.head_complete() && !input.empty()) {
    const auto line = input.substr(0, std::min(input.find('\n'), input.size() - 1) + 1);
    input.remove_prefix(line.size());
    head += line.size();
    if (line == "\r\n" && !fields.empty() && reader.status() < 200) fields.clear();
    fields.push_back(line);
    going_on = reader.on_header_line(line);
    HOLDS(!going_on || head <= kMaxResponseHeadBytes);
    HOLDS(going_on || !reader.refusal().empty() || reader.head_complete());
  }
  if (reader.head_complete()) HOLDS(reader.status() >= 200 && reader.status() <= 999);
  if (reader.head_complete() && going_on) {
    check_one_length(fields);
    std::size_t body = 0;
    while (going_on && !input.empty()) {
      const auto piece = input.substr(0, 500);
      input.remove_prefix(piece.size());
      body += piece.size();
      going_on = reader.on_body(piece);
      HOLDS(going_on == (body <= kMaxBody));
    }
  }
  check_kept(reader);

  if (const auto& asked = reader.retry_after()) {
    const auto pause = parse_retry_after(*asked, kNow);
    HOLDS(!pause || (*pause >= Millis(0) && *pause <= kMaxRetryAfter));
  }
  AttemptFacts facts;
  facts.outcome = Outcome::kHttp5xx;
  facts.status = reader.status();
  facts.retry_after = reader.retry_after();
  const auto verdict = evaluate_attempt(facts, default_retry_schedule(), kNow, 1.0);
  if (verdict.state == DeliveryState::kPending)
    HOLDS(verdict.due_in >= Millis(0) && verdict.due_in <= kMaxRetryAfter + std::chrono::hours(48));
}
