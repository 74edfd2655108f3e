// What a subscriber answers: bounded whatever it sends, the same in whatever pieces it comes, one reading of where it ends, a pause that
// is never negative nor long.
//   the bytes of a connection until the other side ends it
#include <algorithm>

#include "common/json.h"
#include "common/retry_schedule.h"
#include "common/text.h"
#include "delivery/retry_policy.h"
#include "fuzz/target.h"
#include "outbound/response_reader.h"

using namespace outboxd;

namespace {

using State = ResponseReader::State;

constexpr std::size_t kMaxBody = 1024;
const Time kNow = Time(Millis(1'767'225'600'000));

// Returns how many bytes belong to the response.
std::size_t read(ResponseReader& reader, std::string_view input, std::size_t piece) {
  std::size_t used = 0;
  for (; !input.empty(); input.remove_prefix(std::min(piece, input.size())))
    used += reader.read(input.substr(0, piece));
  reader.end();
  return used;
}

void check_same(ResponseReader& a, ResponseReader& b) {
  HOLDS(a.state() == b.state() && a.status() == b.status() && a.refusal() == b.refusal());
  HOLDS(a.headers() == b.headers() && a.body() == b.body() && a.retry_after() == b.retry_after());
  HOLDS(a.keeps_connection() == b.keeps_connection());
}

void check_state(const ResponseReader& reader) {
  HOLDS(reader.state() == State::kRefused || reader.state() == State::kEnough || reader.complete());
  HOLDS(reader.head_complete() == (reader.state() != State::kRefused));
  HOLDS(reader.refusal().empty() == reader.head_complete());
  HOLDS(reader.head_complete() ? reader.status() >= 200 && reader.status() <= 999 : reader.status() == 0);
}

void check_kept(ResponseReader& reader) {
  Attempt attempt;
  attempt.status = reader.status();
  attempt.response_headers = reader.headers();
  attempt.response_body = reader.body();
  std::size_t bytes = 0;
  for (const auto& header : attempt.response_headers) bytes += header.name.size() + header.value.size();
  HOLDS(bytes <= kMaxStoredResponseHeaders && attempt.response_body.size() <= kMaxBody);
  HOLDS(Json::parse(dump(to_json(attempt)), nullptr, false).is_object());
}

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  HOLDS(end != std::string_view::npos);
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  HOLDS(line.find('\r') == std::string_view::npos);
  return line;
}

// What the strictest reader makes of a whole response whose connection is kept: its body.
class Strict {
 public:
  explicit Strict(std::string_view whole) : rest_(whole) {
    while (status_.empty() || interim()) read_head();
  }

  std::string body() {
    if (has_no_body()) return at_end("");
    HOLDS(length_.has_value() != chunked_);
    if (!chunked_) {
      const auto length = parse_int(*length_);
      HOLDS(length && static_cast<std::size_t>(*length) == rest_.size());
      return at_end(take(rest_.size()));
    }
    std::string joined;
    while (const std::size_t size = read_size()) {
      joined += take(size);
      HOLDS(take(2) == "\r\n");
    }
    while (!take_line(rest_).empty()) continue;
    return at_end(joined);
  }

 private:
  bool interim() const { return status_.substr(9, 1) == "1"; }
  bool has_no_body() const { return status_.substr(9, 3) == "204" || status_.substr(9, 3) == "304"; }

  void read_head() {
    status_ = take_line(rest_);
    HOLDS(status_.starts_with("HTTP/1.1 ") || status_.starts_with("HTTP/1.0 "));
    length_.reset();
    chunked_ = false;
    bool close = false, keep_alive = false;
    for (auto line = take_line(rest_); !line.empty(); line = take_line(rest_)) {
      const std::size_t colon = line.find(':');
      HOLDS(colon != std::string_view::npos);
      const std::string name = ascii_lower(line.substr(0, colon));
      const std::string value = ascii_lower(trim(line.substr(colon + 1), kHttpBlanks));
      if (name == "connection" || name == "proxy-connection") {
        close = close || value == "close";
        keep_alive = keep_alive || value.find("keep-alive") != std::string::npos;
      }
      if (name == "transfer-encoding") chunked_ = value == "chunked" && !chunked_;
      if (name == "transfer-encoding") HOLDS(chunked_ || has_no_body() || interim());
      if (name != "content-length") continue;
      const std::string one(trim(value.substr(0, value.find(',')), kHttpBlanks));
      HOLDS(!length_ || parse_int(*length_) == parse_int(one) || interim());
      length_ = one;
    }
    HOLDS(interim() || (!close && (keep_alive || status_.starts_with("HTTP/1.1"))));
  }

  std::size_t read_size() {
    const std::size_t end = rest_.find("\r\n");
    HOLDS(end != std::string_view::npos && end == rest_.find_first_of("\r\n"));
    const std::string line(take(end + 2));
    const std::size_t digits = line.find_first_not_of("0123456789abcdefABCDEF");
    HOLDS(digits > 0 && digits <= kMaxChunkSizeDigits);
    return std::stoul(line.substr(0, digits), nullptr, 16);
  }

  std::string_view take(std::size_t size) {
    HOLDS(size <= rest_.size());
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string at_end(std::string_view body) const {
    HOLDS(rest_.empty());
    return std::string(body);
  }

  std::string_view rest_, status_;
  std::optional<std::string> length_;
  bool chunked_ = false;
};

void check_pause(const ResponseReader& reader, const std::optional<std::string>& asked) {
  if (asked) {
    const auto pause = parse_retry_after(*asked, kNow);
    HOLDS(!pause || (*pause >= Millis(0) && *pause <= kMaxRetryAfter));
  }
  AttemptFacts facts;
  facts.outcome = Outcome::kHttp5xx;
  facts.status = reader.status();
  facts.retry_after = asked;
  const auto verdict = evaluate_attempt(facts, default_retry_schedule(), kNow, 1.0);
  if (verdict.state == DeliveryState::kPending)
    HOLDS(verdict.due_in >= Millis(0) && verdict.due_in <= kMaxRetryAfter + std::chrono::hours(48));
}

}  // namespace

FUZZ_TARGET(input) {
  ResponseReader whole(kMaxBody), in_bytes(kMaxBody), in_pieces(kMaxBody);
  const std::size_t used = read(whole, input, std::max<std::size_t>(input.size(), 1));
  HOLDS(read(in_bytes, input, 1) == used && read(in_pieces, input, 7) == used);
  HOLDS(used == input.size() || whole.complete());
  check_same(whole, in_bytes);
  check_same(whole, in_pieces);
  check_state(whole);
  check_kept(whole);
  if (whole.keeps_connection()) {
    HOLDS(used == input.size());
    HOLDS(Strict(input).body() == whole.body());
  }
  check_pause(whole, whole.retry_after());
  whole.reset();
  HOLDS(!whole.anything_came() && whole.headers().empty() && whole.body().empty() &&
        whole.state() == State::kHead);
}
