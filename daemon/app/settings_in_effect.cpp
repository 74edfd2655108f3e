#include "app/settings_in_effect.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "config/setting_json.h"

namespace outboxd {
namespace {

// As App::reload(). The ballast is made when the store is opened.
bool is_reloaded(const config::Setting& setting) {
  constexpr std::array<std::string_view, 4> kSections{"ingest", "policy", "retention", "log"};
  return std::ranges::find(kSections, setting.section) != kSections.end() &&
         setting.id() != "retention.ballast";
}

}  // namespace

SettingsInEffect::SettingsInEffect(const config::Loaded& loaded) : settings_(config::settings(loaded)) {}

void SettingsInEffect::reload(const config::Loaded& loaded) {
  const std::vector<config::Setting> fresh = config::settings(loaded);
  const MutexLock lock(mutex_);
  for (config::Setting& old : settings_) {
    if (!is_reloaded(old)) continue;
    const auto found = std::ranges::find_if(
        fresh, [&](const config::Setting& s) { return s.section == old.section && s.key == old.key; });
    if (found != fresh.end()) old = *found;
  }
}

std::vector<api::DaemonSetup::Setting> SettingsInEffect::all() const {
  const MutexLock lock(mutex_);
  std::vector<api::DaemonSetup::Setting> all;
  all.reserve(settings_.size());
  std::ranges::transform(settings_, std::back_inserter(all), [](const config::Setting& setting) {
    return api::DaemonSetup::Setting{setting.id(), config::value_of(setting), setting.origin};
  });
  return all;
}

}  // namespace outboxd
