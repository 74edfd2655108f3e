#include "ingest/fan_out.h"

#include <algorithm>

#include "ingest/first_attempts.h"
#include "ingest/matching.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr Millis kBusyWait{250};

}  // namespace

FanOut::FanOut(Executor& executor, Store& store, GroupCommit& commits, const EndpointDirectory& directory,
               Options options)
    : executor_(executor), store_(store), commits_(commits), directory_(directory), options_(options) {}

void FanOut::begin_term(bool started) {
  executor_.post([this, started] {
    ++term_;
    started_ = started;
    queue_.clear();
    newest_ = 0;
    left_in_store_ = true;
    under_way_ = 0;
    go_on();
  });
}

void FanOut::start() {
  begin_term(true);
}

void FanOut::stop() {
  begin_term(false);
}

void FanOut::hear(const FanOutWaits& fact) {
  executor_.post([this, waits = fact.fan_out] {
    if (!started_) return;    // the store remembers it
    if (!waits) newest_ = 0;  // another daemon's event may be older than the newest one heard of here
    // While older events wait in the store, this one must not be queued before them: the oldest goes first.
    if (!waits || left_in_store_ || queue_.size() >= options_.remembered) {
      left_in_store_ = true;
    } else if (waits->event->seq > newest_) {  // otherwise it was read from the store already
      add(*waits);
    }
    go_on();
  });
}

void FanOut::add(Job job) {
  newest_ = job.event->seq;
  queue_.push_back(std::move(job));
}

void FanOut::go_on() {
  if (!started_ || under_way_ > 0 || waits_) return;
  if (queue_.empty() && left_in_store_) read_more();
  if (!queue_.empty()) step();
}

void FanOut::read_more() {
  try {
    if (!reader_) reader_ = store_.new_reader();
    auto jobs = reader_->unfinished_fan_outs(newest_, static_cast<int>(options_.remembered));
    left_in_store_ = jobs.size() == options_.remembered;
    for (Job& job : jobs) {
      if (!job.event->damaged) {
        add(std::move(job));
        continue;
      }
      // Its tenant and type cannot be trusted any more. It stays unfinished, and db check names it.
      newest_ = job.event->seq;
      log::error("an event on disk no longer matches its checksum: its fan-out is not finished",
                 {{"event_number", newest_}});
    }
    if (queue_.empty() && left_in_store_) executor_.post([this] { go_on(); });
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    log::warn("unfinished fan-outs could not be read, trying again", {{"error", error.what()}});
    waits_ = true;
    executor_.call_at(executor_.now() + kBusyWait, [this] {
      waits_ = false;
      go_on();
    });
  }
}

// One step: as many events as there is room for.
void FanOut::step() {
  std::vector<std::pair<ExpandEvent, Job>> commands;
  std::size_t room = options_.step;
  while (room > 0 && !queue_.empty()) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    ExpandEvent command = expand(job, room);
    room -= command.endpoints.size();
    const bool full = command.more_after.has_value();
    commands.emplace_back(std::move(command), std::move(job));
    if (full) break;
  }
  under_way_ = commands.size();
  for (auto& [command, job] : commands) submit(std::move(command), std::move(job));
}

ExpandEvent FanOut::expand(const Job& job, std::size_t room) const {
  const auto matching = matches_of(directory_, *job.event);
  ExpandEvent command{.event = job.event, .endpoints = {}, .more_after = {}, .matched = matching.version};
  const auto after = [](EndpointSeq seq, const EndpointPtr& endpoint) { return seq < endpoint->seq; };
  const auto& all = *matching.endpoints;
  auto next = std::upper_bound(all.begin(), all.end(), job.after, after);
  const auto end = std::upper_bound(next, all.end(), job.last, after);
  for (; next != end; ++next) {
    if (command.endpoints.size() == room) {
      command.more_after = command.endpoints.back().endpoint;
      break;
    }
    command.endpoints.push_back(first_attempt(**next, *job.event, options_.first_wait));
    // No order: endpoints at which the event is ordered got their deliveries when it was accepted. An endpoint that has
    // become ordered since applies that to later events.
    command.endpoints.back().ordering = Ordering::kNone;
  }
  return command;
}

void FanOut::submit(ExpandEvent command, Job job) {
  commits_.submit(std::move(command), [this, term = term_, job = std::move(job)](
                                          const ExpandEvent& done, const Result<Expanded>& answer) mutable {
    bool again = answer && answer->stale;
    if (!answer) {
      // outboxd is stopping, or something is wrong with the event: the next start continues it.
      log::warn("a fan-out was interrupted",
                {{"event", job.event->id.to_string()}, {"error", answer.error().detail}});
    } else if (!answer->stale && done.more_after) {
      job.after = *done.more_after;
      again = true;
    }
    executor_.post([this, again, term, job = std::move(job)]() mutable {
      if (term != term_) return;
      if (again) put_back(std::move(job));
      if (--under_way_ == 0) go_on();
    });
  });
}

void FanOut::put_back(Job job) {
  const auto older = [](const Job& a, const Job& b) { return a.event->seq < b.event->seq; };
  queue_.insert(std::upper_bound(queue_.begin(), queue_.end(), job, older), std::move(job));
}

}  // namespace outboxd
