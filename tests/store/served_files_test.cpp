#include "store/sqlite/served_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
namespace fs = std::filesystem;

namespace {

std::string failure_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const StoreError& failure) {
    return failure.what();
  }
  return "";
}

std::string eventually(const std::function<void()>& act) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string failure;
  while (failure.empty() && std::chrono::steady_clock::now() < deadline) {
    failure = failure_of(act);
    usleep(1000);
  }
  return failure;
}

// A store with one event, whose files are then taken away.
struct Served {
  TemporaryFolder folder;
  SqliteOptions options;
  std::unique_ptr<Store> store;
  std::int64_t accepted = 0;

  Served() {
    fs::create_directory(folder / "data");
    options.path = folder / "data/outbox.db";
    store = open_sqlite_store(options);
    accept();
  }
  void accept() {
    const auto done = apply(*store, accepting({new_event()}));  // may throw
    REQUIRE(done);
    ++accepted;
  }
  // What the store says when it is asked to commit another event; "" if it takes it.
  std::string refusal() {
    return failure_of([this] { accept(); });
  }
  // The same, of what is not looked at before each answer.
  std::string later_refusal() {
    return eventually([this] { accept(); });
  }
  std::int64_t events_at_the_next_start() {
    store.reset();
    return open_sqlite_store(options)->new_reader()->status().events;
  }
  std::string away(const std::string& suffix = "") { return folder / ("away" + suffix); }
  std::string path(const std::string& suffix = "") { return options.path + suffix; }
};

bool says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Served, "files that nobody touches are no reason to refuse anything") {
  for (int i = 0; i < 20; ++i) CHECK(refusal() == "");
  CHECK(events_at_the_next_start() == 21);
}

TEST_CASE_FIXTURE(Served, "a database that was moved away is noticed before the answer, and has everything") {
  fs::rename(path(), away());
  const std::string said = refusal();
  CHECK(says(said, path() + " was removed or moved away while outboxd served it: put it back"));
  CHECK(fs::file_size(path("-wal")) == 0);  // so that it alone is enough
  fs::rename(away(), path());
  CHECK(events_at_the_next_start() == 2);
}

TEST_CASE_FIXTURE(Served, "what was taken away is noticed without a commit too") {
  fs::rename(path(), away());
  CHECK(eventually([this] { store->writer().maintain(); }) != "");
}

TEST_CASE_FIXTURE(Served, "a database in whose place another was put keeps what is its own") {
  TemporaryFolder elsewhere;
  SqliteOptions other;
  other.path = elsewhere / "other.db";
  open_sqlite_store(other).reset();
  fs::rename(path(), away());
  fs::rename(other.path, path());
  CHECK(says(refusal(), path() + " was replaced by another file"));
  CHECK(events_at_the_next_start() == 0);  // the other one, whole
  fs::rename(away(), path());
  CHECK(open_sqlite_store(options)->new_reader()->status().events == 2);
}

TEST_CASE_FIXTURE(Served,
                  "a database that was removed is copied, and no start makes a new one beside the copy") {
  fs::remove(path());
  SUBCASE("alone") {}
  SUBCASE("with its companions") {
    fs::remove(path("-wal"));
    fs::remove(path("-shm"));
  }
  const std::string said = refusal();
  CHECK(says(said, "rename " + sqlite::rescued_path(path()) + " to " + path()));
  store.reset();
  try {
    open_sqlite_store(options);
    FAIL("a new database was made");
  } catch (const StoreError& unusable) {
    CHECK(unusable.kind == StoreError::Kind::kCorrupt);
    CHECK(says(unusable.what(), sqlite::rescued_path(path())));
  }
  fs::rename(sqlite::rescued_path(path()), path());
  CHECK(events_at_the_next_start() == 2);
}

TEST_CASE_FIXTURE(Served,
                  "a write-ahead log that was removed or replaced is copied into the database first") {
  SUBCASE("removed") {
    fs::remove(path("-wal"));
  }
  SUBCASE("moved away") {
    fs::rename(path("-wal"), away());
  }
  SUBCASE("replaced") {
    fs::rename(path("-wal"), away());
    std::ofstream(path("-wal")) << "something else";
  }
  const std::string said = refusal();
  CHECK(says(said, path("-wal") + " was re"));
  CHECK(says(said, "complete without it"));
  fs::remove(path("-wal"));
  CHECK(events_at_the_next_start() == 2);
}

TEST_CASE_FIXTURE(
    Served, "an index of the log or a lock that is gone is noticed: others would not see ours any more") {
  SUBCASE("-shm") {
    fs::remove(path("-shm"));
  }
  SUBCASE(".lock") {
    fs::remove(path(".lock"));
  }
  CHECK(says(later_refusal(), "was removed or moved away"));
  CHECK(events_at_the_next_start() == accepted + 1);
}

TEST_CASE_FIXTURE(Served, "a folder that was moved is noticed, whatever stands in its place") {
  fs::rename(folder / "data", away());
  SUBCASE("nothing") {}
  SUBCASE("another") {
    fs::create_directory(folder / "data");
  }
  CHECK(says(refusal(), "was removed or moved away"));
  fs::remove_all(folder / "data");
  fs::rename(away(), folder / "data");
  CHECK(events_at_the_next_start() == 2);
}

TEST_CASE_FIXTURE(Served, "a database that was overwritten with something else is noticed") {
  // The descriptor stays open: to close one of this file in this process would drop SQLite's locks.
  static const int fd = open(path().c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  REQUIRE(fd >= 0);
  CHECK(says(later_refusal(), "was overwritten"));
}

TEST_CASE("a symbolic link is followed, and noticed when it leads elsewhere") {
  TemporaryFolder folder;
  SqliteOptions real, linked;
  real.path = folder / "real.db";
  linked.path = folder / "link.db";
  open_sqlite_store(real).reset();
  fs::create_symlink(real.path, linked.path);
  const auto store = open_sqlite_store(linked);
  REQUIRE(apply(*store, accepting({new_event()})));
  fs::copy_file(real.path, folder / "other.db");
  fs::remove(linked.path);
  fs::create_symlink(folder / "other.db", linked.path);
  CHECK_THROWS_AS(apply(*store, accepting({new_event()})), StoreError);
}
