// A relay over a source that does as it is told, and the real ingest and store.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ingest/relay.h"
#include "ingest_rig.h"

namespace outboxd::test {

struct Killed {};

// The outbox of an application, as it is on disk: it survives whoever reads it.
struct FakeOutbox {
  struct Row {
    OutboxRow row;
    std::string unreadable = {};
    bool rejected = false;
  };
  std::string database = "a1";
  std::int64_t last = 0;
  std::map<std::int64_t, Row> rows;
  bool busy = false, elsewhere = false;
  std::string failure;
  std::function<void()> at_each_call = [] {};  // may throw Killed

  std::int64_t insert(const std::string& payload = "{}", const std::string& type = "order.paid") {
    OutboxRow row;
    row.row = ++last;
    row.type = type;
    row.payload = payload;
    rows[last] = {row};
    return last;
  }
  std::set<std::int64_t> numbers() const {
    std::set<std::int64_t> all;
    for (const auto& [number, row] : rows) all.insert(number);
    return all;
  }
};

class FakeSource final : public Source {
 public:
  explicit FakeSource(FakeOutbox& outbox) : outbox_(outbox) {}

  SourceRows read(std::int64_t after, int limit, std::size_t) override {
    call();
    SourceRows found;
    found.database = outbox_.database;
    found.last = outbox_.last;
    for (auto it = outbox_.rows.upper_bound(after); it != outbox_.rows.end(); ++it) {
      const auto& [number, row] = *it;
      if (row.rejected && found.rows.empty()) found.after_rejected = true;
      if (row.rejected && !found.rows.empty()) break;
      if (row.rejected) continue;
      found.rows.push_back({row.row, row.unreadable, number});
      if (found.rows.size() == static_cast<std::size_t>(limit)) break;
    }
    return found;
  }
  void reject(const std::vector<SourceRejection>& rows, Time at) override {
    call();
    for (const auto& [number, reason, seq] : rows) {
      outbox_.rows.at(number).rejected = true;
      outbox_.rows.at(number).row.rejected = reason;
      outbox_.rows.at(number).row.rejected_at = at;
    }
    call();
  }
  SourceCleared clear(std::int64_t after, std::int64_t up_to, int limit) override {
    call();
    SourceCleared cleared{.up_to = up_to};
    for (auto it = outbox_.rows.upper_bound(after); it != outbox_.rows.end() && it->first <= up_to;) {
      if (cleared.rows == limit) break;
      cleared.up_to = it->first;
      ++cleared.rows;
      it = outbox_.rows.erase(it);
    }
    if (cleared.rows < limit) cleared.up_to = up_to;
    call();
    return cleared;
  }
  SourceCounts counts(int) override {
    SourceCounts counts;
    for (const auto& [number, row] : outbox_.rows) ++(row.rejected ? counts.rejected : counts.waiting);
    return counts;
  }
  void check() override { call(); }
  bool is_ours() override { return !outbox_.elsewhere; }
  void wait(Millis) override {}

 private:
  void call() {
    outbox_.at_each_call();
    if (outbox_.busy) throw SourceBusy("it is locked");
    if (!outbox_.failure.empty()) throw SourceFailure(outbox_.failure);
  }
  FakeOutbox& outbox_;
};

struct RelayRig {
  IngestRig rig;
  ManualClock clock{kNow};
  FakeOutbox outbox;
  std::optional<Problem> refusal;  // of every event
  int opened = 0;
  std::function<void()> around_commit = [] {};
  std::optional<Relay> relay;

  RelayRig() { restart(); }
  void restart() {
    relay.reset();
    relay.emplace(parts());
  }
  Relay::Parts parts() {
    return {.name = "shop",
            .url = "sqlite:///srv/shop.db",
            .open =
                [this](const std::atomic<bool>&) {
                  ++opened;
                  return std::make_unique<FakeSource>(outbox);
                },
            .stored_place = [this] { return rig.reader().source_place("shop"); },
            .accept =
                [this](std::vector<EventDraft> drafts, std::shared_ptr<const SourceStep> step,
                       Ingest::Done done) {
                  if (refusal) return done(tl::unexpected(*refusal));
                  around_commit();
                  rig.ingest().relay(std::move(drafts), std::move(step), std::move(done));
                  rig.run();
                  around_commit();
                },
            .limits = [] { return EventLimits{}; },
            .clock = clock,
            .metrics = rig.metrics};
  }
  Millis round() {
    const Millis pause = relay->round();
    clock.advance(std::max(pause, Millis(50)));
    return pause;
  }
  // Until everything is relayed and deleted.
  void settle() {
    for (int i = 0; i < 60; ++i) round();
  }
  // Payloads of all events, in the order of their acceptance.
  std::vector<std::string> payloads() {
    std::vector<std::string> all;
    std::string after;
    while (true) {
      const auto page = rig.reader().events({}, {250, after});
      REQUIRE(page);
      for (const EventRow& row : page->rows)
        all.push_back(rig.reader().event(row.event.id, true)->event.payload);
      if (!page->next) break;
      after = *page->next;
    }
    std::reverse(all.begin(), all.end());
    return all;
  }
};

using Payloads = std::vector<std::string>;

}  // namespace outboxd::test
