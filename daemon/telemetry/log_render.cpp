#include <cstdint>

#include "common/json.h"
#include "common/text.h"
#include "telemetry/log.h"

namespace outboxd::log {
namespace {

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      break;
  }
  return "error";
}

// The length of the character at `i` if it would move a terminal's cursor, end the line or reorder what is read; else 0.
// The text must be UTF-8.
std::size_t control_length(std::string_view text, std::size_t i) {
  const auto c = static_cast<unsigned char>(text[i]);
  if (c < 0x20 || c == 0x7F) return 1;
  if (c < 0x80) return 0;
  const std::size_t length = utf8_sequence_length(text.substr(i));
  return length > 0 && acts_on_terminal(text.substr(i, length)) ? length : 0;
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' || text[i] == '=' || text[i] == '"' || text[i] == '\\' || control_length(text, i) > 0)
      return true;
  }
  return false;
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' || text[i] == '\\') {
      out.push_back('\\');
      out.push_back(text[i]);
    } else if (text[i] == '\n') {
      out += "\\n";
    } else if (text[i] == '\r') {
      out += "\\r";
    } else if (text[i] == '\t') {
      out += "\\t";
    } else if (const std::size_t length = control_length(text, i); length > 0) {
      const std::uint32_t code = code_point(text.substr(i, length));
      out += "\\u";
      for (const int shift : {12, 8, 4, 0}) out.push_back(kHex[(code >> shift) & 0xF]);
      i += length - 1;
    } else {
      out.push_back(text[i]);
    }
  }
}

void append_logfmt(std::string& line, std::string_view key, std::string_view raw) {
  const std::string value = valid_utf8(raw);
  if (!line.empty()) line.push_back(' ');
  line.append(key).push_back('=');
  if (!needs_quotes(value)) {
    line += value;
    return;
  }
  line.push_back('"');
  append_escaped(line, value);
  line.push_back('"');
}

// std::to_string writes nan and inf, which JSON has no numbers for.
bool is_json_literal(std::string_view value) {
  return value == "true" || value == "false" ||
         value.find_first_not_of("0123456789.-") == std::string_view::npos;
}

std::string json_string(std::string_view text) {
  return dump(Json(valid_utf8(text)));
}

}  // namespace

std::string render_logfmt(std::string_view time, Level level, std::string_view message, Fields fields) {
  std::string line;
  append_logfmt(line, "time", time);
  append_logfmt(line, "level", name_of(level));
  append_logfmt(line, "msg", message);
  for (const auto& field : fields) append_logfmt(line, field.key, field.value);
  return line;
}

std::string render_json(std::string_view time, Level level, std::string_view message, Fields fields) {
  std::string line = "{\"time\":" + json_string(time) + ",\"level\":" + json_string(name_of(level)) +
                     ",\"msg\":" + json_string(message);
  for (const auto& field : fields) {
    line += "," + json_string(field.key) + ":";
    line += field.bare && is_json_literal(field.value) ? field.value : json_string(field.value);
  }
  line.push_back('}');
  return line;
}

}  // namespace outboxd::log
