#include "ctl/top_view.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <span>
#include <tuple>

#include "common/text.h"
#include "ctl/status.h"
#include "ctl/terminal.h"

namespace outboxd::ctl {
namespace {

constexpr const char* kNone = "-";

const Json& member(const Json& object, std::string_view name) {
  static const Json null;
  const auto found = object.is_object() ? object.find(std::string(name)) : object.end();
  return found != object.end() ? *found : null;
}
const Json& stat(const Json& endpoint, std::string_view name) {
  return member(member(endpoint, "stats"), name);
}

std::optional<double> figure(const Json& value) {
  return value.is_number() ? std::optional<double>(value.get<double>()) : std::nullopt;
}
std::optional<Time> time_of(const Json& value) {
  return value.is_string() ? parse_time(value.get_ref<const std::string&>()) : std::nullopt;
}

std::string printed(double value, int decimals, const char* unit = "") {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.*f%s", decimals, value, unit);
  return text.data();
}

// "999", "12k", "3.4M"
std::string count_text(const Json& value) {
  const auto count = figure(value);
  if (!count) return kNone;
  if (*count < 100'000) return printed(*count, 0);
  return *count < 1'000'000 ? printed(*count / 1e3, 0, "k") : printed(*count / 1e6, 1, "M");
}
std::string rate_text(const Json& value) {
  const auto rate = figure(value);
  if (!rate) return kNone;
  return *rate < 10 ? printed(*rate, 1) : *rate < 10'000 ? printed(*rate, 0) : printed(*rate / 1e3, 0, "k");
}
std::string latency_text(const Json& value) {
  const auto ms = figure(value);
  if (!ms) return kNone;
  return *ms < 1000 ? printed(*ms, 0, "ms") : printed(*ms / 1e3, 1, "s");
}

std::string name_of(const Json& endpoint) {
  const std::string name = member_text(endpoint, "name");
  return name == kNone ? member_text(endpoint, "id") : name;
}

// Of an endpoint that is not active its state, else that of its breaker.
std::string breaker_of(const Json& endpoint) {
  const std::string state = member_text(endpoint, "state");
  return state == "active" || state == kNone ? member_text(member(endpoint, "stats"), "breaker") : state;
}

std::string error_of(const Json& endpoint) {
  const Json& last = stat(endpoint, "last_error");
  std::string error = member_text(last, "error");
  const std::string status = member_text(last, "status");
  if (status == kNone || status == "0") return error;
  return error.find(status) != std::string::npos ? "HTTP " + status : error + " " + status;
}

// When it is tried again, if not at once.
std::optional<Time> next_of(const Json& endpoint) {
  return std::max(time_of(stat(endpoint, "next_probe_at")), time_of(stat(endpoint, "retry_after_until")));
}

std::string age_of(const std::optional<Time>& then, Time now) {
  return then ? coarse_duration(std::max(now - *then, Millis(0))) : kNone;
}

Cell oldest_cell(const Json& endpoint, const Style& style) {
  const auto oldest = time_of(stat(endpoint, "oldest_due_at"));
  const bool late = oldest && style.now - *oldest > std::chrono::seconds(kOverdueSeconds);
  return {age_of(oldest, style.now), late ? Tint::kBad : Tint::kPlain};
}

Cell breaker_cell(const Json& endpoint, const Style&) {
  const std::string text = breaker_of(endpoint);
  return {text, text == "closed"   ? Tint::kGood
                : text == "paused" ? Tint::kWarn
                : text == kNone    ? Tint::kPlain
                                   : Tint::kBad};
}

Cell next_cell(const Json& endpoint, const Style& style) {
  const auto next = next_of(endpoint);
  if (!next) return {kNone};
  return {*next <= style.now ? "now" : coarse_duration(*next - style.now)};
}

Cell error_cell(const Json& endpoint, const Style& style) {
  const auto at = time_of(member(stat(endpoint, "last_error"), "at"));
  const std::string text = error_of(endpoint);
  return {at ? text + ", " + age_text(*at, style.now) : text};
}

template <class Text>
Column stat_column(std::string title, std::string name, Text text) {
  return {
      std::move(title),
      [name = std::move(name), text](const Json& row, const Style&) { return Cell{text(stat(row, name))}; },
      false, true};
}
template <class Text>
Column part_column(std::string title, std::string name, std::string part, Text text) {
  return {std::move(title),
          [name = std::move(name), part = std::move(part), text](const Json& row, const Style&) {
            return Cell{text(member(stat(row, name), part))};
          },
          false, true};
}

// Of the columns between the name and the last error: how wide each is, and on how wide a screen it is shown.
struct TopColumn {
  Column column;
  int width;
  int from;
};
constexpr int kWideScreen = 120;

const std::vector<TopColumn>& middle_columns() {
  static const std::vector<TopColumn> columns{
      {stat_column("BACKLOG", "pending", count_text), 7, 0},
      {stat_column("DEAD", "dead", count_text), 6, kWideScreen},
      {{"OLDEST", oldest_cell, false, true}, 6, 0},
      {stat_column("FLIGHT", "in_flight", count_text), 6, kWideScreen},
      {part_column("IN/S", "rates", "in_per_second", rate_text), 5, 0},
      {part_column("OUT/S", "rates", "out_per_second", rate_text), 5, 0},
      {part_column("P50", "latency_ms", "p50", latency_text), 6, kWideScreen},
      {part_column("P95", "latency_ms", "p95", latency_text), 6, 0},
      {{"BREAKER", breaker_cell}, 8, 0},
      {{"NEXT", next_cell, false, true}, 4, 0},
  };
  return columns;
}
Column name_column() {
  return {"ENDPOINT", [](const Json& row, const Style&) { return Cell{name_of(row)}; }};
}
Column error_column() {
  return {"LAST ERROR", error_cell};
}

bool has(const std::string& text, const std::string& part) {
  return ascii_lower(text).find(part) != std::string::npos;
}

bool passes(const Json& endpoint, const std::string& filter) {
  const std::string part = ascii_lower(filter);
  return has(name_of(endpoint), part) || has(member_text(endpoint, "id"), part) ||
         has(member_text(endpoint, "url"), part) || has(breaker_of(endpoint), part) ||
         has(error_of(endpoint), part);
}

// Smaller is further up; the name decides between equals.
std::tuple<double, double, std::string> rank(const Json& endpoint, TopOrder order) {
  const double backlog = -figure(stat(endpoint, "pending")).value_or(-1);
  const auto oldest = time_of(stat(endpoint, "oldest_due_at"));
  const auto at = time_of(member(stat(endpoint, "last_error"), "at"));
  const auto millis = [](const std::optional<Time>& time) {
    return time ? static_cast<double>(unix_millis(*time)) : 0.0;
  };
  switch (order) {
    case TopOrder::kBacklog:
      return {backlog, 0, name_of(endpoint)};
    case TopOrder::kOldest:
      return {oldest ? millis(oldest) : 1e300, backlog, name_of(endpoint)};
    case TopOrder::kErrors: {
      const std::string breaker = breaker_of(endpoint);
      return {breaker == "open" || breaker == "disabled" ? 0 : 1, -millis(at), name_of(endpoint)};
    }
    case TopOrder::kName:
      break;
  }
  return {0, 0, name_of(endpoint)};
}

std::string order_text(TopOrder order) {
  switch (order) {
    case TopOrder::kBacklog:
      return "by backlog";
    case TopOrder::kOldest:
      return "by oldest due";
    case TopOrder::kErrors:
      return "by errors";
    case TopOrder::kName:
      break;
  }
  return "by name";
}

// "outboxd 0.1.0  pending 12  dead 3  in flight 4  oldest due 5m  8 endpoints, 1 disabled"
std::string summary(const Json& status) {
  const Json& deliveries = member(status, "deliveries");
  const Json& endpoints = member(status, "endpoints");
  double all = 0;
  for (const auto& [state, count] : endpoints.items()) all += figure(count).value_or(0);
  const auto due = figure(member(status, "oldest_due_age_seconds"));
  const auto disabled = figure(member(endpoints, "disabled")).value_or(0);
  return "outboxd " + member_text(status, "version") + "  pending " +
         count_text(member(deliveries, "pending")) + "  dead " + count_text(member(deliveries, "dead")) +
         "  in flight " + count_text(member(status, "in_flight")) + "  oldest due " +
         (due ? coarse_duration(Millis(static_cast<Millis::rep>(*due * 1000))) : kNone) + "  " +
         printed(all, 0) + (all == 1 ? " endpoint" : " endpoints") +
         (disabled > 0 ? ", " + printed(disabled, 0) + " disabled" : "");
}

struct Layout {
  int name = 0, error = 0;
  std::vector<const TopColumn*> middle;
};

Layout layout_for(const std::vector<Json>& endpoints, int columns) {
  Layout layout;
  int left = columns;
  for (const TopColumn& one : middle_columns()) {
    if (columns < one.from) continue;
    layout.middle.push_back(&one);
    left -= one.width + 1;
  }
  int longest = 8;
  for (const Json& endpoint : endpoints) longest = std::max(longest, display_width(name_of(endpoint)));
  layout.name = std::clamp(longest, 1, std::max(1, left * 11 / 20));
  layout.error = std::max(0, left - layout.name - 1);
  return layout;
}

template <class CellOf>
std::string line_of(const Layout& layout, const Style& style, CellOf cell_of) {
  const auto put = [&](const Column& column, int width, bool right) {
    const Cell cell = cell_of(column);
    return tinted(fitted(cell.text, width, right), cell.tint, style.color);
  };
  std::string line = put(name_column(), layout.name, false);
  for (const TopColumn* one : layout.middle) line += ' ' + put(one->column, one->width, one->column.right);
  const Cell error = cell_of(error_column());
  return line +
         (layout.error > 0 ? ' ' + tinted(cut(error.text, layout.error), error.tint, style.color) : "");
}

std::string footer(const TopState& state, std::size_t shown, std::size_t all) {
  if (state.typing) return "/" + state.filter + "_   Enter: keep, Esc: no filter";
  std::string text = order_text(state.order);
  if (!state.filter.empty()) text += ", /" + state.filter;
  if (shown < all) text += ", " + std::to_string(shown) + " of " + std::to_string(all);
  return text + "   b backlog o oldest e errors n name / filter q quit";
}

}  // namespace

std::vector<Json> arranged(std::vector<Json> endpoints, const TopState& state) {
  std::erase_if(endpoints, [&](const Json& endpoint) { return !passes(endpoint, state.filter); });
  std::vector<std::pair<std::tuple<double, double, std::string>, Json>> ranked;
  ranked.reserve(endpoints.size());
  for (Json& endpoint : endpoints) ranked.emplace_back(rank(endpoint, state.order), std::move(endpoint));
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Json> sorted;
  sorted.reserve(ranked.size());
  for (auto& [place, endpoint] : ranked) sorted.push_back(std::move(endpoint));
  return sorted;
}

std::string render_top(const Json& status, const std::vector<Json>& endpoints, const Style& style) {
  std::vector<Column> columns{name_column()};
  for (const TopColumn& one : middle_columns()) columns.push_back(one.column);
  columns.push_back(error_column());
  return escape_control(summary(status)) + "\n" + render_table(columns, arranged(endpoints, {}), style);
}

std::string render_top_screen(const Json& status, const std::vector<Json>& endpoints, const TopState& state,
                              const Style& style, int columns, int lines) {
  const std::vector<Json> rows = arranged(endpoints, state);
  const Layout layout = layout_for(rows, columns);
  const auto room = static_cast<std::size_t>(std::max(0, lines - 3));
  const std::size_t shown = std::min(room, rows.size());
  std::string screen = cut(summary(status), columns) + "\n" +
                       line_of(layout, style,
                               [](const Column& column) {
                                 return Cell{column.title, Tint::kDim};
                               }) +
                       "\n";
  for (const Json& row : std::span(rows).first(shown))
    screen += line_of(layout, style, [&](const Column& column) { return column.cell(row, style); }) + "\n";
  screen.append(room - shown, '\n');
  if (!state.complaint.empty())
    return screen + tinted(cut(state.complaint, columns), Tint::kBad, style.color);
  return screen + tinted(cut(footer(state, shown, endpoints.size()), columns), Tint::kDim, style.color);
}

}  // namespace outboxd::ctl
