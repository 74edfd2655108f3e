#include "store/sqlite/directory_changes.h"

#include <doctest/doctest.h>

using namespace outboxd;
using sqlite::DirectoryChanges;

namespace {

const std::vector<FirstAttempt> kOne{{.endpoint = 1}}, kTwo{{.endpoint = 2}};

struct Changes {
  std::atomic<DirectoryVersion> committed = 0;
  DirectoryChanges changes{committed};
};

}  // namespace

TEST_CASE_FIXTURE(Changes, "a removal that is not committed is forgotten") {
  changes.begin();
  CHECK(changes.remove(1) == 1);
  CHECK(changes.is_stale(0, kOne));
  CHECK(committed == 0);
  changes.begin();
  CHECK_FALSE(changes.is_stale(0, kOne));
  CHECK(changes.change() == 1);
  CHECK(changes.remove(2) == 2);
  changes.commit();
  CHECK(committed == 2);
  changes.begin();
  CHECK_FALSE(changes.is_stale(0, kOne));
  CHECK(changes.is_stale(1, kTwo));
  CHECK_FALSE(changes.is_stale(2, kTwo));
}

TEST_CASE_FIXTURE(Changes,
                  "what is older than all removals that are remembered is stale, whatever it names") {
  changes.begin();
  changes.change();
  const auto remembered = static_cast<EndpointSeq>(DirectoryChanges::kMaxRemembered);
  for (EndpointSeq endpoint = 1; endpoint <= remembered; ++endpoint) changes.remove(100 + endpoint);
  changes.commit();
  CHECK_FALSE(changes.is_stale(0, kOne));
  CHECK(changes.is_stale(0, {{.endpoint = 101}}));
  changes.begin();
  changes.remove(7);
  changes.commit();
  CHECK(changes.is_stale(0, kOne));
  CHECK(changes.is_stale(1, kOne));
  CHECK_FALSE(changes.is_stale(2, kOne));
  CHECK(changes.is_stale(2, {{.endpoint = 102}}));
  CHECK_FALSE(changes.is_stale(3, {{.endpoint = 102}}));
}
