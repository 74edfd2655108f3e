#include "ctl/attempt_feed.h"

#include <algorithm>

#include "ctl/output.h"

namespace outboxd::ctl {

std::vector<Json> AttemptFeed::changed(std::span<const Json> newest_first) {
  std::vector<Json> fresh;
  for (const Json& delivery : newest_first) {
    const std::string id = member_text(delivery, "id");
    const std::string mark = member_text(delivery, "state") + member_text(delivery, "attempts");
    const auto [it, is_new] = seen_.try_emplace(id, mark);
    if (is_new) order_.push_back(id);
    const bool untouched = mark == "pending0";
    if (!untouched && (is_new || it->second != mark)) fresh.push_back(delivery);
    it->second = mark;
  }
  while (order_.size() > kRemembered) {
    seen_.erase(order_.front());
    order_.pop_front();
  }
  std::reverse(fresh.begin(), fresh.end());
  return fresh;
}

}  // namespace outboxd::ctl
