#include "store/sqlite/directory_changes.h"

#include <algorithm>

namespace outboxd::sqlite {

void DirectoryChanges::begin() {
  version_ = committed_;
  while (last_removal() > version_) removals_.pop_back();
}

void DirectoryChanges::commit() {
  committed_ = version_;
  while (removals_.size() > kMaxRemembered) {
    forgotten_ = removals_.front().version;
    removals_.pop_front();
  }
}

DirectoryVersion DirectoryChanges::remove(EndpointSeq endpoint) {
  removals_.push_back({++version_, endpoint});
  return version_;
}

bool DirectoryChanges::names_removed(DirectoryVersion matched,
                                     const std::vector<FirstAttempt>& endpoints) const {
  if (matched < forgotten_) return true;
  const auto is_named = [&](EndpointSeq removed) {
    return std::any_of(endpoints.begin(), endpoints.end(),
                       [removed](const FirstAttempt& first) { return first.endpoint == removed; });
  };
  for (auto removal = removals_.rbegin(); removal != removals_.rend() && removal->version > matched;
       ++removal) {
    if (is_named(removal->endpoint)) return true;
  }
  return false;
}

}  // namespace outboxd::sqlite
