#include "maintenance/type_counts.h"

namespace outboxd {

void TypeCounts::start() {
  running_ = true;
  events_accepted();  // perhaps, before this start
}

void TypeCounts::stop() {
  running_ = false;
}

void TypeCounts::events_accepted() {
  uncounted_ = true;
  schedule();
}

void TypeCounts::schedule() {
  if (running_ && !scheduled_.exchange(true)) later(kInterval);
}

void TypeCounts::later(Millis wait) {
  executor_.post([this, wait] { executor_.call_at(executor_.now() + wait, [this] { step(); }); });
}

// If refused (busy, full), it tries again after the interval.
void TypeCounts::step() {
  if (!running_) {
    scheduled_ = false;
    return;
  }
  uncounted_ = false;
  commits_.submit(CountTypes{}, [this](const CountTypes&, const Result<TypesCounted>& counted) {
    if (!counted) return later(kInterval);
    if (counted->more) return later(kPause);
    scheduled_ = false;
    if (uncounted_) schedule();
  });
}

}  // namespace outboxd
