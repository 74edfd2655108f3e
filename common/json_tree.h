// A JSON text taken apart once, for many look-ups by JSON Pointer (RFC 6901). A value is a span of the text, so a number
// keeps all of its digits. A look-up costs its steps, however wide the text is. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/json_span.h"

namespace outboxd {

// The steps of a pointer, decoded: "/a~1b/0" is "a/b", "0". nullopt: not a pointer. "" has no steps: the whole text.
using JsonPointer = std::vector<std::string>;
std::optional<JsonPointer> parse_json_pointer(std::string_view text);

class JsonTree {
 public:
  // nullopt: the text is not exactly one JSON value. The text has to outlive the tree. Of members with one name the last
  // counts. A name without a UTF-8 form (a lone surrogate) cannot be looked up.
  static std::optional<JsonTree> parse(std::string_view text);

  // Null: nothing is there.
  const JsonSpan* find(const JsonPointer& pointer) const;

 private:
  using Node = std::uint32_t;  // an index of spans_
  struct Member {
    Node parent;
    std::string_view name;
    bool operator==(const Member&) const = default;
  };
  struct MemberHash {
    std::size_t operator()(const Member& m) const {
      return std::hash<std::string_view>()(m.name) ^ (m.parent * 0x9E3779B97F4A7C15u);
    }
  };

  explicit JsonTree(std::string_view text) : text_(text) {}
  bool read(JsonScanner& scanner);
  bool read_object(JsonScanner& scanner, Node node);
  bool read_array(JsonScanner& scanner, Node node);
  std::optional<Node> child(Node parent, const std::string& step) const;

  std::string_view text_;
  std::vector<JsonSpan> spans_;
  std::unordered_map<Member, Node, MemberHash> members_;
  std::unordered_map<Node, std::vector<Node>> elements_;  // of arrays
  std::deque<std::string> names_;                         // those that had to be decoded
};

}  // namespace outboxd
