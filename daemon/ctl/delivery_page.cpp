#include "ctl/delivery_page.h"

#include <algorithm>

#include "common/text.h"
#include "ctl/shell.h"
#include "ctl/why.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kShownHeaders = 24;
constexpr std::size_t kShownBodyLines = 16;
constexpr std::size_t kShownLineBytes = 400;

bool has(const Json& object, const char* name) {
  return member_text(object, name) != "-";
}

// "in 5m (2026-11-23T15:00:00.000Z)"
std::string when(const std::string& text, const Style& style) {
  const auto time = parse_time(text);
  return time ? age_text(*time, style.now) + " (" + text + ")" : text;
}

Fields head_of(const DeliveryPage& page, const Style& style) {
  const Json& delivery = page.delivery;
  const std::string state = member_text(delivery, "state");
  std::string state_text = state_column().cell(delivery, style).text + ", " +
                           member_text(delivery, "attempts") +
                           (member_text(delivery, "attempts") == "1" ? " attempt" : " attempts");
  if (has(delivery, "finished_at")) state_text += ", " + when(member_text(delivery, "finished_at"), style);
  std::string event = member_text(delivery, "type") + "  " + member_text(delivery, "event");
  if (has(delivery, "tenant")) event += "  of " + member_text(delivery, "tenant");
  if (has(page.event, "ordering_key")) event += "  in order of " + member_text(page.event, "ordering_key");
  std::string endpoint = endpoint_text(delivery);
  if (endpoint != member_text(delivery, "endpoint")) endpoint += "  " + member_text(delivery, "endpoint");
  const std::string endpoint_state = member_text(page.endpoint, "state");
  if (!page.endpoint.is_object()) endpoint += "  (removed)";
  if (endpoint_state != "-" && endpoint_state != "active")
    endpoint += "  " + state_column().cell(page.endpoint, style).text;
  Fields fields{{"delivery", {member_text(delivery, "id")}},
                {"state", {state_text, state_tint(state)}},
                {"event", {event}},
                {"accepted", {when(member_text(delivery, "created_at"), style)}},
                {"endpoint", {endpoint}}};
  if (has(page.endpoint, "url")) fields.push_back({"url", {member_text(page.endpoint, "url")}});
  if (state == "pending") fields.push_back({"waits for", {waiting_text(delivery, style.now), Tint::kWarn}});
  return fields;
}

std::string arrow(const char* which, const std::string& text) {
  return std::string("  ") + which + " " + escape_control(text) + "\n";
}

// The headers are those of a request made now; what differs from one attempt to the next is this attempt's.
std::string sent_text(const DeliveryPage& page, const Json& attempt) {
  std::string text = arrow(">", member_text(attempt, "request_line"));
  const Json headers =
      page.request.is_object() ? page.request.value("headers", Json::array()) : Json::array();
  for (const Json& header : headers) {
    const std::string name = member_text(header, "name");
    std::string value = has(header, "value") ? member_text(header, "value") : std::string(kNotShown);
    if (name == "outboxd-attempt") value = member_text(attempt, "number");
    if (const auto at = parse_time(member_text(attempt, "started_at")); at && name == "webhook-timestamp")
      value = std::to_string(unix_millis(*at) / 1000);
    text += arrow(">", name + ": " + value);
  }
  return text;
}

std::string body_text(const Json& attempt) {
  const std::string body = has(attempt, "response_body") ? member_text(attempt, "response_body") : "";
  std::string text;
  std::size_t lines = 0, at = 0;
  for (; at < body.size() && lines < kShownBodyLines; ++lines) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    const std::size_t shown = std::min(end - at, kShownLineBytes);
    text +=
        arrow("<", valid_utf8(std::string_view(body).substr(at, shown)) + (shown < end - at ? " ..." : ""));
    at = end + 1;
  }
  if (at < body.size())
    text += arrow("<", "... (" + std::to_string(body.size() - at) + " more bytes: -o json)");
  return text.empty() ? "" : arrow("<", "") + text;
}

