// How the roll-up is read (rollup.h): which spans of time, in which order, and how what failed is gathered into groups.
// Shared by the stores; pure, but for the question of what an endpoint is.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/rollup.h"
#include "store/rows.h"

namespace outboxd {

// A piece of a range that one read transaction reads: an hour by the minute, or a day by the hour.
struct RollupPiece {
  Millis span;
  Time from, to;
};
// The latest first: hours where a whole one is wanted and complete, minutes for the rest. Hours before `rolled_up` are complete.
std::vector<RollupPiece> rollup_pieces(Time since, Time until, Time rolled_up);

// Gathers the rows of what failed.
class FailureGroups {
 public:
  struct Identity {
    std::optional<EndpointId> id;  // absent: the endpoint is gone
    std::string tenant;
  };
  using Identify = std::function<Identity(EndpointSeq)>;  // asked once for each endpoint

  // `endpoint`: that of the query. The query outlives this.
  FailureGroups(const FailureQuery& query, std::optional<EndpointSeq> endpoint, Identify identify)
      : query_(query), endpoint_(endpoint), identify_(std::move(identify)) {}

  void add(const RollupRow& row);
  // So many rows were read that no further piece should be.
  bool is_full() const { return rows_ >= kMaxRows; }
  Failures take(Time since);

 private:
  static constexpr std::int64_t kMaxRows = 50'000;

  // What all have that were added; absent when they differ.
  template <class T>
  class Common {
   public:
    void add(const std::optional<T>& value) {
      if (!seen_) value_ = value;
      if (value_ != value) value_.reset();
      seen_ = true;
    }
    const std::optional<T>& value() const { return value_; }

   private:
    std::optional<T> value_;
    bool seen_ = false;
  };
  struct Group {
    FailureGroup sum;
    Common<std::string> type;
    Common<Outcome> outcome;
    Common<int> status;
    Common<DeadReason> reason;
    std::set<EndpointSeq> endpoints;

    void add(const RollupRow& row);
  };

  const Identity& identity_of(EndpointSeq endpoint);
  bool is_wanted(const RollupKey& key);
  FailureGroup finish(Group& group);

  const FailureQuery& query_;
  const std::optional<EndpointSeq> endpoint_;
  const Identify identify_;
  std::map<std::string, Group> groups_;
  std::map<EndpointSeq, Identity> identities_;
  std::int64_t rows_ = 0;
};

}  // namespace outboxd
