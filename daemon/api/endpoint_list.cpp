// GET /v1/endpoints: all of them by age, from the store; or those that match, or the largest backlogs, chosen in memory
// and read from the store then.
#include <algorithm>
#include <unordered_map>

#include "api/endpoint_json.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"
#include "api/waiting.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

// How many deliveries that are not due, or not first in their order, are counted for each endpoint of a page, whose 250
// should take no more than some milliseconds.
constexpr int kMaxCountedInList = 1'000;
constexpr std::size_t kMaxSearch = 100;
constexpr int kCountsAtOnce = 1'000;
constexpr int kMaxExamined = 1'000;  // read from the store for one page of those that have a next one
constexpr char kCursor = 'm';  // of lists that are chosen in memory; then the number of the last endpoint

struct Wanted {
  std::optional<std::string> tenant;
  std::string search;  // in lower case; "": any
  std::optional<EndpointState> state;
  bool failing = false, by_backlog = false;
  bool stats = false;
  Page page;
  EndpointSeq after = 0;
  bool from_memory() const { return !search.empty() || state || failing || by_backlog; }
  bool needs_lanes() const { return stats || failing; }
};

// A list has one word for health so far.
std::optional<bool> parse_health(std::string_view text) {
  if (text != "failing") return std::nullopt;
  return true;
}

std::optional<bool> parse_sort(std::string_view text) {
  if (text != "backlog") return std::nullopt;
  return true;
}

void read_cursor(Query& query, Wanted& wanted) {
  if (!wanted.from_memory() || wanted.page.after.empty()) return;
  if (wanted.by_backlog) return query.refuse("cursor", "is not for sort=backlog, which is one page");
  const auto seq = wanted.page.after.front() == kCursor
                       ? parse_int(std::string_view(wanted.page.after).substr(1))
                       : std::nullopt;
  if (!seq || *seq < 0)
    return query.refuse("cursor", "must be next_cursor of the page before, of the same list");
  wanted.after = *seq;
}

Wanted read_query(Query& query) {
  Wanted wanted;
  wanted.tenant = query.tenant();
  wanted.search = ascii_lower(query.text("search").value_or(""));
  if (wanted.search.size() > kMaxSearch)
    query.refuse("search", "must have at most " + std::to_string(kMaxSearch) + " bytes");
  wanted.state = query.word("state", parse_endpoint_state, {"active", "paused", "disabled"});
  wanted.failing = query.word("health", parse_health, {"failing"}).value_or(false);
  wanted.by_backlog = query.word("sort", parse_sort, {"backlog"}).value_or(false);
  wanted.stats = query.flag("stats");
  wanted.page = query.page();
  read_cursor(query, wanted);
  return wanted;
}

bool contains(std::string_view text, std::string_view lower) {
  return ascii_lower(text).find(lower) != std::string::npos;
}

bool matches(const Endpoint& endpoint, const Wanted& wanted) {
  if (wanted.tenant && endpoint.tenant != *wanted.tenant) return false;
  if (wanted.state && endpoint.state != *wanted.state) return false;
  const std::string& search = wanted.search;
  return search.empty() || contains(endpoint.name, search) || contains(endpoint.url, search) ||
         contains(endpoint.id.to_string(), search);
}

// Its breaker is open, or what is stored says that it has been: failing_since is stored when the breaker opens.
bool fails(const Endpoint& endpoint, const Lanes& lanes) {
  if (endpoint.failing_since) return true;
  if (!lanes) return false;
  const auto lane = lanes->find(endpoint.seq);
  return lane != lanes->end() && lane->second.breaker_open;
}

// The endpoint in memory tells of failing_since as it was when it was read; only its lane, or else the store, knows of
// what came after.
bool may_fail(const Endpoint& endpoint, const Lanes& lanes) {
  return !is_known(endpoint.seq, lanes) || fails(endpoint, lanes);
}

std::unordered_map<EndpointSeq, std::int64_t> read_backlogs(StoreReader& reader) {
  std::unordered_map<EndpointSeq, std::int64_t> backlogs;
  EndpointSeq after = 0;
  for (int found = kCountsAtOnce; found == kCountsAtOnce;) {
    const auto page = reader.delivery_counts(after, kCountsAtOnce);
    for (const EndpointDeliveries& one : page) {
      after = one.endpoint;
      if (one.counts.pending > 0) backlogs.emplace(one.endpoint, one.counts.pending);
    }
    found = static_cast<int>(page.size());
  }
  return backlogs;
}

