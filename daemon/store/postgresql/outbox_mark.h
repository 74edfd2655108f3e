// From which row on an outbox is looked at, ours or an application's. Rows come and go at its beginning, and while a snapshot is open
// anywhere in the database, whoever reads from there walks over all that was deleted since (due_marks.h). So what lies
// behind is left out once no transaction is under way any more that may have drawn a number there: those that ran when a
// row was seen have ended when the oldest one that runs is younger than all of them.
//
// A number is drawn a moment before its transaction gets an id: triggers run in between. So the mark lags by seconds
// besides.
//
// Now and then everything is looked at all the same, because a rejected row may be put back: as often as it costs a
// twentieth of the time; that is almost always. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

namespace outboxd::postgresql {

class OutboxMark {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  static constexpr std::int64_t kBeginning = std::numeric_limits<std::int64_t>::min();
  static constexpr std::chrono::seconds kMaxBetween{60}, kLag{10};
  static constexpr int kShare = 20;

  struct Look {
    std::int64_t from = 0;
    std::int64_t oldest_running = 0, next_to_run = 0;  // ids of transactions, as of its snapshot
    std::optional<std::int64_t> highest = {};          // of the rows that were found
    bool is_all = true;                                // there are no more
  };

  std::int64_t look_from(Moment now) const { return now < full_look_at_ ? mark_ : kBeginning; }

  void looked(const Look& look, Moment began, Moment ended) {
    if (look.from == kBeginning)
      full_look_at_ = ended + std::min<Moment::duration>((ended - began) * kShare, kMaxBetween);
    if (next_ && began - next_->seen_at >= kLag && look.oldest_running >= next_->runs &&
        (look.is_all || look.highest >= next_->seq)) {
      mark_ = std::max(mark_, next_->seq + 1);
      next_.reset();
    }
    if (!next_ && look.highest) next_ = {*look.highest, look.next_to_run, ended};
  }

 private:
  struct Next {
    std::int64_t seq = 0;  // a row that was found
    std::int64_t runs =
        0;  // when no older transaction runs than this one, nothing more comes to light below it
    Moment seen_at{};
  };
  std::int64_t mark_ = kBeginning;
  std::optional<Next> next_;
  Moment full_look_at_{};
};

}  // namespace outboxd::postgresql
