#include <poll.h>

#include <chrono>
#include <utility>

#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

Pipeline::Pipeline(Connection& db) : db_(db) {
  entered_ = PQenterPipelineMode(db_.handle()) == 1;
  if (!entered_) db_.fail(nullptr, "entering pipeline mode");
}

Pipeline::~Pipeline() {
  leave();
}

// What was added and never run is run after all, for what was sent cannot be taken back; its answers are dropped. (Only
// an exception between add() and run() does that, and the transaction is rolled back next.)
void Pipeline::leave() noexcept {
  if (!std::exchange(entered_, false)) return;
  if (sent_ && !ran_ && PQpipelineSync(db_.handle()) == 1) {
    for (bool synced = false; !synced && !db_.is_lost();) {
      PGresult* const result = PQgetResult(db_.handle());
      synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
      PQclear(result);
    }
  }
  PQexitPipelineMode(db_.handle());
}

Pipeline& Pipeline::add_with(Statement& statement, const Parameters& parameters) {
  sent_ = true;
  Step step{.statement = &statement, .prepares = db_.prepared_.insert(&statement).second};
  PGconn* const connection = db_.handle();
  if (step.prepares && PQsendPrepare(connection, statement.name_.c_str(), statement.sql_.c_str(),
                                     parameters.count(), parameters.types()) != 1)
    db_.fail(nullptr, statement.sql_);
  const Parameters::Wire wire = parameters.wire();
  if (PQsendQueryPrepared(connection, statement.name_.c_str(), parameters.count(), wire.values.data(),
                          wire.lengths.data(), wire.formats.data(), 1) != 1)
    db_.fail(nullptr, statement.sql_);
  steps_.push_back(std::move(step));
  return *this;
}

// The server bounds its statements itself; more than this it takes only when it, or the way to it, is gone, or when a
// commit waits for a standby that is. A session without a bound waits for ever.
bool Pipeline::wait_for_answer() {
  const Millis limit = db_.options_.statement_timeout;
  const auto until = std::chrono::steady_clock::now() + limit + db_.options_.grace;
  while (PQisBusy(db_.handle()) == 1) {
    const auto left = std::chrono::ceil<Millis>(until - std::chrono::steady_clock::now());
    pollfd socket{.fd = PQsocket(db_.handle()), .events = POLLIN, .revents = 0};
    if (limit > Millis(0) && left <= Millis(0)) return false;
    poll(&socket, 1, limit > Millis(0) ? static_cast<int>(left.count()) : -1);
    if (PQconsumeInput(db_.handle()) != 1) return true;  // PQgetResult says why
  }
  return true;
}

// The one result of what was sent next, and the null that ends it.
std::shared_ptr<PGresult> Pipeline::next_result() {
  if (!wait_for_answer()) {
    db_.abandon();
    return nullptr;
  }
  std::shared_ptr<PGresult> result(PQgetResult(db_.handle()), PQclear);
  if (result && PQresultStatus(result.get()) != PGRES_PIPELINE_SYNC) {
    while (PGresult* const more = PQgetResult(db_.handle())) PQclear(more);
  }
  return result;
}

void Pipeline::run() {
  ran_ = true;
  if (PQpipelineSync(db_.handle()) != 1) db_.fail(nullptr, "sending a pipeline");
  std::shared_ptr<PGresult> failure;
  const Statement* failed = nullptr;
  const auto succeeded = [](const std::shared_ptr<PGresult>& result) {
    const ExecStatusType status = PQresultStatus(result.get());
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  };
  const auto note = [&](const Step& step, const std::shared_ptr<PGresult>& result) {
    if (succeeded(result) || failed != nullptr) return;
    failed = step.statement;
    failure = result;
  };
  for (Step& step : steps_) {
    if (step.prepares) {
      const auto prepared = next_result();
      note(step, prepared);
      if (!succeeded(prepared)) db_.prepared_.erase(step.statement);
    }
    if (!db_.is_lost()) step.result = next_result();
    if (db_.is_lost()) db_.fail(failure.get(), "waiting for an answer to: " + step.statement->sql());
    note(step, step.result);
  }
  next_result();  // of the sync
  leave();
  if (failed != nullptr) db_.fail(failure.get(), failed->sql());
}

Cursor Pipeline::rows(std::size_t index) const {
  return Cursor(steps_.at(index).result);
}

std::int64_t Pipeline::changes(std::size_t index) const {
  return rows(index).changes();
}

}  // namespace outboxd::postgresql
