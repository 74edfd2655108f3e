// The endpoints as committed, in memory. Nobody changes them here: a change is a command to the store, and the fact of
// its commit comes back (hear). Thread safe.
#pragma once

#include <map>
#include <memory>
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
  // False: it is no news. What another daemon changed may be heard of after later changes of our own.
  bool hear(const EndpointChanged& fact);

  EndpointPtr find(const EndpointId& id) const;  // null: none
  EndpointPtr find(EndpointSeq seq) const;
  // Whom a word may mean: the endpoint with that id; else those whose id begins so; else those of that name, of which there
  // is one a tenant.
  std::vector<EndpointPtr> meant_by(std::string_view word) const;
  std::vector<EndpointPtr> all() const;
  std::vector<EndpointPtr> of(const PartitionSet& partitions) const;

  // The endpoints that want an event of this tenant and type, oldest first, whatever their state: a paused one's
  // deliveries wait. Never null, never changed: shared between callers. And the version of the directory that they are
  // of, for the command that they are put into.
  struct Matches {
    std::shared_ptr<const std::vector<EndpointPtr>> endpoints;
    DirectoryVersion version = 0;
  };
  Matches match(std::string_view tenant, std::string_view type) const;

 private:
  void erase(EndpointSeq seq) OUTBOXD_REQUIRES(mutex_);
  void put(const EndpointPtr& endpoint) OUTBOXD_REQUIRES(mutex_);
  Matches find_matches(std::string_view tenant, std::string_view type) const OUTBOXD_REQUIRES_SHARED(mutex_);

  mutable SharedMutex mutex_;
  std::unordered_map<EndpointSeq, EndpointPtr> by_seq_ OUTBOXD_GUARDED_BY(mutex_);
  std::map<EndpointId, EndpointSeq> by_id_ OUTBOXD_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<EndpointSeq>, std::less<>> by_tenant_
      OUTBOXD_GUARDED_BY(mutex_);  // each in order
  std::multimap<std::string, EndpointSeq, std::less<>> by_name_ OUTBOXD_GUARDED_BY(mutex_);
  DirectoryVersion version_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // everything up to it was heard
  // And what was heard that is newer: version and endpoint. Empty but for daemons that share a store.
  std::map<DirectoryVersion, EndpointSeq> ahead_ OUTBOXD_GUARDED_BY(mutex_);
  std::uint64_t changes_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // of what is here
  // What match() answered, valid while no endpoint has changed since: a producer sends few types many times. Old answers
  // are let go by who asks again, on its thread: there may be a million pointers in them, and facts are heard on the
  // writer thread. Key: tenant NUL type.
  struct Remembered {
    Matches matches;
    std::uint64_t changes = 0;
  };
  using Memory = std::unordered_map<std::string, Remembered>;
  mutable Memory memory_ OUTBOXD_GUARDED_BY(mutex_);
  mutable std::size_t remembered_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // endpoints in all of them
};

}  // namespace outboxd
