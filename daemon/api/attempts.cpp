// What has been attempted, as it is recorded, for those who follow it: page by page, or as a stream.
#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kStreamedAtOnce = 100;  // attempts in a piece: some 60 KB
constexpr int kMaxShownFirst = 250;
constexpr Millis kKeepAlive = std::chrono::seconds(15);

// A position in the feed. Numbering starts anew with each start of the daemon, so `run` says which start it was.
struct Place {
  std::int64_t run = 0;
  std::uint64_t number = 0;
};

std::int64_t run_of(const Context& context) {
  return unix_millis(context.started_at);
}

// "a1790000000000-17"
std::string write_cursor(const Place& place) {
  return "a" + std::to_string(place.run) + '-' + std::to_string(place.number);
}

std::optional<Place> read_cursor(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (!text.starts_with('a') || dash == std::string_view::npos) return std::nullopt;
  const auto run = parse_int(text.substr(1, dash - 1));
  const auto number = parse_int(text.substr(dash + 1));
  if (!run || !number || *run < 0 || *number < 0) return std::nullopt;
  return Place{*run, static_cast<std::uint64_t>(*number)};
}

Json json_of(const Context& context, const RecordedAttempt& recorded) {
  const Attempt& attempt = recorded.attempt;
  return {{"id", attempt.id.to_string()},
          {"delivery", recorded.delivery.to_string()},
          {"event", recorded.event.to_string()},
          {"endpoint", recorded.endpoint.to_string()},
          {"endpoint_name", name_of(context.directory, recorded.endpoint)},
          {"tenant", recorded.tenant},
          {"type", recorded.type},
          {"number", attempt.number},
          {"started_at", format_time(attempt.started_at)},
          {"recorded_at", format_time(recorded.recorded_at)},
          {"total_ms", attempt.timings.total.count()},
          {"remote_address", attempt.remote_address.empty() ? Json(nullptr) : Json(attempt.remote_address)},
          {"outcome", to_string(attempt.outcome)},
          {"status", attempt.status == 0 ? Json(nullptr) : Json(attempt.status)},
          {"error", attempt.error.empty() ? Json(nullptr) : Json(valid_utf8(attempt.error))},
          {"state", to_string(recorded.state)},
          {"reason", recorded.reason ? Json(to_string(*recorded.reason)) : Json(nullptr)},
          {"due_at", recorded.due_at ? Json(format_time(*recorded.due_at)) : Json(nullptr)}};
}

AttemptFeed::Filter read_filter(const Context& context, Query& query) {
  const auto pattern = [](std::string_view text) -> std::optional<std::string> {
    if (!is_type_pattern(text)) return std::nullopt;
    return std::string(text);
  };
  return {.endpoint = endpoint_parameter(context.directory, query, "endpoint"),
          .failed = query.flag("failed"),
          .tenant = query.tenant(),
          .type = query.parsed("type", pattern, "an event type, or a pattern such as order.*")};
}

constexpr const char* kCursorIs = "`next_cursor` of an earlier answer";

Result<Answer> list_attempts(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const AttemptFeed::Filter filter = read_filter(context, query);
  const auto from = query.parsed("cursor", read_cursor, kCursorIs);
  const auto limit = static_cast<std::size_t>(query.page().limit);
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const std::int64_t run = run_of(context);
  const bool restarted = from && from->run != run;
  const auto page = from ? context.attempts.after(restarted ? 0 : from->number, filter, limit)
                         : context.attempts.latest(filter, limit);
  Json data = Json::array();
  for (const auto& recorded : page.rows) data.push_back(json_of(context, *recorded));
  return json_answer(200, Json{{"data", std::move(data)},
                               {"next_cursor", write_cursor({run, page.last})},
                               {"dropped", restarted ? Json(nullptr) : Json(page.dropped)}});
}

