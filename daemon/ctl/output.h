// What commands print: tables, fields, JSON, ids. Pure, from JSON to text; control bytes in text from outside are
// escaped here.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

enum class Format { kTable, kWide, kJson, kJsonl, kId };
std::optional<Format> parse_format(std::string_view);

struct Style {
  Format format = Format::kTable;
  bool color = false;
  Time now{};     // what ages are relative to
  int width = 0;  // of the terminal, in columns; 0: there is none
};

enum class Tint { kPlain, kGood, kWarn, kBad, kDim };
std::string tinted(std::string_view text, Tint tint, bool color);

struct Cell {
  std::string text;  // not yet escaped
  Tint tint = Tint::kPlain;
};

struct Column {
  std::string title;
  std::function<Cell(const Json& row, const Style& style)> cell;
  bool wide_only = false;
  bool right = false;  // aligned
  bool cut = true;     // where the terminal is too narrow, its text may end in "…"
};

// A member as text: "-" for null and absent, lists with commas, objects as JSON.
std::string member_text(const Json& object, std::string_view name);
// Columns that show one member: as it is, or a time as its distance from now ("3m ago", "in 2h"), and in full when
// wide.
Column column(std::string title, std::string member, bool wide_only = false);
Column number_column(std::string title, std::string member, bool wide_only = false);
Column time_column(std::string title, std::string member, bool wide_only = false);
// An endpoint, and that of a delivery or an attempt: its name, or its id when it has none.
std::string name_of_endpoint(const Json& endpoint);
std::string endpoint_text(const Json& row);
Column endpoint_column();
Column state_column();  // "state", with "reason" or "disabled_reason" when there is one
Tint state_tint(std::string_view state);

// "12s", "5m", "3h", "2d": one unit, rounded down.
std::string coarse_duration(Millis d);
std::string age_text(Time then, Time now);
std::string bytes_text(std::int64_t bytes);  // "12.3 MiB"

// A line for each row. With kTable and a terminal it fits the terminal's width: the last columns are left out until the
// others fit, those that can be cut are cut. Ids are never cut, because they must be fit to copy.
std::string render_table(std::span<const Column> columns, std::span<const Json> rows, const Style& style);
// Aligned "name  value" lines.
using Fields = std::vector<std::pair<std::string, Cell>>;
std::string render_fields(const Fields& fields, const Style& style);
// Every member of an object but those in `skip`, which the caller shows otherwise.
Fields fields_of(const Json& object, std::span<const std::string_view> skip);
// Indented (kJson) or on one line, with a newline at the end. Characters that a terminal would act upon become \u
// escapes: the same JSON, harmless to look at.
std::string render_json(const Json& json, bool indented);
// Rows in the wanted format; `next_cursor` is shown in kJson only. Ids are the member `id_member`.
std::string render_rows(std::span<const Column> columns, const std::vector<Json>& rows,
                        const Json& next_cursor, const Style& style, const std::string& id_member = "id");

}  // namespace outboxd::ctl
