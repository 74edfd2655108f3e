#include "common/secret_box.h"

#include <doctest/doctest.h>

using namespace outboxd;

namespace {

const std::string kOne(64, '1'), kTwo(64, '2');

SecretBox box(const std::string& keys) {
  auto parsed = SecretBox::parse(keys, "keys");
  REQUIRE(parsed);
  return *parsed;
}

std::string error(const std::string& keys) {
  const auto parsed = SecretBox::parse(keys, "/etc/keys");
  return parsed ? "" : parsed.error().detail;
}

}  // namespace

TEST_CASE("a sealed secret opens with the same key, at the same place") {
  const SecretBox one = box(kOne);
  for (const std::string& secret : {std::string(), std::string("whsec_x"), std::string(5000, 'z')}) {
    const auto sealed = one.seal(secret, "ep_1");
    CHECK(sealed.key_id == one.key_id());
    CHECK(sealed.bytes.size() == secret.size() + 28);
    CHECK(one.open(sealed, "ep_1") == secret);
    CHECK_FALSE(one.open(sealed, "ep_2"));
    CHECK_FALSE(one.open(sealed, ""));
  }
}

TEST_CASE("the same secret is never sealed to the same bytes, and none of it shows") {
  const SecretBox one = box(kOne);
  const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const auto a = one.seal(secret, "p"), b = one.seal(secret, "p");
  CHECK(a.bytes != b.bytes);
  CHECK(a.bytes.substr(0, 12) != b.bytes.substr(0, 12));
  CHECK(a.bytes.find("whsec") == std::string::npos);
}

TEST_CASE("whatever bit is changed, or byte cut off, nothing opens") {
  const SecretBox one = box(kOne);
  const auto sealed = one.seal("whsec_x", "p");
  for (std::size_t i = 0; i < sealed.bytes.size(); ++i) {
    auto changed = sealed;
    changed.bytes[i] = static_cast<char>(changed.bytes[i] ^ 0x10);
    CHECK_FALSE(one.open(changed, "p"));
    changed = sealed;
    changed.bytes.resize(i);
    CHECK_FALSE(one.open(changed, "p"));
  }
}

TEST_CASE("the first key seals, every key opens, and another key does not") {
  const auto old = box(kOne).seal("x", "p");
  const SecretBox both = box(kTwo + "\n" + kOne + "\n");
  CHECK(both.open(old, "p") == "x");
  CHECK(both.key_id() == box(kTwo).key_id());
  CHECK(both.has(box(kOne).key_id()));
  CHECK_FALSE(box(kTwo).open(old, "p"));
  auto mislabelled = old;
  mislabelled.key_id = box(kTwo).key_id();
  CHECK_FALSE(both.open(mislabelled, "p"));
}

TEST_CASE("a key's id tells keys apart and is the same everywhere") {
  CHECK(box(kOne).key_id().size() == 17);
  CHECK(box(kOne).key_id() == box("  " + kOne + "  # made in 2026\r\n\n").key_id());
  CHECK(box(kOne).key_id() != box(kTwo).key_id());
  CHECK(kOne.find(box(kOne).key_id().substr(1)) == std::string::npos);
}

TEST_CASE("a bad file of keys is refused with file and line, and without quoting it") {
  const std::string short_key(63, 'a');
  CHECK(error("").find("holds no key") != std::string::npos);
  CHECK(error("# only\n\n").find("holds no key") != std::string::npos);
  CHECK(error(kOne + "\n" + short_key).starts_with("/etc/keys:2: a key is 64 hex digits"));
  CHECK(error(short_key).find(short_key) == std::string::npos);
  CHECK(error(kOne + " " + kTwo).starts_with("/etc/keys:1: "));
  CHECK(error(kOne + "\n" + kOne).starts_with("/etc/keys:2: the key is listed twice"));
  std::string many;
  for (int i = 10; i < 43; ++i) many += std::string(62, '0') + std::to_string(i) + "\n";
  CHECK(error(many).starts_with("/etc/keys:33: "));
}
