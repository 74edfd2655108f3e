// Which row of the table of event types counts an event, for every store: those of its tenant and type, or of "other" types
// beyond the bounds. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "common/time.h"

namespace outboxd {

// Types that are counted by name. Further ones are counted together under `*`, those of each tenant apart while there
// are at most kMaxOtherTypes such rows, then all under the tenant "".
inline constexpr std::int64_t kMaxEventTypes = 10'000;
inline constexpr std::int64_t kMaxOtherTypes = 1'000;

bool is_other(std::string_view type);  // `*`

struct SeenEvents {
  std::int64_t events = 0;
  Time last_at{};

  void add(Time at);
};
using SeenTypes = std::map<std::pair<std::string, std::string>, SeenEvents>;  // by tenant and type

class EventTypeTable {
 public:
  virtual ~EventTypeTable() = default;
  // False: there is no such row.
  virtual bool add(std::string_view tenant, std::string_view type, const SeenEvents& seen) = 0;
  virtual void insert(std::string_view tenant, std::string_view type, const SeenEvents& seen) = 0;
};
// `rows`: how many the table has, before and after that.
void count_types(const SeenTypes& seen, EventTypeTable& table, std::int64_t& rows);

}  // namespace outboxd
