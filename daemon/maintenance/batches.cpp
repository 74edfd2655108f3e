#include "maintenance/batches.h"

#include <algorithm>
#include <utility>

#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr std::chrono::nanoseconds kBurst = std::chrono::milliseconds(100);

}  // namespace

BatchPace::BatchPace(const RateLimit& rate)
    : interval_(std::max(std::chrono::nanoseconds(rate.per) / rate.count, std::chrono::nanoseconds(1))),
      tolerance_(std::max(kBurst - interval_, std::chrono::nanoseconds(0))) {}

std::int64_t BatchPace::room(MonotonicTime now) const {
  if (now < ready_at()) return 0;
  return 1 + std::min(std::chrono::nanoseconds(now - ready_at()), tolerance_) / interval_;
}

void BatchPace::take(std::int64_t count, MonotonicTime now) {
  even_ = std::max(even_, now) + count * interval_;
}

Batches::Job::Job(OperatorBatch stored)
    : batch(std::move(stored)),
      place(batch.place),
      pace(batch.rate),
      counted_to(batch.place),
      matched(batch.done + batch.skipped) {}

Batches::Batches(Executor& executor, Store& store, GroupCommit& commits, const Clock& clock,
                 telemetry::Metrics& metrics, Find find)
    : executor_(executor),
      store_(store),
      commits_(commits),
      clock_(clock),
      metrics_(metrics),
      find_(std::move(find)) {}

void Batches::start() {
  executor_.post([this] {
    started_ = true;
    stepping_ = false;
    ++term_;
    look();
  });
}

void Batches::stop() {
  executor_.post([this] {
    started_ = false;
    ++term_;
    jobs_.clear();
    metrics_.batches_running(0);
  });
}

void Batches::hear(const BatchChanged&) {
  executor_.post([this] { look(); });
}

void Batches::look() {
  if (!started_) return;
  try {
    if (!reader_) reader_ = store_.new_reader();
    auto running = reader_->running_batches();
    std::erase_if(jobs_, [&](const Job& job) {
      return std::none_of(running.begin(), running.end(),
                          [&](const OperatorBatch& batch) { return batch.id == job.batch.id; });
    });
    for (OperatorBatch& batch : running) {
      if (find_job(batch.id) == nullptr) jobs_.emplace_back(std::move(batch));
    }
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    executor_.call_at(executor_.now() + kMaxWait / 10, [this] { look(); });
    return;
  }
  metrics_.batches_running(static_cast<std::int64_t>(jobs_.size()));
  if (!stepping_) turn();  // a new batch does not wait for the pace of an old one
}

Batches::Job* Batches::find_job(const BatchId& id) {
  const auto job =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const Job& one) { return one.batch.id == id; });
  return job == jobs_.end() ? nullptr : &*job;
}

void Batches::turn_after(Millis wait) {
  stepping_ = false;
  if (next_turn_) executor_.cancel(*next_turn_);
  next_turn_ = executor_.call_at(executor_.now() + wait, [this] {
    next_turn_.reset();
    turn();
  });
}

void Batches::turn() {
  if (stepping_ || jobs_.empty()) return;
  const MonotonicTime now = executor_.now();
  const auto ready =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const Job& job) { return job.pace.room(now) > 0; });
  if (ready == jobs_.end()) {
    MonotonicTime next = jobs_.front().pace.ready_at();
    for (const Job& job : jobs_) next = std::min(next, job.pace.ready_at());
    return turn_after(std::max(std::chrono::ceil<Millis>(next - now), kPause));
  }
  std::rotate(ready, ready + 1, jobs_.end());
  try {
    step(jobs_.back(), jobs_.back().pace.room(now));
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    try_later(error.what());
  }
}

void Batches::step(Job& job, std::int64_t room) {
  count_on(job);
  auto found = find_(*reader_, job.batch, job.place, static_cast<int>(std::min<std::int64_t>(room, kRows)));
  if (!found) return try_later(found.error().detail);
  if (found->keys.empty() && found->next) {
    job.place = *found->next;
    return turn_after(kPause);
  }
  submit(job, std::move(*found));
}

// It stays ahead of the acts, because what was acted upon matches no more.
void Batches::count_on(Job& job) {
  if (job.batch.counted) return;
  const auto found = find_(*reader_, job.batch, job.counted_to, kRowsCounted);
  if (!found) return;
  job.matched += static_cast<std::int64_t>(found->keys.size());
  job.batch.matched = std::max(job.batch.matched, job.matched);
  job.batch.counted = !found->next;
  if (found->next) job.counted_to = *found->next;
}

void Batches::submit(const Job& job, BatchKeys found) {
  auto step = std::make_shared<BatchStep>();
  step->from = job.batch.place;
  step->keys = std::move(found.keys);
  step->last = !found.next;
  step->to = found.next.value_or(job.place);
  step->matched = job.batch.matched;
  step->counted = job.batch.counted;
  step->at = clock_.wall();
  stepping_ = true;
  commits_.submit(
      StepBatch{job.batch.id, std::move(step)},
      [this, term = term_, before = job.batch](const StepBatch& command, Result<OperatorBatchPtr> now) {
        executor_.post([this, term, before, keys = command.step->keys.size(), now = std::move(now)] {
          if (term == term_) stepped(before, keys, now);
        });
      });
}

void Batches::stepped(const OperatorBatch& before, std::size_t keys, const Result<OperatorBatchPtr>& now) {
  if (!now) return try_later(now.error().detail);
  wait_ = Millis(0);
  const OperatorBatch& batch = **now;
  metrics_.batch_items(to_string(batch.action), "done", batch.done - before.done);
  metrics_.batch_items(to_string(batch.action), "skipped", batch.skipped - before.skipped);
  const BatchId id = before.id;
  Job* job = find_job(id);
  if (job == nullptr) return turn_after(kPause);  // that was its last step, or it was cancelled meanwhile
  job->batch = batch;
  job->place = batch.place;
  job->pace.take(static_cast<std::int64_t>(keys), executor_.now());
  if (batch.state != BatchState::kRunning) {
    std::erase_if(jobs_, [&](const Job& one) { return one.batch.id == id; });
    metrics_.batches_running(static_cast<std::int64_t>(jobs_.size()));
  }
  turn_after(kPause);
}

// The store is busy or full, or outboxd is stopping: then the next start goes on.
void Batches::try_later(const std::string& why) {
  if (wait_ == Millis(0)) log::warn("batches wait, trying again", {{"error", why}});
  wait_ = std::clamp(2 * wait_, 4 * kPause, kMaxWait);
  turn_after(wait_);
}

}  // namespace outboxd
