// Who asks for a picture of delivery shares it with whoever asks at about the same time.
#include "app/delivery_picture.h"

#include <doctest/doctest.h>

#include "store/errors.h"

using namespace outboxd;

namespace {

struct Viewers {
  using Picture = DeliveryPictures::Picture;

  void ask() {
    pictures->ask([this](DeliveryPictures::Make make) { makes.push_back(std::move(make)); });
  }
  // The loops answer whoever has begun.
  void loops_answer() {
    for (const auto& asked : std::exchange(begun, {})) {
      asked([this] {
        ++taken;
        while_read();
        clock.advance(cost);
        if (busy) throw StoreError(StoreError::Kind::kBusy, "busy");
        return std::make_shared<const DeliveryPicture>();
      });
    }
  }
  Picture see(std::size_t which) { return makes.at(which)(); }

  ManualClock clock;
  Millis cost{100};
  bool busy = false;
  int taken = 0;
  std::function<void()> while_read = [] {};
  std::vector<DeliveryPictures::Asked> begun;
  std::vector<DeliveryPictures::Make> makes;
  std::shared_ptr<DeliveryPictures> pictures = std::make_shared<DeliveryPictures>(
      clock, [this](DeliveryPictures::Asked asked) { begun.push_back(std::move(asked)); });
};

}  // namespace

TEST_CASE_FIXTURE(Viewers, "many who ask while a picture is being taken get that one") {
  for (int i = 0; i < 50; ++i) ask();
  REQUIRE(begun.size() == 1);
  loops_answer();
  REQUIRE(makes.size() == 1);
  const Picture first = see(0);
  REQUIRE(makes.size() == 50);
  for (std::size_t i = 1; i < makes.size(); ++i) CHECK(see(i) == first);
  CHECK(taken == 1);
}

TEST_CASE_FIXTURE(Viewers,
                  "a picture that took long is shown for ten times as long, and at most for a second") {
  cost = Millis(50);
  ask();
  loops_answer();
  const Picture first = see(0);
  clock.advance(Millis(499));
  ask();
  CHECK(see(1) == first);
  clock.advance(Millis(1));
  cost = std::chrono::seconds(5);
  ask();
  loops_answer();
  const Picture second = see(2);
  CHECK(second != first);
  clock.advance(Millis(999));
  ask();
  CHECK(see(3) == second);
  clock.advance(Millis(1));
  ask();
  CHECK(begun.size() == 1);
}

TEST_CASE_FIXTURE(Viewers, "a picture that took no time is not kept, so a change is seen at once") {
  cost = Millis(9);
  ask();
  loops_answer();
  see(0);
  ask();
  CHECK(begun.size() == 1);
}

TEST_CASE_FIXTURE(Viewers,
                  "who asks while one is being read that is not kept waits for the next, with all others") {
  cost = Millis(9);
  ask();
  loops_answer();
  while_read = [this] {
    for (int i = 0; i < 3; ++i) ask();
  };
  const Picture first = see(0);
  while_read = [] {};
  REQUIRE(makes.size() == 1);
  REQUIRE(begun.size() == 1);
  loops_answer();
  const Picture second = see(1);
  CHECK(second != first);
  REQUIRE(makes.size() == 4);
  CHECK(see(2) == second);
  CHECK(see(3) == second);
  CHECK(taken == 2);
}

TEST_CASE_FIXTURE(Viewers, "who asks while one is being read that is kept gets that one") {
  ask();
  loops_answer();
  while_read = [this] { ask(); };
  const Picture first = see(0);
  REQUIRE(makes.size() == 2);
  CHECK(see(1) == first);
  CHECK(taken == 1);
}

TEST_CASE_FIXTURE(Viewers,
                  "those who wait for a picture that fails are told so, and the next one begins anew") {
  busy = true;
  ask();
  ask();
  loops_answer();
  CHECK_THROWS_AS(see(0), StoreError);
  std::exchange(makes, {}).clear();  // its request is answered
  REQUIRE(makes.size() == 1);
  CHECK_THROWS_AS(see(0), StoreError);
  busy = false;
  ask();
  loops_answer();
  CHECK(see(1) != nullptr);
}

TEST_CASE_FIXTURE(Viewers, "a request that is given up before the loops answer holds nobody up") {
  ask();
  ask();
  begun.clear();
  REQUIRE(makes.size() == 1);
  CHECK_THROWS_AS(see(0), StoreError);
  ask();
  CHECK(begun.size() == 1);
}
