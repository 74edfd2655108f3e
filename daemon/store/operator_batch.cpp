#include "store/operator_batch.h"

#include <algorithm>
#include <array>
#include <string>

#include "common/enum_names.h"
#include "common/json.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::array<std::string_view, 4> kActions = {"retry", "discard", "replay", "replay_missing"};
constexpr std::array<std::string_view, 3> kStates = {"running", "finished", "cancelled"};
static_assert(kActions.size() == static_cast<std::size_t>(BatchAction::kReplayMissing) + 1);
static_assert(kStates.size() == static_cast<std::size_t>(BatchState::kCancelled) + 1);

struct NotOurs {};

// Takes the member out of `json`; `parse` turns its text into an optional.
template <class Parse>
auto take(Json& json, const char* name, Parse parse) -> decltype(parse(std::string())) {
  const auto member = json.find(name);
  if (member == json.end()) return std::nullopt;
  if (!member->is_string()) throw NotOurs{};
  auto value = parse(member->get<std::string>());
  if (!value) throw NotOurs{};
  json.erase(name);
  return value;
}

std::optional<int> parse_status(const std::string& text) {
  const auto number = parse_int(text);
  if (!number) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

std::string_view to_string(BatchAction action) {
  return name_of(kActions, action);
}
std::string_view to_string(BatchState state) {
  return name_of(kStates, state);
}
std::optional<BatchAction> parse_batch_action(std::string_view text) {
  return enum_of<BatchAction>(kActions, text);
}
std::optional<BatchState> parse_batch_state(std::string_view text) {
  return enum_of<BatchState>(kStates, text);
}

bool may_act(BatchAction action, DeliveryState state) {
  switch (action) {
    case BatchAction::kRetry:
    case BatchAction::kDiscard:
      return state == DeliveryState::kPending || state == DeliveryState::kDead;
    case BatchAction::kReplay:
      return true;
    case BatchAction::kReplayMissing:
      return state == DeliveryState::kDead || state == DeliveryState::kDiscarded;
  }
  return false;
}

std::string encode_filter(const DeliveryFilter& filter) {
  Json json = Json::object();
  if (filter.state) json["state"] = to_string(*filter.state);
  if (filter.endpoint) json["endpoint"] = filter.endpoint->to_string();
  if (filter.event) json["event"] = filter.event->to_string();
  if (filter.tenant) json["tenant"] = *filter.tenant;
  if (filter.type) json["type"] = *filter.type;
  if (filter.error) json["error"] = *filter.error;
  if (filter.reason) json["reason"] = to_string(*filter.reason);
  if (filter.status) json["status"] = std::to_string(*filter.status);
  if (filter.since) json["since"] = format_time(*filter.since);
  if (filter.until) json["until"] = format_time(*filter.until);
  return dump(json);
}

std::optional<DeliveryFilter> decode_filter(std::string_view text) try {
  const auto as_text = [](std::string value) { return std::optional(std::move(value)); };
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  DeliveryFilter filter;
  filter.state = take(json, "state", parse_delivery_state);
  filter.endpoint = take(json, "endpoint", &EndpointId::parse);
  filter.event = take(json, "event", &EventId::parse);
  filter.tenant = take(json, "tenant", as_text);
  filter.type = take(json, "type", as_text);
  filter.error = take(json, "error", as_text);
  filter.reason = take(json, "reason", parse_dead_reason);
  filter.status = take(json, "status", parse_status);
  filter.since = take(json, "since", parse_time);
  filter.until = take(json, "until", parse_time);
  // A filter of which something is not understood would match more than it says.
  if (!json.empty()) return std::nullopt;
  return filter;
} catch (const NotOurs&) {
  return std::nullopt;
}

void note_step(OperatorBatch& batch, const BatchStep& step, std::int64_t done) {
  batch.done += done;
  batch.skipped += static_cast<std::int64_t>(step.keys.size()) - done;
  batch.place = step.to;
  batch.matched = std::max({batch.matched, step.matched, batch.done + batch.skipped});
  batch.counted = batch.counted || step.counted || step.last;
  if (!step.last) return;
  batch.skipped = std::max(batch.skipped, batch.matched - batch.done);
  batch.state = BatchState::kFinished;
  batch.finished_at = step.at;
}

tl::unexpected<Problem> too_many_batches() {
  return problem(ProblemCode::kConflict,
                 std::to_string(kMaxRunningBatches) + " batches are running: wait for one, or cancel one");
}

tl::unexpected<Problem> has_ended(BatchState state) {
  return problem(ProblemCode::kConflict,
                 "the batch is " + std::string(to_string(state)) + " already: nothing is cancelled");
}

}  // namespace outboxd
