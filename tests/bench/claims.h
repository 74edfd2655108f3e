// Finding what to send as queues do that have no owners: any worker claims what is due, by SELECT … FOR UPDATE SKIP LOCKED
// and a lease written into each row, so that nobody else takes it and that it comes back if the worker dies. What the
// store's owners are measured against: on the same tables, with the same bindings, and as quick as we know how to write it.
// One statement claims and reads the events; the rows are updated by their place (ctid); a claim needs no flush, because a
// crash of the server ends every worker's session anyway. It has an index of its own, in the order in which it reads, and
// the lanes' index is dropped.
//
// It does less than an owner: no limits, order, rate or breaker of an endpoint, and no lease is looked after.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/sending.h"
#include "store/postgresql/connection.h"

namespace outboxd::bench {

enum class Lease {
  kInDueAt,  // the due time is put off: one column less, and an entry in every index of due times for each claim
  // A column that no index has, with room in each page, so that a claim makes no index entry (HOT).
  kInColumnOfItsOwn,
};

class Claims {
 public:
  // Alters the table for it, once.
  static void prepare(const std::string& url, Lease lease);

  Claims(const std::string& url, Lease lease);
  // What is claimed now.
  std::vector<ToSend> claim(int limit);

 private:
  postgresql::Connection db_;
  postgresql::Statement claim_;
};

}  // namespace outboxd::bench
