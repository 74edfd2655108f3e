#include "ingest/endpoint_directory.h"

#include <algorithm>

namespace outboxd {
namespace {

constexpr std::size_t kMaxRememberedMatches = 10'000;
constexpr std::size_t kMaxRememberedEndpoints = 1'000'000;  // in all results together: 16 MB

// Of a result that is remembered.
std::string memory_key(std::string_view tenant, std::string_view type) {
  std::string key;
  key.reserve(tenant.size() + 1 + type.size());
  key.append(tenant).append(1, '\0').append(type);
  return key;
}

// The smallest id that begins so.
std::optional<EndpointId> first_that_begins(std::string_view word) {
  std::string whole(word);
  whole.resize(std::max(word.size(), EndpointId{}.to_string().size()), '0');
  return EndpointId::parse(whole);
}

}  // namespace

void EndpointDirectory::load(Endpoints endpoints) {
  const MutexLock lock(mutex_);
  for (auto& endpoint : endpoints.endpoints) put(std::make_shared<const Endpoint>(std::move(endpoint)));
  version_ = endpoints.version;
}

bool EndpointDirectory::hear(const EndpointChanged& fact) {
  const MutexLock lock(mutex_);
  if (fact.version <= version_) return false;
  const auto is_newer = [&](const auto& heard) {
    return heard.first >= fact.version && heard.second == fact.endpoint;
  };
  const bool is_news = std::ranges::none_of(ahead_, is_newer);
  ahead_.emplace(fact.version, fact.endpoint);
  while (!ahead_.empty() && ahead_.begin()->first == version_ + 1) {
    ++version_;
    ahead_.erase(ahead_.begin());
  }
  if (!is_news) return false;
  ++changes_;
  erase(fact.endpoint);  // its tenant may have changed
  if (fact.now) put(fact.now);
  return true;
}

EndpointPtr EndpointDirectory::find(const EndpointId& id) const {
  const SharedLock lock(mutex_);
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : by_seq_.at(it->second);
}

EndpointPtr EndpointDirectory::find(EndpointSeq seq) const {
  const SharedLock lock(mutex_);
  const auto it = by_seq_.find(seq);
  return it == by_seq_.end() ? nullptr : it->second;
}

std::vector<EndpointPtr> EndpointDirectory::meant_by(std::string_view word) const {
  const SharedLock lock(mutex_);
  std::vector<EndpointPtr> found;
  if (const auto first = first_that_begins(word)) {
    for (auto it = by_id_.lower_bound(*first); it != by_id_.end() && it->first.to_string().starts_with(word);
         ++it)
      found.push_back(by_seq_.at(it->second));
  }
  if (!found.empty()) return found;
  const auto [begin, end] = by_name_.equal_range(word);
  for (auto it = begin; it != end; ++it) found.push_back(by_seq_.at(it->second));
  return found;
}

std::vector<EndpointPtr> EndpointDirectory::all() const {
  return of(PartitionSet().set());
}

std::vector<EndpointPtr> EndpointDirectory::of(const PartitionSet& partitions) const {
  const SharedLock lock(mutex_);
  std::vector<EndpointPtr> endpoints;
  endpoints.reserve(by_seq_.size());
  for (const auto& [seq, endpoint] : by_seq_) {
    if (partitions.test(static_cast<std::size_t>(partition_of(seq)))) endpoints.push_back(endpoint);
  }
  return endpoints;
}

EndpointDirectory::Matches EndpointDirectory::match(std::string_view tenant, std::string_view type) const {
  std::string key = memory_key(tenant, type);
  Matches found;
  Remembered kept;
  {
    const SharedLock lock(mutex_);
    if (const Matches* known = find_remembered(key)) return *known;
    found = find_matches(tenant, type);
    kept = {found, changes_};
  }
  // Declared before the lock, like `kept`, so that what is dropped or replaced is freed after unlocking.
  Memory forgotten;
  const MutexLock lock(mutex_);
  if (memory_.size() >= kMaxRememberedMatches || remembered_ >= kMaxRememberedEndpoints) {
    forgotten.swap(memory_);
    remembered_ = 0;
  }
  Remembered& slot = memory_[std::move(key)];
  if (slot.matches.endpoints) remembered_ -= slot.matches.endpoints->size();
  remembered_ += kept.matches.endpoints->size();
  std::swap(slot, kept);
  return found;
}

std::optional<EndpointDirectory::Matches> EndpointDirectory::remembered(std::string_view tenant,
                                                                        std::string_view type) const {
  const std::string key = memory_key(tenant, type);
  const SharedLock lock(mutex_);
  const Matches* known = find_remembered(key);
  return known != nullptr ? std::optional(*known) : std::nullopt;
}

const EndpointDirectory::Matches* EndpointDirectory::find_remembered(const std::string& key) const {
  const auto it = memory_.find(key);
  return it != memory_.end() && it->second.changes == changes_ ? &it->second.matches : nullptr;
}

EndpointDirectory::Matches EndpointDirectory::find_matches(std::string_view tenant,
                                                           std::string_view type) const {
  auto found = std::make_shared<std::vector<EndpointPtr>>();
  std::size_t filters = 0;
  const auto it = by_tenant_.find(tenant);
  if (it != by_tenant_.end()) {
    for (const EndpointSeq seq : it->second) {
      const EndpointPtr& endpoint = by_seq_.at(seq);
      if (!wants(*endpoint, tenant, type)) continue;
      filters += endpoint->filter ? 1 : 0;
      found->push_back(endpoint);
    }
  }
  return {std::move(found), version_, filters};
}

void EndpointDirectory::put(const EndpointPtr& endpoint) {
  by_seq_[endpoint->seq] = endpoint;
  by_id_[endpoint->id] = endpoint->seq;
  if (!endpoint->name.empty()) by_name_.emplace(endpoint->name, endpoint->seq);
  auto& seqs = by_tenant_[endpoint->tenant];
  seqs.insert(std::ranges::lower_bound(seqs, endpoint->seq), endpoint->seq);
}

void EndpointDirectory::erase(EndpointSeq seq) {
  const auto it = by_seq_.find(seq);
  if (it == by_seq_.end()) return;
  const EndpointPtr endpoint = it->second;
  by_seq_.erase(it);
  by_id_.erase(endpoint->id);
  const auto [begin, end] = by_name_.equal_range(endpoint->name);
  const auto name = std::find_if(begin, end, [seq](const auto& named) { return named.second == seq; });
  if (name != end) by_name_.erase(name);
  const auto tenant = by_tenant_.find(endpoint->tenant);
  std::erase(tenant->second, seq);
  if (tenant->second.empty()) by_tenant_.erase(tenant);
}

}  // namespace outboxd
