// What the conformance suite needs of a store that it tests. The suite knows store.h and this; each store
// gives a Subject in a folder beside (sqlite/), and a test program is the suite linked with one of them.
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "store/store.h"

namespace outboxd::test {

class Subject {
 public:
  virtual ~Subject() = default;
  virtual Store& store() = 0;
  // The one that the store tells due times by. It is kNow at first.
  virtual ManualClock& clock() = 0;
  // Closes the store and opens it again, as a restart of the daemon does.
  virtual void reopen() = 0;
  // Runs SQL as a producer would, on a connection of its own. False: the database refused it.
  virtual bool produce(const std::string& sql) = 0;
};

std::unique_ptr<Subject> make_subject();  // a new, empty database

}  // namespace outboxd::test
