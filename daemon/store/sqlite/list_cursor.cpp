#include "store/sqlite/list_cursor.h"

#include "common/text.h"

namespace outboxd::sqlite {

std::string write_cursor(char list, const Key& key) {
  std::string text(1, list);
  for (const auto part : key) text += (text.size() > 1 ? "-" : "") + std::to_string(part);
  return text;
}

tl::unexpected<Problem> foreign_cursor() {
  return problem(ProblemCode::kInvalidParameter,
                 "cursor must be next_cursor of the page before, of the same list",
                 {{"cursor", "must be next_cursor of the page before, of the same list"}});
}

Result<Key> read_cursor(const std::string& text, char list, Key start) {
  if (text.empty()) return start;
  Key key;
  if (text[0] == list) {
    std::string_view rest = std::string_view(text).substr(1);
    while (true) {
      const auto part = parse_int(rest.substr(0, rest.find('-')));
      if (!part || *part < 0) break;
      key.push_back(*part);
      if (rest.find('-') == rest.npos) {
        if (key.size() == start.size()) return key;
        break;
      }
      rest.remove_prefix(rest.find('-') + 1);
    }
  }
  return foreign_cursor();
}

}  // namespace outboxd::sqlite
