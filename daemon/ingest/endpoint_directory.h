// The committed endpoints, in memory. Nothing is changed here directly: a change is a command to the store, and the
// fact of its commit comes back through hear(). Thread safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/mutex.h"
#include "common/partition.h"
#include "store/facts.h"

namespace outboxd {

class EndpointDirectory {
 public:
  void load(Endpoints endpoints);  // once, before anything else
  // False: it is not news. A change by another daemon may be heard of after later changes of our own.
  bool hear(const EndpointChanged& fact);

  EndpointPtr find(const EndpointId& id) const;  // null: none
  EndpointPtr find(EndpointSeq seq) const;
  // Whom a word may mean: the endpoint with that id; else those whose id begins so; else those of that name, of which there
  // is one a tenant.
  std::vector<EndpointPtr> meant_by(std::string_view word) const;
  std::vector<EndpointPtr> all() const;
  std::vector<EndpointPtr> of(const PartitionSet& partitions) const;

  // The endpoints that want an event of this tenant and type, oldest first, whatever their state: deliveries to a
  // paused endpoint wait. `endpoints` is never null and never modified, because callers share it. `version` is the
  // directory's at that moment, for the command that uses the endpoints.
  struct Matches {
    std::shared_ptr<const std::vector<EndpointPtr>> endpoints;
    DirectoryVersion version = 0;
    std::size_t filters = 0;  // how many of them also ask what is in the event
  };
  Matches match(std::string_view tenant, std::string_view type) const;
  // The same if it is remembered from an earlier match(), which takes no longer for many endpoints than for one.
  std::optional<Matches> remembered(std::string_view tenant, std::string_view type) const;

 private:
  void erase(EndpointSeq seq) OUTBOXD_REQUIRES(mutex_);
  void put(const EndpointPtr& endpoint) OUTBOXD_REQUIRES(mutex_);
  const Matches* find_remembered(const std::string& key) const OUTBOXD_REQUIRES_SHARED(mutex_);
  Matches find_matches(std::string_view tenant, std::string_view type) const OUTBOXD_REQUIRES_SHARED(mutex_);

  mutable SharedMutex mutex_;
  std::unordered_map<EndpointSeq, EndpointPtr> by_seq_ OUTBOXD_GUARDED_BY(mutex_);
  std::map<EndpointId, EndpointSeq> by_id_ OUTBOXD_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<EndpointSeq>, std::less<>> by_tenant_
      OUTBOXD_GUARDED_BY(mutex_);  // each list is sorted
  std::multimap<std::string, EndpointSeq, std::less<>> by_name_ OUTBOXD_GUARDED_BY(mutex_);
  DirectoryVersion version_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // every change up to this version was heard
  // Newer changes that were heard already: version and endpoint. Only not empty for daemons that share a store.
  std::map<DirectoryVersion, EndpointSeq> ahead_ OUTBOXD_GUARDED_BY(mutex_);
  std::uint64_t changes_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // counts the changes to this directory
  // Results of match(), valid while no endpoint has changed since, because a producer sends a few types many times.
  // Outdated ones are freed by the next caller of match() on its own thread: they may hold a million pointers, and
  // facts are heard on the writer thread. Key: tenant NUL type.
  struct Remembered {
    Matches matches;
    std::uint64_t changes = 0;
  };
  using Memory = std::unordered_map<std::string, Remembered>;
  mutable Memory memory_ OUTBOXD_GUARDED_BY(mutex_);
  mutable std::size_t remembered_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // endpoints in all results together
};

}  // namespace outboxd
