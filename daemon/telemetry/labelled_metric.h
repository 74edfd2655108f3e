// A metric family with a cache from label values to series: prometheus-cpp's Family::Add sorts, copies and locks on
// every call, while this looks up without allocating. Bounded: values beyond kMaxSeries share one series labelled
// "other". For metrics.cpp alone.
#pragma once

#include <prometheus/family.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/mutex.h"

namespace outboxd::telemetry {

struct TransparentHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

inline constexpr std::size_t kMaxSeries = 4096;  // of one family; 200 endpoints with 10 outcomes need 2,010

// `Args` are the further arguments that a series of this family is constructed with (a histogram's boundaries).
template <class Metric, class... Args>
class LabelledMetric {
 public:
  LabelledMetric(prometheus::Family<Metric>& family, std::vector<std::string> names, Args... args)
      : family_(family), names_(std::move(names)), args_(std::move(args)...) {}

  // Takes as many values as there are names. Not for a family whose series are removed, because the returned reference
  // must stay valid. Thread safe.
  Metric& with(std::initializer_list<std::string_view> values) {
    const MutexLock lock(mutex_);
    return find(values);
  }
  // A series that whoever counts in it has looked up, until series are removed. For one thread at a time.
  struct Found {
    Metric* series = nullptr;
    std::uint64_t removals = 0;
  };
  // Counts one more. `first_value` is called if the series has to be looked up (again). Thread safe, like remove().
  template <class FirstValue>  // std::string()
  void increment(Found& found, FirstValue first_value, std::string_view second) {
    const MutexLock lock(mutex_);
    if (found.series == nullptr || found.removals != removals_)
      found = {&find({first_value(), second}), removals_};
    found.series->Increment();
  }
  // Removes all series whose first value is this one.
  void remove(std::string_view first) {
    const std::string start = std::string(first) + kSeparator;
    const MutexLock lock(mutex_);
    ++removals_;
    std::erase_if(series_, [&](const auto& series) {
      if (!series.first.starts_with(start)) return false;
      family_.Remove(series.second);
      return true;
    });
  }

 private:
  static constexpr char kSeparator = '\x1f';

  Metric& find(std::initializer_list<std::string_view> values) OUTBOXD_REQUIRES(mutex_) {
    thread_local std::string key;
    key.clear();
    for (const auto value : values) key.append(value).push_back(kSeparator);
    if (const auto it = series_.find(std::string_view(key)); it != series_.end()) return *it->second;
    if (series_.size() >= kMaxSeries) return add({});
    return *series_.emplace(key, &add(values)).first->second;
  }

  Metric& add(std::initializer_list<std::string_view> values) {
    prometheus::Labels labels;
    auto value = values.begin();
    for (const auto& name : names_) labels[name] = values.size() == 0 ? "other" : std::string(*value++);
    return std::apply([&](const Args&... args) -> Metric& { return family_.Add(labels, args...); }, args_);
  }

  prometheus::Family<Metric>& family_;
  const std::vector<std::string> names_;
  const std::tuple<Args...> args_;
  Mutex mutex_;
  std::unordered_map<std::string, Metric*, TransparentHash, std::equal_to<>> series_
      OUTBOXD_GUARDED_BY(mutex_);
  std::uint64_t removals_ OUTBOXD_GUARDED_BY(mutex_) = 0;
};

}  // namespace outboxd::telemetry