// Those that match, in the order of the list.
std::vector<EndpointPtr> choose(const Context& context, const Wanted& wanted, const Lanes& lanes,
                                StoreReader& reader) {
  std::vector<EndpointPtr> chosen = context.directory.all();
  std::erase_if(chosen, [&](const EndpointPtr& one) {
    return one->seq <= wanted.after || !matches(*one, wanted) || (wanted.failing && !may_fail(*one, lanes));
  });
  const auto by_age = [](const EndpointPtr& one) { return one->seq; };
  if (!wanted.by_backlog) {
    std::ranges::sort(chosen, {}, by_age);
    return chosen;
  }
  const auto backlogs = read_backlogs(reader);
  const auto backlog_of = [&](const EndpointPtr& one) {
    const auto known = backlogs.find(one->seq);
    return known == backlogs.end() ? 0 : known->second;
  };
  std::ranges::sort(chosen, [&](const EndpointPtr& a, const EndpointPtr& b) {
    const auto backlog_a = backlog_of(a), backlog_b = backlog_of(b);
    return backlog_a != backlog_b ? backlog_a > backlog_b : a->seq < b->seq;
  });
  return chosen;
}

class EndpointRows {
 public:
  EndpointRows(const Context& context, const Request& request, const Wanted& wanted, const Lanes& lanes,
               StoreReader& reader)
      : context_(context), request_(request), wanted_(wanted), lanes_(lanes), reader_(reader) {}

  void add(const Endpoint& endpoint) {
    Json json = json_for(request_, endpoint);
    if (wanted_.stats) json["stats"] = stats_of(context_, reader_, endpoint, lanes_, kMaxCountedInList);
    data_.push_back(std::move(json));
  }
  std::size_t size() const { return data_.size(); }
  Json take() { return std::move(data_); }

 private:
  const Context& context_;
  const Request& request_;
  const Wanted& wanted_;
  const Lanes& lanes_;
  StoreReader& reader_;
  Json data_ = Json::array();
};

Answer page_of_chosen(const Context& context, const Wanted& wanted, const Lanes& lanes, StoreReader& reader,
                      EndpointRows& rows) {
  EndpointSeq last = wanted.after;
  int examined = 0;
  for (const EndpointPtr& one : choose(context, wanted, lanes, reader)) {
    const bool examined_enough = !wanted.by_backlog && examined++ == kMaxExamined;
    if (rows.size() == static_cast<std::size_t>(wanted.page.limit) || examined_enough) {
      const auto next = wanted.by_backlog ? std::nullopt : std::optional(kCursor + std::to_string(last));
      return list_answer(rows.take(), next);
    }
    last = one->seq;
    // From the store, because the endpoint in memory does not follow failing_since; and a change that is stored is heard of
    // a moment later, also one of its tenant.
    const auto stored = reader.endpoint(one->id);
    if (stored && matches(*stored, wanted) && (!wanted.failing || fails(*stored, lanes))) rows.add(*stored);
  }
  return list_answer(rows.take(), std::nullopt);
}

Result<Answer> page_of(const Context& context, const Request& request, const Wanted& wanted,
                       const Lanes& lanes) {
  const auto reader = context.readers.lend();
  EndpointRows rows(context, request, wanted, lanes, *reader);
  if (wanted.from_memory()) return page_of_chosen(context, wanted, lanes, *reader, rows);
  const auto all = reader->endpoints(wanted.tenant, wanted.page);
  if (!all) return tl::unexpected(all.error());
  for (const auto& endpoint : all->rows) rows.add(endpoint);
  return list_answer(rows.take(), all->next);
}

void list_endpoints(Context& context, const ExchangePtr& exchange) {
  Query query(exchange->request(), context.clock.wall());
  const Wanted wanted = read_query(query);
  if (const auto refused = query.refusal()) return exchange->respond(*refused);
  if (!wanted.needs_lanes()) return exchange->respond(page_of(context, exchange->request(), wanted, {}));
  with_lanes(context, exchange, {}, [&context, wanted](const ExchangePtr& resumed, const Lanes& lanes) {
    resumed->respond(page_of(context, resumed->request(), wanted, lanes));
  });
}

}  // namespace

std::vector<Route> endpoint_list_routes(Context& context) {
  return {{"GET", "/v1/endpoints", Access::kView,
           deferring(context, list_endpoints,
                     {"tenant", "search", "state", "health", "sort", "stats", "limit", "cursor"})}};
}

}  // namespace outboxd::api
