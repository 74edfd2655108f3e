#include "ingest/fan_out.h"

#include <algorithm>

#include "ingest/first_attempts.h"
#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr Millis kBusyWait{250};

}  // namespace

FanOut::FanOut(Store& store, GroupCommit& commits, const EndpointDirectory& directory, Options options,
               OnAccepted on_accepted)
    : store_(store),
      commits_(commits),
      directory_(directory),
      options_(options),
      on_accepted_(std::move(on_accepted)) {}

void FanOut::start() {
  thread_ = start_thread("fan-out", [this] { run(); });
}

void FanOut::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FanOut::add(const NewEvent& accepted) {
  {
    const std::lock_guard lock(mutex_);
    // Behind what waits in the store nothing can be remembered: the oldest goes first.
    if (left_in_store_ > 0 || queue_.size() >= options_.remembered) {
      ++left_in_store_;
    } else {
      queue_.push_back({accepted.event, *accepted.more_after, accepted.more_until});
      newest_ = accepted.event->seq;
    }
  }
  changed_.notify_all();
}

void FanOut::run() {
  std::unique_ptr<StoreReader> reader;
  while (true) {
    bool dry = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(
          lock, [this] { return stopping_ || (under_way_ == 0 && (!queue_.empty() || left_in_store_ > 0)); });
      if (stopping_) return;
      dry = queue_.empty();
    }
    dry ? read_more(reader) : step();
  }
}

void FanOut::read_more(std::unique_ptr<StoreReader>& reader) {
  EventSeq after = 0;
  std::uint64_t left = 0;
  {
    const std::lock_guard lock(mutex_);
    after = newest_;
    left = left_in_store_;
  }
  try {
    if (!reader) reader = store_.new_reader();
    auto jobs = reader->unfinished_fan_outs(after, static_cast<int>(options_.remembered));
    const bool all = jobs.size() < options_.remembered;
    const std::lock_guard lock(mutex_);
    for (Job& job : jobs) {
      newest_ = job.event->seq;
      if (job.event->damaged) {
        // Nobody knows any more of which tenant and type it was. It stays unfinished, and db check names it.
        log::error("an event on disk no longer matches its checksum: its fan-out is not finished",
                   {{"event_number", job.event->seq}});
        continue;
      }
      queue_.push_back(std::move(job));
    }
    if (all && left_in_store_ == left) left_in_store_ = 0;
  } catch (const StoreBusy& busy) {
    log::warn("unfinished fan-outs could not be read, trying again", {{"error", busy.what()}});
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kBusyWait, [this] { return stopping_; });
  }
}

// As many events as have room in it.
void FanOut::step() {
  std::vector<ExpandEvent> commands;
  std::size_t room = options_.step;
  while (room > 0) {
    auto job = take();
    if (!job) break;
    commands.push_back(expand(*job, room));
    const ExpandEvent& command = commands.back();
    room -= command.endpoints.size();
    if (!command.more_after) continue;
    job->after = *command.more_after;
    const std::lock_guard lock(mutex_);
    queue_.push_front(std::move(*job));
    break;
  }
  {
    const std::lock_guard lock(mutex_);
    under_way_ = commands.size();
  }
  for (ExpandEvent& command : commands) submit(std::move(command));
}

std::optional<FanOut::Job> FanOut::take() {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) return std::nullopt;
  Job job = std::move(queue_.front());
  queue_.pop_front();
  return job;
}

ExpandEvent FanOut::expand(const Job& job, std::size_t room) const {
  ExpandEvent command{.event = job.event, .endpoints = {}, .more_after = {}};
  const auto matching = directory_.match(job.event->tenant, job.event->type);
  const auto after = [](EndpointSeq seq, const EndpointPtr& endpoint) { return seq < endpoint->seq; };
  auto next = std::upper_bound(matching->begin(), matching->end(), job.after, after);
  const auto end = std::upper_bound(next, matching->end(), job.last, after);
  for (; next != end; ++next) {
    if (command.endpoints.size() == room) {
      command.more_after = command.endpoints.back().endpoint;
      break;
    }
    command.endpoints.push_back(first_attempt(**next, *job.event, options_.first_wait));
    // The event is there already if it was accepted in order here. If the endpoint is ordered only since
    // then, that holds for later events.
    command.endpoints.back().ordering = Ordering::kNone;
  }
  return command;
}

void FanOut::submit(ExpandEvent command) {
  commits_.submit(std::move(command), [this](Write& write) {
    auto& done = std::get<ExpandEvent>(write.command);
    if (write.refused) {
      // outboxd is stopping, or something is wrong with the event: the next start goes on with it.
      log::warn("a fan-out was interrupted",
                {{"event", done.event->id.to_string()}, {"error", write.refused->detail}});
      drop(done.event->seq);
    } else {
      std::vector<DueDelivery> fresh;
      add_fresh(fresh, done.event, done.made);
      if (!fresh.empty()) on_accepted_(std::move(fresh));
    }
    const std::lock_guard lock(mutex_);
    --under_way_;
    changed_.notify_all();
  });
}

void FanOut::drop(EventSeq event) {
  const std::lock_guard lock(mutex_);
  std::erase_if(queue_, [event](const Job& job) { return job.event->seq == event; });
}

}  // namespace outboxd
