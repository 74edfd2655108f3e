// Counts the changes of endpoints, and tells whether endpoints matched at an earlier version include one that was
// removed since, for which nothing may be stored any more. Kept in memory, from 0 at each start, because commands do
// not outlive the process.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "store/commands.h"

namespace outboxd::sqlite {

class DirectoryChanges {
 public:
  // Removals; a match older than all of these counts as stale.
  static constexpr std::size_t kMaxRemembered = 1024;

  explicit DirectoryChanges(std::atomic<DirectoryVersion>& committed) : committed_(committed) {}

  // To be called around a transaction: the next begin() forgets changes that were not committed.
  void begin();
  void commit();

  DirectoryVersion change() { return ++version_; }  // an endpoint was created, changed or removed
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
  DirectoryVersion forgotten_ = 0;  // version of the newest removal that is no longer in the list
};

}  // namespace outboxd::sqlite