std::string received_text(const Json& attempt) {
  if (!has(attempt, "status")) {
    const std::string error = member_text(attempt, "error");
    return arrow("<", "no answer: " + member_text(attempt, "outcome") + (error == "-" ? "" : ", " + error));
  }
  std::string text = arrow("<", "HTTP " + member_text(attempt, "status"));
  const Json headers = attempt.value("response_headers", Json::array());
  std::size_t shown = 0;
  for (const Json& header : headers) {
    if (++shown > kShownHeaders) break;
    text += arrow("<", member_text(header, "name") + ": " + member_text(header, "value"));
  }
  return text + body_text(attempt);
}

std::string last_attempt(const DeliveryPage& page, const Json& attempt, const Style& style) {
  std::string title = "last attempt (#" + member_text(attempt, "number") + "), " +
                      when(member_text(attempt, "started_at"), style);
  if (has(attempt, "remote_address")) title += ", to " + member_text(attempt, "remote_address");
  if (member_text(attempt, "resent") == "true") title += ", sent twice";
  return escape_control(title) + "\n" + sent_text(page, attempt) + received_text(attempt);
}

// What holds it or became of it, and what helps.
std::string advice(const DeliveryPage& page, const Style& style) {
  const Explanation why = explain_delivery(page.delivery, page.stats, style.now);
  const std::string id = member_text(page.delivery, "id");
  std::string text = escape_control(why.text) + "\n";
  for (const std::string& line : why.details) text += "  " + escape_control(line) + "\n";
  for (const std::string& command : why.commands) {
    if (command != "outboxctl delivery show " + id) text += "  try: " + escape_control(command) + "\n";
  }
  if (!page.request.is_null()) text += "  by hand: outboxctl delivery curl " + escape_control(id) + "\n";
  return text;
}

Column timing_column(const char* title, const char* member, bool wide_only) {
  return {title,
          [member](const Json& row, const Style&) {
            const std::string ms = member_text(row.value("timings", Json::object()), member);
            return Cell{ms == "-" ? ms : ms + " ms"};
          },
          wide_only, true};
}

std::vector<Column> columns_of(bool all_timings) {
  const auto outcome = [](const Json& row, const Style&) {
    const std::string text = member_text(row, "outcome");
    return Cell{text, text == "success" ? Tint::kGood : Tint::kBad};
  };
  const auto sent = [](const Json& row, const Style&) {
    return Cell{member_text(row, "resent") == "true" ? "twice" : "once"};
  };
  return {number_column("#", "number"),
          time_column("STARTED", "started_at"),
          {"OUTCOME", outcome},
          number_column("STATUS", "status"),
          timing_column("DNS", "dns_ms", !all_timings),
          timing_column("CONNECT", "connect_ms", !all_timings),
          timing_column("TLS", "tls_ms", !all_timings),
          timing_column("FIRST BYTE", "first_byte_ms", !all_timings),
          timing_column("TOTAL", "total_ms", false),
          column("ADDRESS", "remote_address", all_timings),
          {"SENT", sent, true},
          column("ERROR", "error"),
          column("ID", "id", true)};
}

}  // namespace

std::vector<Column> attempt_columns() {
  return columns_of(false);
}

std::vector<Json> attempts_of(const Json& delivery) {
  const Json list = delivery.is_object() ? delivery.value("attempt_list", Json::array()) : Json::array();
  return {list.begin(), list.end()};
}

std::string render_delivery(const DeliveryPage& page, const Style& style) {
  std::string text = render_fields(head_of(page, style), style);
  const std::vector<Json> attempts = attempts_of(page.delivery);
  if (!attempts.empty()) {
    text += "\nattempts (each time is counted from the attempt's start)\n" +
            render_table(columns_of(true), attempts, style) + "\n" +
            last_attempt(page, attempts.back(), style);
  }
  return text + "\n" + advice(page, style);
}

}  // namespace outboxd::ctl
