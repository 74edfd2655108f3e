// The store over PostgreSQL at work, without a daemon around it: events are accepted, found, sent and their outcomes
// recorded, all by the daemon's own writer and reader. What differs is how it is found out what to send. What comes before
// and between in a daemon (requests, JSON, matching, the scheduler) is left out.
//
// A thread writes, one or more find, one sends; the sink has its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/claims.h"
#include "bench/latencies.h"

namespace outboxd::bench {

enum class Finds {
  kInCommits,  // an owner sends what it has just committed: as a daemon does whose endpoints keep up
  kByDue,      // an owner asks for what is due: as a daemon does that has a backlog
  kByClaims,
};

struct StoreWork {
  std::string url;
  Finds finds = Finds::kInCommits;
  Lease lease = Lease::kInDueAt;
  int claimers = 1;   // sessions that claim
  int endpoints = 1;  // that get the events in turn
  std::int64_t events = 0;
  std::int64_t warm_up = 0;      // events before, of stream 1
  bool accepted_before = false;  // all of them are pending when it begins
  int requests_per_commit = 64;
  int events_per_request = 1;
  double rate = 0;      // events a second; 0: as fast as they are delivered
  int in_flight = 256;  // 0: nothing is sent, every delivery is a success at once
  std::string target;   // URL
  std::string secret;
  std::function<void()> began = {};  // what is measured begins
};

struct StoreWorkResult {
  double seconds = 0;
  std::chrono::nanoseconds writing_cpu{}, finding_cpu{}, sending_cpu{};
  std::int64_t commits = 0;
  std::int64_t failed = 0;         // requests that were not answered 2xx
  std::vector<Sample> finds = {};  // each query for something to send: when it began and ended
};

StoreWorkResult run_store_work(const StoreWork& work);

}  // namespace outboxd::bench
