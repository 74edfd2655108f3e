#include "ingest/endpoint_directory.h"

#include <algorithm>

namespace outboxd {
namespace {

constexpr std::size_t kMaxRememberedMatches = 10'000;
constexpr std::size_t kMaxRememberedEndpoints = 1'000'000;  // in all of them: 16 MB

}  // namespace

void EndpointDirectory::load(std::vector<Endpoint> endpoints) {
  for (auto& endpoint : endpoints) put(std::make_shared<const Endpoint>(std::move(endpoint)));
}

EndpointPtr EndpointDirectory::find(const EndpointId& id) const {
  const std::shared_lock lock(mutex_);
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : by_seq_.at(it->second);
}

EndpointPtr EndpointDirectory::find(EndpointSeq seq) const {
  const std::shared_lock lock(mutex_);
  const auto it = by_seq_.find(seq);
  return it == by_seq_.end() ? nullptr : it->second;
}

std::vector<EndpointPtr> EndpointDirectory::all() const {
  const std::shared_lock lock(mutex_);
  std::vector<EndpointPtr> endpoints;
  endpoints.reserve(by_seq_.size());
  for (const auto& [seq, endpoint] : by_seq_) endpoints.push_back(endpoint);
  return endpoints;
}

EndpointDirectory::Matches EndpointDirectory::match(std::string_view tenant, std::string_view type) const {
  std::string key;
  key.reserve(tenant.size() + 1 + type.size());
  key.append(tenant).append(1, '\0').append(type);
  Remembered found;
  {
    const std::shared_lock lock(mutex_);
    const auto it = memory_.find(key);
    if (it != memory_.end() && it->second.version == version_) return it->second.matches;
    found = {version_, find_matches(tenant, type)};
  }
  Memory forgotten;  // and what is replaced: let go after the lock
  Remembered kept = found;
  const std::unique_lock lock(mutex_);
  if (memory_.size() >= kMaxRememberedMatches || remembered_ >= kMaxRememberedEndpoints) {
    forgotten.swap(memory_);
    remembered_ = 0;
  }
  Remembered& slot = memory_[std::move(key)];
  if (slot.matches) remembered_ -= slot.matches->size();
  remembered_ += kept.matches->size();
  std::swap(slot, kept);
  return found.matches;
}

EndpointDirectory::Matches EndpointDirectory::find_matches(std::string_view tenant,
                                                           std::string_view type) const {
  auto found = std::make_shared<std::vector<EndpointPtr>>();
  const auto it = by_tenant_.find(tenant);
  if (it == by_tenant_.end()) return found;
  for (const EndpointSeq seq : it->second) {
    const EndpointPtr& endpoint = by_seq_.at(seq);
    if (wants(*endpoint, tenant, type)) found->push_back(endpoint);
  }
  return found;
}

void EndpointDirectory::put(const EndpointPtr& endpoint) {
  const std::unique_lock lock(mutex_);
  erase(endpoint->seq);  // its tenant may have changed
  by_seq_[endpoint->seq] = endpoint;
  by_id_[endpoint->id] = endpoint->seq;
  auto& seqs = by_tenant_[endpoint->tenant];
  seqs.insert(std::ranges::lower_bound(seqs, endpoint->seq), endpoint->seq);
  ++version_;
}

EndpointPtr EndpointDirectory::erase(EndpointSeq seq) {
  const auto it = by_seq_.find(seq);
  if (it == by_seq_.end()) return nullptr;
  EndpointPtr endpoint = it->second;
  by_seq_.erase(it);
  by_id_.erase(endpoint->id);
  const auto tenant = by_tenant_.find(endpoint->tenant);
  std::erase(tenant->second, seq);
  if (tenant->second.empty()) by_tenant_.erase(tenant);
  ++version_;
  return endpoint;
}

template <class C>
void EndpointDirectory::change(C command, Done done) {
  commits_.submit(std::move(command), [this, done = std::move(done)](Write& write) {
    if (write.refused) return done(tl::unexpected(*write.refused));
    const auto endpoint = std::make_shared<const Endpoint>(std::move(std::get<C>(write.command).endpoint));
    put(endpoint);
    if (subscriber_) subscriber_(endpoint->seq, endpoint);
    done(endpoint);
  });
}

void EndpointDirectory::create(Endpoint endpoint, Done done) {
  change(CreateEndpoint{std::move(endpoint)}, std::move(done));
}

void EndpointDirectory::update(Endpoint endpoint, Time if_updated_at, Done done) {
  change(UpdateEndpoint{std::move(endpoint), if_updated_at}, std::move(done));
}

void EndpointDirectory::set_state(const EndpointId& id, EndpointState state, std::string disabled_reason,
                                  Time at, Done done) {
  change(SetEndpointState{id, state, std::move(disabled_reason), at}, std::move(done));
}

void EndpointDirectory::disable(const Endpoint& endpoint, std::string reason, Time at, Done done) {
  change(DisableEndpoint{endpoint.id, std::move(reason), at, endpoint.updated_at},
         [this, id = endpoint.id, done = std::move(done)](Result<EndpointPtr> result) {
           if (!result && subscriber_) {
             if (const EndpointPtr as_it_is = find(id)) subscriber_(as_it_is->seq, as_it_is);
           }
           done(std::move(result));
         });
}

void EndpointDirectory::remove(const EndpointId& id, Time at, Done done) {
  commits_.submit(RemoveEndpoint{id, at}, [this, done = std::move(done)](Write& write) {
    if (write.refused) return done(tl::unexpected(*write.refused));
    const EndpointSeq seq = std::get<RemoveEndpoint>(write.command).seq;
    EndpointPtr endpoint;
    {
      const std::unique_lock lock(mutex_);
      endpoint = erase(seq);
    }
    if (subscriber_) subscriber_(seq, nullptr);
    done(endpoint);
  });
}

}  // namespace outboxd
