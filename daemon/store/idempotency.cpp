#include "store/idempotency.h"

#include <unordered_map>
#include <utility>

#include "common/words.h"

namespace outboxd {
namespace {

// These set the disposition by the event that used the key first, stored or in the same command, and return what it is called
// if its content is another.

std::optional<std::string> compare_to_stored(const NewEvent& event, const FindKeyUse& find,
                                             Disposition& disposition) {
  const auto use = find(event);
  if (!use) return std::nullopt;
  disposition = {Disposition::kDuplicate, use->event, 0};
  if (use->same_content) return std::nullopt;
  return use->event.id.to_string();
}

std::optional<std::string> compare_in_command(const AcceptEvents& command, std::size_t first, std::size_t i,
                                              std::vector<Disposition>& dispositions) {
  const NewEvent& earlier = command.events[first];
  const Disposition& before = dispositions[first];
  dispositions[i] = before.kind == Disposition::kDuplicate
                        ? before
                        : Disposition{Disposition::kDuplicateInCommand, {}, first};
  if (earlier.content_digest == command.events[i].content_digest) return std::nullopt;
  // To the author of an outbox row there is no request with indexes, so its conflict names the event.
  if (!earlier.outbox_row) return "/" + std::to_string(first) + " of this request";
  return (before.kind == Disposition::kDuplicate ? before.first.id : earlier.event->id).to_string();
}

Problem conflict(const NewEvent& event, std::size_t i, const std::string& used_by) {
  std::string what = in_quotes(*event.idempotency_key);
  what.append(" was used with other content, by the event ").append(used_by);
  return {
      ProblemCode::kIdempotencyConflict, "the idempotency key " + what, {{"/" + std::to_string(i), what}}};
}

}  // namespace

std::string idempotency_key_of(const NewEvent& event) {
  return event.event->tenant + '\0' + *event.idempotency_key;
}

std::optional<Problem> check_idempotency(const AcceptEvents& command, std::vector<Disposition>& dispositions,
                                         const FindKeyUse& find, const RowWaits& waits) {
  std::unordered_map<std::string, std::size_t> seen;  // the index of the first event with each key
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    const NewEvent& event = command.events[i];
    if (!event.idempotency_key) continue;
    const bool stored_before = dispositions[i].kind == Disposition::kStoredBefore;
    if (!stored_before && event.outbox_row && !waits(*event.outbox_row)) {
      dispositions[i].kind = Disposition::kRowDeleted;
      continue;
    }
    const auto [first, is_first] = seen.try_emplace(idempotency_key_of(event), i);
    if (stored_before) continue;
    const auto used_by = is_first ? compare_to_stored(event, find, dispositions[i])
                                  : compare_in_command(command, first->second, i, dispositions);
    if (used_by) return conflict(event, i, *used_by);
  }
  return std::nullopt;
}

}  // namespace outboxd
