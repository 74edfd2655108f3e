#include "ctl/whole_id.h"

#include <algorithm>
#include <array>
#include <vector>

#include "ctl/listing.h"

namespace outboxd::ctl {
namespace {

constexpr int kMostLookedAt = 2'000;
constexpr std::size_t kShown = 3;
constexpr std::size_t kTimeDigits = 12;  // 48 bits of milliseconds

struct Kind {
  std::string_view prefix, noun;
  const char* list;
  bool in_time;  // the list can be asked for a span of time
  Millis slack;  // by which the time in an id may differ from that in the list
};
// A delivery's id is made of its event's time; an event's is made a moment before or after that.
constexpr std::array<Kind, 3> kKinds = {{{"evt_", "event", "/v1/events", true, Millis(1000)},
                                         {"dlv_", "delivery", "/v1/deliveries", true, Millis(0)},
                                         {"bat_", "batch", "/v1/batches", false, Millis(0)}}};

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

Path list_for(const Kind& kind, const std::string& beginning) {
  Path path(kind.list);
  if (!kind.in_time) return path;
  const IdSpan span = span_of_ids(std::string_view(beginning).substr(kind.prefix.size()));
  path.with("since", format_time(span.first - kind.slack));
  path.with("until", format_time(span.last + kind.slack + Millis(1)));
  return path;
}

}  // namespace

bool begins_id(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  const std::string_view digits = text.substr(prefix.size());
  return digits.size() >= kMinIdDigits && digits.size() <= kIdDigits && std::ranges::all_of(digits, is_hex);
}

IdSpan span_of_ids(std::string_view digits) {
  std::string first(digits.substr(0, kTimeDigits)), last = first;
  first.resize(kTimeDigits, '0');
  last.resize(kTimeDigits, 'f');
  const auto time = [](const std::string& hex) { return from_unix_millis(std::stoll(hex, nullptr, 16)); };
  return {time(first), time(last)};
}

std::string whole_id(Session& session, const std::string& id) {
  const auto* const kind =
      std::ranges::find_if(kKinds, [&](const Kind& k) { return id.starts_with(k.prefix); });
  if (kind == kKinds.end() || id.size() >= kind->prefix.size() + kIdDigits) return id;
  const Listed listed = fetch_list(session.api(), list_for(*kind, id), {kMostLookedAt, std::nullopt});
  std::vector<std::string> found;
  for (const Json& row : listed.rows) {
    std::string candidate = member_text(row, "id");
    if (candidate.starts_with(id)) found.push_back(std::move(candidate));
  }
  const bool all = listed.next_cursor.is_null();
  if (found.size() == 1 && all) return found.front();
  const std::string noun(kind->noun);
  if (found.empty() && all)
    throw Failure(kExitNotFound, "there is no " + noun + " whose id begins with " + id);
  std::string message = id + " does not tell which " + noun + ": ";
  if (found.size() < 2)
    throw Failure(kExitUsage, message + "too many are of that time; give more of its digits");
  for (std::size_t i = 0; i < std::min(found.size(), kShown); ++i) message += found[i] + ", ";
  if (found.size() > kShown || !all) message += "…, ";
  throw Failure(kExitUsage, message + "give more of its digits");
}

}  // namespace outboxd::ctl
