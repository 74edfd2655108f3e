// Templates: the body is JSON, and what nlohmann makes of the template when each value is put in its place.   template, payload
#include "common/body_template.h"

#include "fuzz/json_reference.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

using Reference = nlohmann::json;

// U+E000 to U+E002: private use. A value alone, and the start and the end of one in a string.
constexpr std::string_view kAlone = "\xEE\x80\x80", kOpen = "\xEE\x80\x81", kClose = "\xEE\x80\x82";

// What is written between quotes for these characters.
std::string in_quotes(const std::string& text) {
  const std::string written = Reference(text).dump(-1, ' ', false, Reference::error_handler_t::replace);
  return written.substr(1, written.size() - 2);
}

// The template as a JSON text in which a placeholder is a mark and its pointer, and a string of its own where it stands alone.
std::string marked(std::string_view text) {
  std::string made;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "{{") {
      const auto end = text.find("}}", i);
      const std::string pointer = in_quotes(std::string(text.substr(i + 2, end - i - 2)));
      if (in_string)
        made.append(kOpen).append(pointer).append(kClose);
      else
        made.append("\"").append(kAlone).append(pointer).append("\"");
      i = end + 1;
    } else {
      if (in_string && text[i] == '\\')
        made += text[i++];
      else if (text[i] == '"')
        in_string = !in_string;
      made += text[i];
    }
  }
  return made;
}

// Puts the values of a payload into a marked template.
class Filling {
 public:
  explicit Filling(const JsonTree* payload) : payload_(payload) {}

  // False: where nlohmann differs, or two members have one name.
  bool known() const { return known_; }

  Reference fill(const Reference& value) {
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      if (!text.starts_with(kAlone)) return fill_text(text);
      return read(look(std::string_view(text).substr(kAlone.size())));
    }
    if (!value.is_structured()) return value;
    Reference made = value.is_array() ? Reference::array() : Reference::object();
    for (const auto& item : value.items()) {
      if (value.is_array()) {
        made.push_back(fill(item.value()));
      } else {
        const std::string name = fill_text(item.key());
        if (made.contains(name)) known_ = false;
        made[name] = fill(item.value());
      }
    }
    return made;
  }

 private:
  const JsonSpan* look(std::string_view pointer) const {
    const auto steps = parse_json_pointer(pointer);
    HOLDS(steps.has_value());
    return payload_ == nullptr ? nullptr : payload_->find(*steps);
  }

  Reference read(const JsonSpan* found) {
    Reference value = found == nullptr ? Reference() : Reference::parse(found->text, nullptr, false);
    if (value.is_discarded()) known_ = false;
    return value;
  }

  std::string fill_text(const std::string& text) {
    std::string made;
    for (std::size_t at = 0;;) {
      const auto open = text.find(kOpen, at);
      made += text.substr(at, open - at);
      if (open == std::string::npos) return made;
      const auto close = text.find(kClose, open);
      const JsonSpan* const found =
          look(std::string_view(text).substr(open + kOpen.size(), close - open - kOpen.size()));
      if (found != nullptr && found->kind == JsonKind::kString) {
        const Reference value = read(found);
        if (value.is_string()) made += value.get<std::string>();
      } else {
        made += found == nullptr ? "null" : found->text;
      }
      at = close + kClose.size();
    }
  }

  const JsonTree* payload_;
  bool known_ = true;
};

// Is this what the template makes of the payload? True too where that is not known.
bool agrees(std::string_view text, const JsonTree* payload, const std::string& body) {
  for (const char* const mark : {"\xEE\x80", "\\ue", "\\uE"}) {
    if (text.find(mark) != std::string_view::npos) return true;
  }
  const auto whole = Reference::parse(marked(text), nullptr, false);
  const auto made = Reference::parse(body, nullptr, false);
  if (whole.is_discarded() || made.is_discarded()) return true;  // json_reference.h says why
  Filling filling(payload);
  const Reference expected = filling.fill(whole);
  return !filling.known() || made == expected;
}

}  // namespace

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  const std::string_view text = parts.next(), payload = parts.next();
  const auto body = BodyTemplate::parse(text);
  if (!body) {
    HOLDS(!body.error().empty());
    return;
  }
  HOLDS(text.size() <= BodyTemplate::kMaxText);
  HOLDS(body->text() == text);
  HOLDS(BodyTemplate::parse(body->text()) == *body);
  const auto tree = JsonTree::parse(payload);
  const JsonTree* const known = tree ? &*tree : nullptr;
  const auto made = body->render(known, std::size_t{1} << 30);
  HOLDS(made.has_value());
  HOLDS(is_json(*made) || fuzz::depth_of(*made) > kMaxJsonDepth);
  HOLDS(fuzz::agrees_with_nlohmann(*made, true));
  HOLDS(agrees(text, known, *made));
  HOLDS(body->render(known, made->size()) == made);
  HOLDS(!body->render(known, made->size() - 1));
}
