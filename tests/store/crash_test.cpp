// kill -9 in the middle of commits: what was acknowledged is there afterwards, and the database is whole.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "store/group_commit.h"
#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// Commits events and outcomes as fast as it can, and writes the id of each event to `out` when it is
// acknowledged, until killed.
[[noreturn]] void commit_for_ever(const SqliteOptions& options, int out) {
  const auto store = open_sqlite_store(options);
  ManualClock clock(kNow + Millis(getpid()));
  UuidGenerator generator(clock);
  GroupCommit commits(store->writer(), store->ownership().token, clock, {},
                      [](const std::string&) { _exit(3); });
  commits.start();
  const EndpointSeq endpoint = store->new_reader()->all_endpoints().endpoints.front().seq;
  while (true) {
    NewEvent event = new_event({endpoint});
    event.event->id = EventId{generator.next()};
    commits.submit(accepting({event}),
                   [out, event, endpoint, &commits](AcceptEvents&, const Result<Accepted>& accepted) {
                     if (!accepted) return;
                     const auto& bytes = event.event->id.uuid.bytes;
                     if (::write(out, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
                       _exit(4);
                     if (event.event->seq % 2 == 0)
                       commits.submit(delivered({event.event->seq, endpoint}, 1),
                                      [](RecordOutcome&, const Result<Recorded>&) {});
                   });
    while (commits.queued() > 200) usleep(100);
  }
}

// What the child acknowledged: `wanted` events at least, then it is killed.
std::vector<Uuid> run_and_kill(const SqliteOptions& options, std::size_t wanted) {
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(fds[0]);
    commit_for_ever(options, fds[1]);
  }
  close(fds[1]);
  std::vector<Uuid> acknowledged;
  Uuid id;
  while (read(fds[0], id.bytes.data(), id.bytes.size()) == static_cast<ssize_t>(id.bytes.size())) {
    acknowledged.push_back(id);
    if (acknowledged.size() == wanted) kill(child, SIGKILL);
  }
  close(fds[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  return acknowledged;
}

}  // namespace

TEST_CASE("no acknowledged event is lost by kill -9, and the counts agree with the tables") {
  TemporaryFolder folder;
  SqliteOptions options;
  options.path = folder / "outbox.db";
  {
    const auto store = open_sqlite_store(options);
    REQUIRE(apply(*store, CreateEndpoint{shared(new_endpoint())}));
  }
  std::vector<Uuid> all;
  for (int round = 1; round <= 5; ++round) {
    const auto acknowledged = run_and_kill(options, static_cast<std::size_t>(700 * round));
    CHECK(acknowledged.size() >= static_cast<std::size_t>(700 * round));
    all.insert(all.end(), acknowledged.begin(), acknowledged.end());
    const auto store =
        open_sqlite_store(options);  // no connection of this process is open while the next child is made
    const auto reader = store->new_reader();
    std::size_t missing = 0;
    for (const Uuid& id : all) missing += !reader->event(EventId{id}, false);
    CHECK(missing == 0);
    sqlite::Database db(options.path, sqlite::Mode::kReader, Millis(1000), 4000);
    CHECK(db.query_text("PRAGMA integrity_check") == "ok");
    const StoreStatus status = reader->status();
    CHECK(status.events == db.query_int("SELECT count(*) FROM event"));
    CHECK(status.pending == db.query_int("SELECT count(*) FROM delivery WHERE state = 'pending'"));
    CHECK(status.delivered == db.query_int("SELECT count(*) FROM delivery WHERE state = 'delivered'"));
    CHECK(status.delivered == db.query_int("SELECT count(*) FROM attempt"));
    CHECK(status.pending + status.delivered == status.events);
  }
}
