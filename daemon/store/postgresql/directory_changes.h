// Counts the changes of endpoints, and tells whether what was matched at an earlier version must be matched again: because it
// names an endpoint that was removed since, for which nothing may be stored any more; or because another daemon has changed
// endpoints since, of which its producers know already, and this daemon does not. (Of its own changes this daemon knows before
// they are answered.) Any daemon changes endpoints, so the version and the changes are read in each transaction, under the
// lock that those who change endpoints hold alone (table directory).
#pragma once

#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "store/commands.h"

namespace outboxd::postgresql {

class DirectoryChanges {
 public:
  // Changes are read from the newest on, up to so many, and as many of this daemon's own are remembered; a match older than
  // these counts as stale.
  static constexpr std::size_t kMaxRemembered = 1024;
  // As the endpoint's row tells it, which has its last change only.
  struct Change {
    DirectoryVersion version = 0;
    EndpointSeq endpoint = 0;
    bool removed = false;
  };

  DirectoryVersion version() const { return version_; }
  DirectoryVersion version_before() const { return before_; }  // when the transaction began
  bool changed() const { return version_ != before_; }
  // An endpoint was created, changed or removed: the version to be stored in its row.
  DirectoryVersion change() { return ++version_; }
  DirectoryVersion remove(EndpointSeq endpoint) {
    changes_.push_back({change(), endpoint, true});
    return version_;
  }

  bool names_removed(DirectoryVersion matched, const std::vector<FirstAttempt>& endpoints) const {
    if (matched < forgotten_) return true;
    return matched < version_ && std::any_of(changes_.begin(), changes_.end(), [&](const Change& change) {
             return change.removed && change.version > matched &&
                    std::any_of(endpoints.begin(), endpoints.end(),
                                [&](const FirstAttempt& first) { return first.endpoint == change.endpoint; });
           });
  }
  // Has another daemon created or changed an endpoint since?
  bool is_behind(DirectoryVersion matched) const {
    if (matched >= before_) return false;
    auto told =
        static_cast<DirectoryVersion>(std::distance(own_.upper_bound(matched), own_.upper_bound(before_)));
    for (const Change& change : changes_)
      told += change.removed && change.version > matched && change.version <= before_ &&
              !own_.contains(change.version);
    return matched + told < before_;
  }

  // The transaction begins: what is stored, newest changes first.
  void begin(DirectoryVersion version, std::vector<Change> changes) {
    version_ = before_ = version;
    forgotten_ = changes.size() > kMaxRemembered ? changes.back().version : 0;
    changes_ = std::move(changes);
  }
  void committed() {
    for (DirectoryVersion own = before_ + 1; own <= version_; ++own) own_.insert(own_.end(), own);
    while (own_.size() > kMaxRemembered) own_.erase(own_.begin());
  }

 private:
  DirectoryVersion version_ = 0, before_ = 0;
  std::vector<Change> changes_;
  DirectoryVersion forgotten_ = 0;  // changes up to this version were not read
  std::set<DirectoryVersion> own_;  // what this daemon has committed
};

}  // namespace outboxd::postgresql
