// The endpoints as they are now, in memory, and the one way to change them: a change is committed first, then
// published here and to the subscriber, in the order of the commits. Thread safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/endpoint.h"
#include "store/group_commit.h"

namespace outboxd {

class EndpointDirectory {
 public:
  explicit EndpointDirectory(GroupCommit& commits) : commits_(commits) {}

  void load(std::vector<Endpoint> endpoints);  // once, before anything else
  // Told of every change: the endpoint as it is now, or null when it was removed. Set before the first
  // change; called on the writer thread.
  using Subscriber = std::function<void(EndpointSeq, EndpointPtr)>;
  void subscribe(Subscriber subscriber) { subscriber_ = std::move(subscriber); }

  EndpointPtr find(const EndpointId& id) const;  // null: none
  EndpointPtr find(EndpointSeq seq) const;
  std::vector<EndpointPtr> all() const;
  // The endpoints that want an event of this tenant and type, oldest first, whatever their state: a paused
  // one's deliveries wait. Never null, never changed: shared between callers.
  using Matches = std::shared_ptr<const std::vector<EndpointPtr>>;
  Matches match(std::string_view tenant, std::string_view type) const;

  // `done` runs on the writer thread after the commit. For a removal it gets the endpoint as it was.
  using Done = std::function<void(Result<EndpointPtr>)>;
  void create(Endpoint endpoint, Done done);
  // Refused with kConflict if the stored endpoint is not the one with this updated_at any more.
  void update(Endpoint endpoint, Time if_updated_at, Done done);
  void set_state(const EndpointId& id, EndpointState state, std::string disabled_reason, Time at, Done done);
  // By the daemon itself, for what came of its attempts: never refused because the store is busy or full, but with
  // kConflict when the endpoint has been changed since it was this one. Should it not become so (that, or the endpoint
  // is gone, or outboxd stops), the subscriber is told of the endpoint as it stays.
  void disable(const Endpoint& endpoint, std::string reason, Time at, Done done);
  void remove(const EndpointId& id, Time at, Done done);

 private:
  void put(const EndpointPtr& endpoint);
  // With mutex_ held.
  EndpointPtr erase(EndpointSeq seq);  // null: none
  Matches find_matches(std::string_view tenant, std::string_view type) const;
  // Submits a command that answers with the stored endpoint, and publishes that one.
  template <class C>
  void change(C command, Done done);

  GroupCommit& commits_;
  Subscriber subscriber_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<EndpointSeq, EndpointPtr> by_seq_;  // guarded by mutex_
  std::map<EndpointId, EndpointSeq> by_id_;              // guarded by mutex_
  std::map<std::string, std::vector<EndpointSeq>, std::less<>>
      by_tenant_;              // guarded by mutex_, each in order
  std::uint64_t version_ = 0;  // counts the changes; guarded by mutex_
  // What match() answered, valid while no endpoint has changed since: a producer sends few types many times. Old
  // answers are let go by who asks again, on its thread: there may be a million pointers in them, and a change is
  // published on the writer thread. Key: tenant NUL type. All guarded by mutex_.
  struct Remembered {
    std::uint64_t version = 0;
    Matches matches;
  };
  using Memory = std::unordered_map<std::string, Remembered>;
  mutable Memory memory_;
  mutable std::size_t remembered_ = 0;  // endpoints in all of them
};

}  // namespace outboxd
