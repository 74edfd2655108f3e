#include "delivery/backlog_reader.h"

#include <utility>

#include "telemetry/log.h"

namespace outboxd {
namespace {

// In WAL mode a read is rarely refused; when it is, trying again at once would only be refused again.
constexpr Millis kBusyPause{50};

// Returns otherwise() for a read that cannot be made now.
template <class Read, class Otherwise>
auto unless_busy(Read read, const char* what, Otherwise otherwise) {
  try {
    return read();
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    log::warn(what, {{"error", error.what()}});
    return otherwise;
  }
}

}  // namespace

void BacklogReader::ask(std::vector<Decisions::Fetch> fetches,
                        std::optional<Decisions::FindExpired> expired) {
  for (Decisions::Fetch& fetch : fetches) {
    executor_.post([this, fetch = std::move(fetch)] { read(fetch); });
  }
  if (expired) executor_.post([this, wanted = *expired] { read(wanted); });
}

void BacklogReader::read(const Decisions::Fetch& fetch) {
  callbacks_.found(
      fetch.endpoint,
      unless_busy([&] { return reader_->due(fetch.endpoint, fetch.limit, fetch.max_bytes, fetch.held); },
                  "the backlog could not be read, trying again",
                  DueWindow{.deliveries = {}, .next_due_in = kBusyPause}));
}

// Finds nothing when the store is busy: the scheduler searches again in a while.
void BacklogReader::read(const Decisions::FindExpired& wanted) {
  callbacks_.expired(unless_busy([&] { return reader_->expired(clock_.wall(), wanted.after, wanted.limit); },
                                 "expired deliveries could not be read, trying again",
                                 std::vector<DueDelivery>()));
}

}  // namespace outboxd
