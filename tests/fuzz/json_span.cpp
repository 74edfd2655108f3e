// The JSON scanner: it and nlohmann agree on what is JSON and on what it says, and every span is a range of the input that reads the same
// by itself.
#include "common/json_span.h"

#include "fuzz/json_reference.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

bool within(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// Walks a value whose text was accepted, member by member, beside what nlohmann made of it.
void walk(const JsonSpan& span, const nlohmann::ordered_json* reference) {
  JsonScanner scanner(span.text);
  std::size_t count = 0;
  if (span.kind == JsonKind::kObject) {
    HOLDS(scanner.open_object());
    while (const auto name = scanner.next_member()) {
      const auto value = scanner.value();
      HOLDS(value && within(name->text, span.text) && within(value->text, span.text));
      const auto text = json_string(*name);
      if (reference) HOLDS(text && reference->contains(*text));
      walk(*value, nullptr);  // of a name given twice nlohmann keeps the last
      ++count;
    }
    if (reference) HOLDS(count >= reference->size());
  } else if (span.kind == JsonKind::kArray) {
    HOLDS(scanner.open_array());
    while (scanner.next_element()) {
      const auto value = scanner.value();
      HOLDS(value && within(value->text, span.text));
      walk(*value, reference ? &reference->at(count) : nullptr);
      ++count;
    }
    if (reference) HOLDS(count == reference->size());
  } else {
    HOLDS(scanner.value() && (!reference || !reference->is_structured()));
    if (span.kind == JsonKind::kString) {
      const auto text = json_string(span);
      if (reference) HOLDS(text && *text == reference->get<std::string>());
    }
  }
  HOLDS(scanner.finish());
}

}  // namespace

FUZZ_TARGET(input) {
  JsonScanner scanner(input);
  const auto value = scanner.value();
  const bool accepted = value && scanner.finish();
  HOLDS(accepted == !scanner.fault());
  HOLDS(fuzz::agrees_with_nlohmann(input, accepted));
  if (!accepted) {
    HOLDS(scanner.fault()->offset <= input.size() && !scanner.fault()->what.empty());
    return;
  }
  HOLDS(within(value->text, input));
  const auto reference = nlohmann::ordered_json::parse(input, nullptr, false);
  walk(*value, reference.is_discarded() ? nullptr : &reference);
}
