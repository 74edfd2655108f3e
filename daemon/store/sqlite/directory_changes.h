// Counts the changes of endpoints, and tells whether what was matched at an earlier version names an endpoint that was
// removed since: nothing may be stored for that one any more. In memory, from 0 at each start, for commands do not outlive
// the process.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "store/commands.h"

namespace outboxd::sqlite {

class DirectoryChanges {
 public:
  static constexpr std::size_t kMaxRemembered =
      1024;  // removals; what is older than all of them is taken for stale

  explicit DirectoryChanges(std::atomic<DirectoryVersion>& committed) : committed_(committed) {}

  // Around a transaction: what was changed since begin() and not committed is forgotten by the next begin().
  void begin();
  void commit();

  DirectoryVersion change() { return ++version_; }  // an endpoint was made, changed or removed
  DirectoryVersion remove(EndpointSeq endpoint);
  bool is_stale(DirectoryVersion matched, const std::vector<FirstAttempt>& endpoints) const {
    return matched < last_removal() && names_removed(matched, endpoints);
  }

 private:
  struct Removal {
    DirectoryVersion version = 0;
    EndpointSeq endpoint = 0;
  };
  DirectoryVersion last_removal() const { return removals_.empty() ? forgotten_ : removals_.back().version; }
  bool names_removed(DirectoryVersion matched, const std::vector<FirstAttempt>& endpoints) const;

  std::atomic<DirectoryVersion>& committed_;
  DirectoryVersion version_ = 0;
  std::deque<Removal> removals_;    // oldest first
  DirectoryVersion forgotten_ = 0;  // of the last removal that is not among them any more
};

}  // namespace outboxd::sqlite
