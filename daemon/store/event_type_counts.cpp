#include "store/event_type_counts.h"

#include <algorithm>

namespace outboxd {
namespace {

constexpr std::string_view kOthers = "*";  // no type may be called so

void count(std::string_view tenant, std::string_view type, const SeenEvents& seen, EventTypeTable& table,
           std::int64_t& rows) {
  if (table.add(tenant, type, seen)) return;
  const bool by_name = rows < kMaxEventTypes;
  const bool by_tenant = rows < kMaxEventTypes + kMaxOtherTypes;
  if (!by_name && table.add(tenant, kOthers, seen)) return;
  if (!by_tenant && table.add("", kOthers, seen)) return;
  table.insert(by_tenant ? tenant : "", by_name ? type : kOthers, seen);
  ++rows;
}

}  // namespace

bool is_other(std::string_view type) {
  return type == kOthers;
}

void SeenEvents::add(Time at) {
  ++events;
  last_at = std::max(last_at, at);
}

void count_types(const SeenTypes& seen, EventTypeTable& table, std::int64_t& rows) {
  for (const auto& [type, events] : seen) count(type.first, type.second, events, table, rows);
}

}  // namespace outboxd
