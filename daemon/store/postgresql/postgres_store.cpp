#include "store/postgresql/postgres_store.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "common/text.h"
#include "migrations/embedded.h"
#include "store/fail_stop.h"
#include "store/postgresql/due_marks.h"
#include "store/postgresql/first_connection.h"
#include "store/postgresql/member_session.h"
#include "store/postgresql/neighbours.h"
#include "store/postgresql/reader.h"
#include "store/postgresql/schema.h"
#include "store/postgresql/shared_writer.h"
#include "store/postgresql/writer.h"

namespace outboxd {
namespace {

using namespace postgresql;

std::string random_word(std::size_t bytes) {
  std::random_device random;
  std::string word(bytes, '\0');
  for (char& byte : word) byte = static_cast<char>(random());
  return hex_encode(word);
}

std::string default_name() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return std::string("outboxd@") + host.data() + ":" + std::to_string(getpid());
}

// Returns the version of the directory: what changes after it is told.
DirectoryVersion prepare(const ConnectionOptions& options) {
  Connection db = first_connection(options);
  check_server(db, options);
  prepare_schema(db, embedded::postgresql_migrations());
  return static_cast<DirectoryVersion>(db.query_int("SELECT version FROM directory"));
}

class PostgresStore final : public Store {
 public:
  explicit PostgresStore(const PostgresOptions& options)
      : options_(options),
        directory_(prepare(connection("opening", "commit"))),
        writer_({connection("writer", "commit"), token_, options.secrets, options.clock}, standing_),
        shared_writer_(writer_, {standing_, doorbell_, own_events_, *marks_}),
        participant_([this] { return std::make_unique<ServerSession>(member_options()); }, standing_,
                     boot_now),
        neighbours_(std::make_unique<ForeignChanges>(connection("neighbours", "read"), new_reader(),
                                                     own_events_, *marks_, directory_),
                    doorbell_, standing_, random_word(8)) {
    member_ = start_thread("member", [this] { take_part(); });
    neighbours_.start();
  }
  // Nothing is under way any more, so everything is given back at once.
  ~PostgresStore() override {
    neighbours_.stop();
    leaving_ = true;
    standing_.wake_member();
    member_.join();
  }

  StoreWriter& writer() override { return shared_writer_; }
  std::unique_ptr<StoreReader> new_reader() override {
    return std::make_unique<Reader>(ReaderOptions{.url = options_.url,
                                                  .secrets = options_.secrets,
                                                  .clock = options_.clock,
                                                  .marks = marks_,
                                                  .standing = &standing_,
                                                  .on_error = on_error("read")});
  }
  Ownership ownership() const override {
    return {.token = token_, .partitions = standing_.told(), .members = standing_.members()};
  }
  bool may_send() const override { return standing_.may_send(); }
  void release(const PartitionSet& partitions) override { standing_.release(partitions); }
  void interrupt() override { standing_.interrupt(); }

  // Where a former owner's fetches have been says nothing about what is there now, nor does where ours have been about
  // what an operator has put back.
  Facts wait_for_changes(Millis timeout) override {
    Facts facts = standing_.wait(timeout);
    for (const Fact& fact : facts) {
      if (std::holds_alternative<PartitionsOwned>(fact)) marks_->clear();
      if (const auto* due = std::get_if<DueOnDisk>(&fact); due != nullptr && due->by_operator)
        marks_->forget(due->endpoint);
    }
    return facts;
  }

  std::string why_unreachable() const override {
    if (standing_.is_in_session()) return neighbours_.why_unreachable();
    const std::string why = standing_.why_out();
    return why.empty() ? "it has not joined the daemons that share the store yet" : why;
  }

 private:
  std::function<void()> on_error(std::string_view op) const {
    if (!options_.on_error) return {};
    return [this, op] { options_.on_error(op); };
  }
  ConnectionOptions connection(const std::string& purpose, std::string_view op) const {
    return {.url = options_.url, .purpose = purpose, .on_error = on_error(op)};
  }
  MemberSessionOptions member_options() const {
    return {.url = options_.url,
            .name = options_.name.empty() ? default_name() : options_.name,
            .on_error = on_error("member")};
  }
  void take_part() {
    while (!leaving_) standing_.sleep_member(participant_.step());
    participant_.leave();
  }

  const PostgresOptions options_;
  const OwnerToken token_{random_word(16)};
  const DirectoryVersion directory_;
  const std::shared_ptr<DueMarks> marks_ = std::make_shared<DueMarks>();
  Standing standing_;
  Doorbell doorbell_;
  OwnEvents own_events_;
  Writer writer_;
  SharedWriter shared_writer_;
  Participant participant_;
  Neighbours neighbours_;
  std::atomic<bool> leaving_{false};
  std::thread member_;
};

}  // namespace

std::unique_ptr<Store> open_postgres_store(const PostgresOptions& options) {
  return std::make_unique<PostgresStore>(options);
}

}  // namespace outboxd
