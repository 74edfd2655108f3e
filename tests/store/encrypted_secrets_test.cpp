// Endpoint secrets on the disk: what is in the file, with a key and without.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "store/secret_encryption.h"
#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const std::string kOne(64, '1'), kTwo(64, '2');
const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", kPassword = "a-password",
                  kShared = "a-shared-secret";

std::shared_ptr<const SecretBox> box(const std::string& keys) {
  return std::make_shared<const SecretBox>(SecretBox::parse(keys, "keys").value());
}

struct Disk {
  TemporaryFolder folder;
  std::unique_ptr<Store> store;

  Store& open(std::shared_ptr<const SecretBox> secrets) {
    store.reset();
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.secrets = std::move(secrets);
    store = open_sqlite_store(options);
    return *store;
  }
  template <class C>
  Done<C> apply(C command) {
    return test::apply(*store, std::move(command));
  }
  Endpoint add() {
    Endpoint e = new_endpoint();
    e.secrets = {{kSecret, kNow, std::nullopt}, {"whsec_old", kNow - kDay, kNow + kDay}};
    return **apply(CreateEndpoint{shared(e)});
  }
  Endpoint add_with_credentials() {
    Endpoint e = new_endpoint();
    e.secrets = {{kSecret, kNow, std::nullopt}};
    e.auth = EndpointAuth{AuthScheme::kBasic, "shop", kPassword};
    e.signatures = {github_signature(), stripe_signature()};
    for (auto& signature : e.signatures) signature.secret = kShared;
    return **apply(CreateEndpoint{shared(e)});
  }
  SecretKeys keys() { return store->new_reader()->secret_keys(); }
  std::int64_t encrypt_all() {
    std::int64_t changed = 0;
    for (std::optional<EndpointSeq> after = 0; after;) {
      const auto step = std::make_shared<EncryptSecrets>(*after, 2);
      REQUIRE(apply(RunStoreTask{step}));
      changed += step->changed;
      after = step->next;
    }
    return changed;
  }
  // Is it anywhere in the file? Everything was checkpointed into it.
  bool holds(const std::string& text) {
    store.reset();
    std::stringstream bytes;
    for (const char* name : {"outbox.db", "outbox.db-wal"}) bytes << std::ifstream(folder / name).rdbuf();
    return bytes.str().find(text) != std::string::npos;
  }
  void sql(const std::string& text) {
    store.reset();
    sqlite::Database(folder / "outbox.db", sqlite::Mode::kWriter, Millis(1000), 1000).execute(text);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Disk, "with a key no secret is in the file, and all come back after a restart") {
  open(box(kOne));
  const Endpoint made = add();
  CHECK(keys() == SecretKeys{{box(kOne)->key_id(), 2}});
  CHECK_FALSE(holds(kSecret));
  CHECK(open(box(kOne)).new_reader()->endpoint(made.id)->secrets == made.secrets);
  CHECK(open(box(kTwo + "\n" + kOne)).new_reader()->all_endpoints().endpoints.at(0).secrets == made.secrets);
}

TEST_CASE_FIXTURE(Disk,
                  "credentials and the secrets of other senders' signatures are kept like signing secrets") {
  open(nullptr);
  const Endpoint made = add_with_credentials();
  CHECK(keys() == SecretKeys{{"", 4}});
  for (const auto& secret : {kSecret, kPassword, kShared}) CHECK(holds(secret));
  open(box(kOne));
  CHECK(encrypt_all() == 1);
  CHECK(encrypt_all() == 0);
  CHECK(keys() == SecretKeys{{box(kOne)->key_id(), 4}});
  sql("PRAGMA wal_checkpoint(TRUNCATE)");
  for (const auto& secret : {kSecret, kPassword, kShared}) CHECK_FALSE(holds(secret));
  const auto read = open(box(kTwo + "\n" + kOne)).new_reader()->endpoint(made.id);
  CHECK(read->secrets == made.secrets);
  CHECK(read->auth == made.auth);
  CHECK(read->signatures == made.signatures);
}

TEST_CASE_FIXTURE(Disk, "without a key they are stored in plain, and said to be") {
  open(nullptr);
  add();
  CHECK(keys() == SecretKeys{{"", 2}});
  const auto refused = apply(RunStoreTask{std::make_shared<EncryptSecrets>()});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ProblemCode::kConflict);
  CHECK(holds(kSecret));
}

TEST_CASE_FIXTURE(Disk,
                  "secrets in plain, and of an earlier key, are encrypted by command, and leave no copy") {
  open(nullptr);
  const Endpoint first = add();
  add();
  apply(RemoveEndpoint{add().id, kNow});
  open(box(kOne));
  add();
  CHECK(keys() == SecretKeys{{"", 6}, {box(kOne)->key_id(), 2}});
  CHECK(encrypt_all() == 3);
  CHECK(encrypt_all() == 0);
  CHECK(keys() == SecretKeys{{box(kOne)->key_id(), 8}});
  open(box(kTwo + "\n" + kOne));
  CHECK(encrypt_all() == 4);
  CHECK(keys() == SecretKeys{{box(kTwo)->key_id(), 8}});
  CHECK(open(box(kTwo)).new_reader()->endpoint(first.id)->secrets == first.secrets);
  sql("PRAGMA wal_checkpoint(TRUNCATE)");
  CHECK_FALSE(holds(kSecret));
}

TEST_CASE_FIXTURE(Disk,
                  "an endpoint whose key is missing is refused with the key's id and where it belongs") {
  open(box(kOne));
  const Endpoint made = add();
  for (const auto& secrets : {std::shared_ptr<const SecretBox>(), box(kTwo)}) {
    try {
      open(secrets).new_reader()->all_endpoints();
      FAIL("it was read");
    } catch (const StoreError& failure) {
      CHECK(failure.kind == StoreError::Kind::kMissingKey);
      const std::string text = failure.what();
      CHECK(text.find(box(kOne)->key_id()) != std::string::npos);
      CHECK(text.find("secrets_key_file") != std::string::npos);
      CHECK(text.find(made.id.to_string()) != std::string::npos);
    }
  }
}

TEST_CASE_FIXTURE(Disk, "secrets that were moved to another endpoint's row, or changed, do not open") {
  open(box(kOne));
  add();
  add();
  sql("UPDATE endpoint SET secrets = (SELECT secrets FROM endpoint WHERE seq = 1) WHERE seq = 2");
  try {
    open(box(kOne)).new_reader()->all_endpoints();
    FAIL("it was read");
  } catch (const StoreError& failure) {
    CHECK(failure.kind == StoreError::Kind::kCorrupt);
    CHECK(std::string(failure.what()).find("does not decrypt") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Disk, "a task of another store's making is refused") {
  struct Foreign final : StoreTask {
    std::int64_t rows() const override { return 1; }
  };
  open(box(kOne));
  const auto refused = apply(RunStoreTask{std::make_shared<Foreign>()});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ProblemCode::kConflict);
}
