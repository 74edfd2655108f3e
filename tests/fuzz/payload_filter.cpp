// Filters: what is found in a payload is what nlohmann finds there, and a filter holds when each of its conditions does.   filter, payload
#include "common/payload_filter.h"

#include <algorithm>

#include "common/json_number.h"
#include "fuzz/json_reference.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

using Reference = nlohmann::json;

// What nlohmann reads there, discarded where nothing is; nullopt: it refuses the payload.
std::optional<Reference> look(std::string_view payload, const std::string& pointer) {
  const auto whole = Reference::parse(payload, nullptr, false);
  if (whole.is_discarded()) return std::nullopt;
  try {
    return whole.at(Reference::json_pointer(pointer));
  } catch (const Reference::exception&) {
    return Reference(Reference::value_t::discarded);
  }
}

void check(const PayloadFilter::Outcome& outcome, std::string_view payload) {
  if (outcome.condition == "exists")
    HOLDS(outcome.holds == (outcome.found.has_value() == (outcome.wanted == "true")));
  if (!outcome.found && outcome.condition != "exists") HOLDS(!outcome.holds);
  if (outcome.pointer.find('~') != std::string::npos) return;  // nlohmann takes some that are none
  const auto reference = look(payload, outcome.pointer);
  if (!reference) return;
  HOLDS(outcome.found.has_value() == !reference->is_discarded());
  if (outcome.found) HOLDS(Reference::parse(*outcome.found, nullptr, false) == *reference);
}

}  // namespace

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  const std::string_view text = parts.next(), payload = parts.next();
  const auto filter = PayloadFilter::parse(text, "/filter");
  const auto tree = JsonTree::parse(payload);
  HOLDS(tree.has_value() == is_json(payload));
  if (!filter) {
    HOLDS(!filter.error().empty());
    return;
  }
  HOLDS(filter->text() == text);
  HOLDS(PayloadFilter::parse(filter->text(), "") == *filter);
  if (!tree) return;
  const auto outcomes = filter->explain(*tree);
  HOLDS(filter->holds(*tree) == std::ranges::all_of(outcomes, &PayloadFilter::Outcome::holds));
  for (const auto& outcome : outcomes) check(outcome, payload);
}
