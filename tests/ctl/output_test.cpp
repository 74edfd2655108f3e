#include "ctl/output.h"

#include <doctest/doctest.h>

#include <clocale>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {

// As outboxctl sets it: libsmartcols measures by it, and never ends on text that it cannot read.
[[maybe_unused]] const char* const kLocale = std::setlocale(LC_CTYPE, "C.UTF-8");

const Time kNow = *parse_time("2026-11-23T15:00:00Z");

Style style_of(Format format, bool color = false) {
  return {format, color, kNow, 0};
}

const std::vector<Column> kColumns{column("ID", "id"), number_column("N", "n"), time_column("WHEN", "at"),
                                   state_column(), column("NOTE", "note", true)};

Json row() {
  return {{"id", "x1"},      {"n", 7},           {"at", "2026-11-23T14:55:00.000Z"},
          {"state", "dead"}, {"reason", "gone"}, {"note", "hm"}};
}

}  // namespace

TEST_CASE("a table has headings, ages and reasons; wide adds columns and full times") {
  CHECK(render_table(kColumns, std::vector<Json>{row()}, style_of(Format::kTable)) ==
        "ID N WHEN   STATE\nx1 7 5m ago dead (gone)\n");
  const std::string wide = render_table(kColumns, std::vector<Json>{row()}, style_of(Format::kWide));
  CHECK(wide.find("2026-11-23T14:55:00.000Z") != std::string::npos);
  CHECK(wide.find("NOTE") != std::string::npos);
}

TEST_CASE(
    "a table fits the terminal: its last columns are left out, long text is cut, ids and numbers are not") {
  Json first = row(), second = row();
  first["id"] = "ep_0123456789abcdef0123456789abcdef";
  second["reason"] = "the subscriber has gone away for good, as it said";
  const std::vector<Json> rows{first, second};
  const auto table = [&](int width) {
    Style style = style_of(Format::kTable);
    style.width = width;
    return render_table(kColumns, rows, style);
  };
  CHECK(table(200) == table(0));
  CHECK(table(60) ==
        "ID                                  N WHEN   STATE\n"
        "ep_0123456789abcdef0123456789abcdef 7 5m ago dead (gone)\n"
        "x1                                  7 5m ago dead (the subs…\n");
  CHECK(table(50) ==
        "ID                                  N WHEN\n"
        "ep_0123456789abcdef0123456789abcdef 7 5m ago\n"
        "x1                                  7 5m ago\n");
  CHECK(table(10).find("ep_0123456789abcdef0123456789abcdef 7\n") != std::string::npos);
  Style wide = style_of(Format::kWide);
  wide.width = 20;
  CHECK(render_table(kColumns, rows, wide).find("for good, as it said") != std::string::npos);
}

TEST_CASE("text is cut between characters, not within") {
  const std::vector<Column> columns{column("A", "a"), column("B", "b")};
  Style style = style_of(Format::kTable);
  style.width = 21;
  CHECK(render_table(columns, std::vector<Json>{{{"a", "ääääääääääää"}, {"b", "öööööööööööö"}}}, style) ==
        "A          B\näääääääää… ööööööööö…\n");
}

TEST_CASE("control bytes of any origin never reach the terminal in a table") {
  Json hostile = row();
  hostile["id"] =
      "a\x1b[2J\nb\xc2\x9b"
      "31m\u202e";
  const std::string text = render_table(kColumns, std::vector<Json>{hostile}, style_of(Format::kTable));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("\xc2\x9b") == std::string::npos);
  CHECK(text.find("\u202e") == std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find("a\\x1b[2J") != std::string::npos);  // escaped once
}

TEST_CASE("colors come only when asked for") {
  CHECK(render_table(kColumns, std::vector<Json>{row()}, style_of(Format::kTable, true)).find("\033[31m") !=
        std::string::npos);
  CHECK(tinted("x", Tint::kGood, false) == "x");
  CHECK(tinted("x", Tint::kGood, true) == "\033[32mx\033[0m");
}

TEST_CASE("rows as JSON lines, ids and one JSON page") {
  const std::vector<Json> rows{{{"id", "a"}}, {{"id", "b"}}};
  CHECK(render_rows({}, rows, nullptr, style_of(Format::kJsonl)) == "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
  CHECK(render_rows({}, rows, nullptr, style_of(Format::kId)) == "a\nb\n");
  const Json page = Json::parse(render_rows({}, rows, "c1", style_of(Format::kJson)));
  CHECK(page == Json{{"data", rows}, {"next_cursor", "c1"}});
  CHECK(render_rows({}, {}, nullptr, style_of(Format::kJsonl)).empty());
}

TEST_CASE("JSON output means the same and holds nothing that a terminal acts upon") {
  const Json json = {{"text", "a\x1b\x7f\xc2\x9b\u2028\u202e é漢😀"}};
  const std::string text = render_json(json, false);
  CHECK(Json::parse(text) == json);
  for (const char* bad : {"\x1b", "\x7f", "\xc2\x9b", "\u2028", "\u202e"})
    CHECK(text.find(bad) == std::string::npos);
  CHECK(text.find("é漢😀") != std::string::npos);
}

TEST_CASE("bytes that are no UTF-8 do not stop the output") {
  CHECK(render_json(Json{{"t", "a\xff"}}, false) == "{\"t\":\"a\xEF\xBF\xBD\"}\n");
}

TEST_CASE("members as text") {
  const Json object = {
      {"s", "x"}, {"e", ""},  {"null", nullptr}, {"list", {"a", "b"}}, {"object", {{"k", 1}}},
      {"n", 1.5}, {"b", true}};
  CHECK(member_text(object, "s") == "x");
  CHECK(member_text(object, "e") == "-");
  CHECK(member_text(object, "null") == "-");
  CHECK(member_text(object, "absent") == "-");
  CHECK(member_text(object, "list") == "a,b");
  CHECK(member_text(object, "object") == "{\"k\":1}");
  CHECK(member_text(object, "n") == "1.5");
  CHECK(member_text(object, "b") == "true");
  CHECK(member_text(Json::array(), "s") == "-");
}

TEST_CASE("fields are aligned and skip what is null or named") {
  constexpr std::string_view kSkip[] = {"b"};
  const Json object = {{"a", 1}, {"b", 2}, {"long", "x\ty"}, {"none", nullptr}};
  CHECK(render_fields(fields_of(object, kSkip), style_of(Format::kTable)) == "a     1\nlong  x\\x09y\n");
}

TEST_CASE("sizes, durations and ages are coarse") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(std::int64_t{5} << 40) == "5.0 TiB");
  CHECK(coarse_duration(std::chrono::seconds(59)) == "59s");
  CHECK(coarse_duration(std::chrono::hours(47)) == "47h");
  CHECK(coarse_duration(std::chrono::hours(49)) == "2d");
  CHECK(age_text(kNow + std::chrono::minutes(5), kNow) == "in 5m");
}