// Server-sent events (HTML, section 9.2). What has no `data:` is no event to a client, but its `id:` is kept: so the
// place in the feed is known to a client that has been sent nothing for long.
std::string event_text(std::string_view name, const Json& data) {
  return "event: " + std::string(name) + "\ndata: " + dump(data) + "\n\n";
}
std::string dropped_text(const Json& count) {
  return event_text("dropped", {{"dropped", count}});
}

class AttemptEvents final : public AnswerStream {
 public:
  AttemptEvents(const Context& context, std::unique_ptr<AttemptFeed::Follower> follower)
      : context_(context), follower_(std::move(follower)), sent_at_(context.clock.monotonic()) {}

  std::string text_of(const AttemptFeed::Rows& rows) const {
    std::string text;
    for (const auto& recorded : rows)
      text += id_text(recorded->position) + event_text("attempt", json_of(context_, *recorded));
    return text;
  }
  std::string place_text() const { return id_text(follower_->position()) + "\n"; }

  std::string next() override {
    const auto page = follower_->next(kStreamedAtOnce);
    std::string text = page.dropped > 0 ? dropped_text(page.dropped) : "";
    text += text_of(page.rows);
    const auto now = context_.clock.monotonic();
    if (text.empty() && now - sent_at_ >= kKeepAlive) text = ": quiet\n" + place_text();
    if (!text.empty()) sent_at_ = now;
    return text;
  }

 private:
  std::string id_text(std::uint64_t position) const {
    return "id: " + write_cursor({run_of(context_), position}) + "\n";
  }

  const Context& context_;
  const std::unique_ptr<AttemptFeed::Follower> follower_;
  MonotonicTime sent_at_;  // when it last had something to send
};

// Where a stream begins: behind what this client has seen, as the browser's own header says when it connects again.
std::optional<Place> read_place(const Request& request, Query& query) {
  const auto header = request.header("last-event-id");
  const auto from = query.parsed("cursor", read_cursor, kCursorIs);
  if (!header || header->empty()) return from;
  const auto seen = read_cursor(*header);
  if (!seen) query.refuse("Last-Event-ID", "must be an `id` of this stream");
  return seen;
}

Result<Answer> stream_attempts(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const AttemptFeed::Filter filter = read_filter(context, query);
  const auto from = read_place(request, query);
  const auto shown_first = query.parsed(
      "last",
      [](std::string_view text) {
        const auto number = parse_int(text);
        return number && *number >= 0 && *number <= kMaxShownFirst ? number : std::nullopt;
      },
      "a number from 0 to " + std::to_string(kMaxShownFirst));
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);

  const bool restarted = from && from->run != run_of(context);
  const auto first = context.attempts.latest(filter, static_cast<std::size_t>(shown_first.value_or(0)));
  auto follower = context.attempts.follow(filter, !from       ? first.last
                                                  : restarted ? std::uint64_t{0}
                                                              : from->number);
  if (!follower) {
    return problem(ProblemCode::kUnavailable, "all " + std::to_string(AttemptFeed::kMaxFollowers) +
                                                  " streams of attempts are taken: end one, or ask "
                                                  "/v1/attempts page by page");
  }
  const auto events = std::make_shared<AttemptEvents>(context, std::move(follower));
  Answer answer{.status = 200,
                .content_type = "text/event-stream",
                .body = "retry: 1000\n\n",
                .headers = {{"x-accel-buffering", "no"}},  // or nginx would hold back what is new
                .stream = events};
  if (restarted) answer.body += dropped_text(nullptr);
  answer.body += from ? "" : events->text_of(first.rows) + events->place_text();
  return answer;
}

}  // namespace

std::vector<Route> attempt_routes(Context& context) {
  return {
      {"GET", "/v1/attempts", Access::kView,
       answering(context, list_attempts, {"endpoint", "failed", "tenant", "type", "limit", "cursor"})},
      {"GET", "/v1/attempts/stream", Access::kView,
       answering(context, stream_attempts, {"endpoint", "failed", "tenant", "type", "last", "cursor"})},
  };
}

}  // namespace outboxd::api
