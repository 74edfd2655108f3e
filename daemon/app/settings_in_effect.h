// The configuration as the daemon runs with it, for GET /v1/setup. Thread safe.
#pragma once

#include <vector>

#include "api/context.h"
#include "common/mutex.h"
#include "config/config.h"

namespace outboxd {

class SettingsInEffect {
 public:
  explicit SettingsInEffect(const config::Loaded& loaded);
  // Takes over those that a reload changes; the others stay as they were at the start.
  void reload(const config::Loaded& loaded);
  std::vector<api::DaemonSetup::Setting> all() const;

 private:
  mutable Mutex mutex_;
  std::vector<config::Setting> settings_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd
