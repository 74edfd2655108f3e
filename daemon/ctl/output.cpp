#include "ctl/output.h"

#include <libsmartcols.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "common/text.h"

namespace outboxd::ctl {
namespace {

struct TableDeleter {
  void operator()(libscols_table* table) const { scols_unref_table(table); }
};
struct FreeDeleter {
  void operator()(char* text) const { std::free(text); }
};

void require(bool ok) {
  if (!ok) throw std::bad_alloc();  // the only way libsmartcols fails on valid calls
}

std::string_view escape_sequence(Tint tint) {
  switch (tint) {
    case Tint::kGood:
      return "\033[32m";
    case Tint::kWarn:
      return "\033[33m";
    case Tint::kBad:
      return "\033[31m";
    case Tint::kDim:
      return "\033[2m";
    case Tint::kPlain:
      break;
  }
  return {};
}

std::string harmless(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (std::string_view rest = json; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(rest));
    const std::string_view sequence = rest.substr(0, length);
    if (acts_on_terminal(sequence)) {
      std::array<char, 8> escaped;
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", code_point(sequence) & 0xffffu);
      out += escaped.data();
    } else {
      out += sequence;
    }
    rest.remove_prefix(length);
  }
  return out;
}

// A column with its cells, escaped.
struct TableColumn {
  const Column* column = nullptr;
  std::vector<Cell> cells = {};
  std::size_t width = 0;  // of its widest cell, or of the title
};

constexpr std::size_t kGap = 1;           // between columns
constexpr std::size_t kLeastWidth = 10;   // of a column that is cut
constexpr std::size_t kLeastColumns = 2;  // that are shown, however narrow the terminal is

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

TableColumn render_column(const Column& column, std::span<const Json> rows, const Style& style) {
  TableColumn made{.column = &column, .width = characters(column.title)};
  for (const Json& row : rows) {
    Cell cell = column.cell(row, style);
    cell.text = escape_control(cell.text);
    made.width = std::max(made.width, characters(cell.text));
    made.cells.push_back(std::move(cell));
  }
  return made;
}

std::string cut(const std::string& text, std::size_t width) {
  if (characters(text) <= width) return text;
  std::string_view rest = text;
  std::string out;
  for (std::size_t n = 1; n < width; ++n) {
    const std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(rest));
    out += rest.substr(0, length);
    rest.remove_prefix(length);
  }
  return out + "…";
}

std::size_t least_width(const TableColumn& c) {
  if (!c.column->cut) return c.width;
  return std::min(c.width, std::max(kLeastWidth, characters(c.column->title)));
}

void fit(std::vector<TableColumn>& columns, std::size_t width) {
  const auto least = [&columns] {
    std::size_t sum = 0;
    for (const TableColumn& c : columns) sum += least_width(c) + kGap;
    return sum - kGap;
  };
  while (columns.size() > kLeastColumns && least() > width) columns.pop_back();
  std::size_t left = width - std::min(width, least());
  for (TableColumn& c : columns) {
    const std::size_t granted = std::min(c.width, least_width(c) + left);
    left -= granted - least_width(c);
    if (granted == c.width) continue;
    for (Cell& cell : c.cells) cell.text = cut(cell.text, granted);
  }
}

}  // namespace

std::optional<Format> parse_format(std::string_view text) {
  if (text == "table") return Format::kTable;
  if (text == "wide") return Format::kWide;
  if (text == "json") return Format::kJson;
  if (text == "jsonl") return Format::kJsonl;
  if (text == "id") return Format::kId;
  return std::nullopt;
}

std::string tinted(std::string_view text, Tint tint, bool color) {
  if (!color || tint == Tint::kPlain || text.empty()) return std::string(text);
  return std::string(escape_sequence(tint)).append(text).append("\033[0m");
}

std::string member_text(const Json& object, std::string_view name) {
  const auto it = object.is_object() ? object.find(std::string(name)) : object.end();
  if (it == object.end() || it->is_null()) return "-";
  if (it->is_string()) return it->get<std::string>().empty() ? "-" : it->get<std::string>();
  const bool plain_list =
      it->is_array() && std::all_of(it->begin(), it->end(), [](const Json& j) { return j.is_string(); });
  if (!plain_list) return dump(*it);
  std::string joined;
  for (const Json& item : *it) joined += (joined.empty() ? "" : ",") + item.get<std::string>();
  return joined.empty() ? "-" : joined;
}

Column column(std::string title, std::string member, bool wide_only) {
  const bool is_id = member == "id";
  return {
      std::move(title),
      [member = std::move(member)](const Json& row, const Style&) { return Cell{member_text(row, member)}; },
      wide_only, false, !is_id};
}

Column number_column(std::string title, std::string member, bool wide_only) {
  Column made = column(std::move(title), std::move(member), wide_only);
  made.right = true;
  made.cut = false;
  return made;
}

Column time_column(std::string title, std::string member, bool wide_only) {
  return {std::move(title),
          [member = std::move(member)](const Json& row, const Style& style) {
            const std::string text = member_text(row, member);
            const auto time = parse_time(text);
            return Cell{!time || style.format == Format::kWide ? text : age_text(*time, style.now)};
          },
          wide_only, false, false};
}

Column endpoint_column() {
  return {"ENDPOINT", [](const Json& row, const Style&) { return Cell{endpoint_text(row)}; }};
}

std::string name_of_endpoint(const Json& endpoint) {
  const std::string name = member_text(endpoint, "name");
  return name == "-" ? member_text(endpoint, "id") : name;
}

std::string endpoint_text(const Json& row) {
  const std::string name = member_text(row, "endpoint_name");
  return name == "-" ? member_text(row, "endpoint") : name;
}

Column state_column() {
  return {"STATE", [](const Json& row, const Style&) {
            const std::string state = member_text(row, "state");
            std::string reason = member_text(row, "reason");
            if (reason == "-") reason = member_text(row, "disabled_reason");
            return Cell{reason == "-" ? state : state + " (" + reason + ")", state_tint(state)};
          }};
}

Tint state_tint(std::string_view state) {
  if (state == "delivered" || state == "active") return Tint::kGood;
  if (state == "dead" || state == "disabled") return Tint::kBad;
  if (state == "pending" || state == "paused") return Tint::kWarn;
  return Tint::kDim;
}

std::string coarse_duration(Millis d) {
  const auto seconds = d.count() / 1000;
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (d < std::chrono::hours(48)) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

std::string age_text(Time then, Time now) {
  return then > now ? "in " + coarse_duration(then - now) : coarse_duration(now - then) + " ago";
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string render_table(std::span<const Column> columns, std::span<const Json> rows, const Style& style) {
  std::vector<TableColumn> shown;
  for (const Column& c : columns) {
    if (!c.wide_only || style.format == Format::kWide) shown.push_back(render_column(c, rows, style));
  }
  if (style.width > 0 && style.format == Format::kTable) fit(shown, static_cast<std::size_t>(style.width));
  const std::unique_ptr<libscols_table, TableDeleter> table(scols_new_table());
  require(table != nullptr);
  // Never cut or encoded by libsmartcols, because the text is cut and escaped already.
  scols_table_set_termforce(table.get(), SCOLS_TERMFORCE_NEVER);
  scols_table_enable_noencoding(table.get(), 1);
  scols_table_enable_colors(table.get(), style.color);
  for (const TableColumn& c : shown) {
    require(scols_table_new_column(table.get(), c.column->title.c_str(), 0,
                                   c.column->right ? SCOLS_FL_RIGHT : 0) != nullptr);
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    libscols_line* line = scols_table_new_line(table.get(), nullptr);
    require(line != nullptr);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const Cell& cell = shown[i].cells[row];
      require(scols_line_set_data(line, i, cell.text.c_str()) == 0);
      if (cell.tint == Tint::kPlain) continue;
      require(scols_cell_set_color(scols_line_get_cell(line, i),
                                   std::string(escape_sequence(cell.tint)).c_str()) == 0);
    }
  }
  char* text = nullptr;
  require(scols_print_table_to_string(table.get(), &text) == 0);
  const std::unique_ptr<char, FreeDeleter> owned(text);
  std::string out = text ? text : "";
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out;
}

std::string render_fields(const Fields& fields, const Style& style) {
  std::size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, escape_control(name).size());
  std::string out;
  for (const auto& [raw_name, value] : fields) {
    const std::string name = escape_control(raw_name);
    out += tinted(name, Tint::kDim, style.color) + std::string(width + 2 - name.size(), ' ') +
           tinted(escape_control(value.text), value.tint, style.color) + '\n';
  }
  return out;
}

Fields fields_of(const Json& object, std::span<const std::string_view> skip) {
  Fields fields;
  for (const auto& [name, value] : object.items()) {
    if (std::find(skip.begin(), skip.end(), name) != skip.end() || value.is_null()) continue;
    const std::string text = member_text(object, name);
    fields.emplace_back(name, Cell{text, name == "state" ? state_tint(text) : Tint::kPlain});
  }
  return fields;
}

std::string render_json(const Json& json, bool indented) {
  return harmless(json.dump(indented ? 2 : -1, ' ', false, Json::error_handler_t::replace)) + '\n';
}

std::string render_rows(std::span<const Column> columns, const std::vector<Json>& rows,
                        const Json& next_cursor, const Style& style, const std::string& id_member) {
  switch (style.format) {
    case Format::kJson: {
      Json page = {{"data", rows}, {"next_cursor", next_cursor}};
      return render_json(page, true);
    }
    case Format::kJsonl:
    case Format::kId: {
      std::string out;
      for (const Json& row : rows) {
        out += style.format == Format::kJsonl ? render_json(row, false)
                                              : escape_control(member_text(row, id_member)) + '\n';
      }
      return out;
    }
    case Format::kTable:
    case Format::kWide:
      break;
  }
  return render_table(columns, rows, style);
}

}  // namespace outboxd::ctl
