#include "common/json_tree.h"

#include <charconv>

namespace outboxd {
namespace {

// RFC 6901, section 4: digits without leading zeros.
std::optional<std::size_t> index_of(std::string_view step) {
  if (step.empty() || (step.size() > 1 && step.front() == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (error != std::errc() || end != step.data() + step.size()) return std::nullopt;
  return index;
}

}  // namespace

std::optional<JsonPointer> parse_json_pointer(std::string_view text) {
  JsonPointer steps;
  while (!text.empty()) {
    if (text.front() != '/') return std::nullopt;
    text.remove_prefix(1);
    const std::string_view step = text.substr(0, text.find('/'));
    text.remove_prefix(step.size());
    std::string& decoded = steps.emplace_back();
    for (std::size_t i = 0; i < step.size(); ++i) {
      if (step[i] != '~') {
        decoded += step[i];
        continue;
      }
      if (++i == step.size() || (step[i] != '0' && step[i] != '1')) return std::nullopt;
      decoded += step[i] == '0' ? '~' : '/';
    }
  }
  return steps;
}

std::optional<JsonTree> JsonTree::parse(std::string_view text) {
  JsonTree tree(text);
  JsonScanner scanner(text);
  if (!tree.read(scanner) || !scanner.finish()) return std::nullopt;
  return tree;
}

// How deep this goes is the scanner's bound.
bool JsonTree::read(JsonScanner& scanner) {
  const auto node = static_cast<Node>(spans_.size());
  const char first = scanner.peek();
  if (first != '{' && first != '[') {
    const auto span = scanner.value();
    if (span) spans_.push_back(*span);
    return span.has_value();
  }
  const std::size_t start = scanner.offset();
  spans_.push_back({first == '{' ? JsonKind::kObject : JsonKind::kArray, {}});
  if (!(first == '{' ? read_object(scanner, node) : read_array(scanner, node))) return false;
  spans_[node].text = text_.substr(start, scanner.offset() - start);
  return true;
}

bool JsonTree::read_object(JsonScanner& scanner, Node node) {
  if (!scanner.open_object()) return false;
  while (const auto name = scanner.next_member()) {
    const auto value = static_cast<Node>(spans_.size());
    std::optional<std::string_view> plain;
    if (!name->escaped) {
      plain = name->text.substr(1, name->text.size() - 2);
    } else if (auto decoded = json_string(*name)) {
      plain = names_.emplace_back(std::move(*decoded));
    }
    if (!read(scanner)) return false;
    if (plain) members_.insert_or_assign({node, *plain}, value);
  }
  return !scanner.fault();
}

bool JsonTree::read_array(JsonScanner& scanner, Node node) {
  if (!scanner.open_array()) return false;
  std::vector<Node> elements;
  while (scanner.next_element()) {
    elements.push_back(static_cast<Node>(spans_.size()));
    if (!read(scanner)) return false;
  }
  if (!elements.empty()) elements_.emplace(node, std::move(elements));
  return !scanner.fault();
}

std::optional<JsonTree::Node> JsonTree::child(Node parent, const std::string& step) const {
  if (spans_[parent].kind == JsonKind::kObject) {
    const auto found = members_.find({parent, step});
    return found == members_.end() ? std::nullopt : std::optional(found->second);
  }
  const auto array = elements_.find(parent);
  const auto index = index_of(step);
  if (array == elements_.end() || !index || *index >= array->second.size()) return std::nullopt;
  return array->second[*index];
}

const JsonSpan* JsonTree::find(const JsonPointer& pointer) const {
  std::optional<Node> at = 0;
  for (const std::string& step : pointer) {
    at = child(*at, step);
    if (!at) return nullptr;
  }
  return &spans_[*at];
}

}  // namespace outboxd
