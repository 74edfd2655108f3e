#include <doctest/doctest.h>

#include <sys/stat.h>

#include <chrono>

#include "store/sqlite/ballast.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using sqlite::Ballast;

namespace {

struct Folder {
  test::TemporaryFolder folder;
  std::string database = folder / "outbox.db";
  std::int64_t blocks() {
    struct stat file {};
    return stat((database + ".ballast").c_str(), &file) == 0 ? file.st_blocks * 512 : -1;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Folder, "ballast is made of real blocks, given up once, and made again") {
  Ballast ballast(database, 100'000);
  CHECK(blocks() >= 100'000);
  CHECK_FALSE(ballast.released());
  CHECK(ballast.release());
  CHECK(blocks() == -1);
  CHECK(ballast.released());
  CHECK_FALSE(ballast.release());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (ballast.released() && std::chrono::steady_clock::now() < deadline) ballast.restore_if_possible();
  CHECK_FALSE(ballast.released());
  CHECK(blocks() >= 100'000);
}

TEST_CASE_FIXTURE(Folder, "ballast of another size is made anew, and with none wanted it is removed") {
  { Ballast ballast(database, 100'000); }
  { Ballast ballast(database, 200'000); }
  CHECK(blocks() >= 200'000);
  Ballast none(database, 0);
  CHECK(blocks() == -1);
  CHECK_FALSE(none.released());
  CHECK_FALSE(none.release());
}

TEST_CASE_FIXTURE(Folder, "without room for it ballast counts as given up") {
  Ballast ballast(database, std::int64_t{1} << 50);
  CHECK(ballast.released());
  CHECK(blocks() == -1);
}
