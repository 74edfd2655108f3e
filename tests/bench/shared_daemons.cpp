#include "bench/shared_daemons.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace outboxd::bench {
namespace {

constexpr int kPartitions = 256;
constexpr auto kPatience = std::chrono::seconds(60);

int partitions_of(const test::DaemonProcess& daemon) {
  const std::string answer =
      test::http_over_unix(daemon.admin_socket(), "GET /v1/setup?hosts=false HTTP/1.1", "");
  const auto body = answer.find("\r\n\r\n");
  if (body == std::string::npos) throw std::runtime_error("no setup: " + answer);
  return Json::parse(answer.substr(body + 4)).at("partitions").at("owned");
}

}  // namespace

SharedDaemons::SharedDaemons(const Settings& settings, const PostgresServer& server,
                             const std::string& database, const std::filesystem::path& folder, int count) {
  daemons_.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    daemons_.push_back(std::make_unique<test::DaemonProcess>(settings.daemon, folder / std::to_string(i), "",
                                                             server.url(database)));
  wait_for_shares();
}

void SharedDaemons::wait_for_shares() const {
  const int least = kPartitions / static_cast<int>(daemons_.size());
  const auto shared = [&] {
    int sum = 0, fewest = kPartitions;
    for (const auto& daemon : daemons_) {
      const int owned = partitions_of(*daemon);
      sum += owned;
      fewest = std::min(fewest, owned);
    }
    return sum == kPartitions && fewest >= least;
  };
  if (!wait_for(shared, kPatience)) throw std::runtime_error("the daemons do not get their shares");
}

LoadResult SharedDaemons::produce(const Load& load, const Events& events) const {
  const auto count = static_cast<std::int64_t>(daemons_.size());
  std::vector<LoadResult> results(daemons_.size());
  std::vector<std::exception_ptr> errors(daemons_.size());
  std::vector<std::thread> threads;
  threads.reserve(daemons_.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t begin = load.requests * i / count, end = load.requests * (i + 1) / count;
    Events mine = events;
    mine.first += begin * events.per_request;
    Load its = load;
    its.socket = daemons_[at]->ingest_socket();
    its.connections = std::max(1, load.connections / static_cast<int>(count));
    its.requests = end - begin;
    its.rate = load.rate / static_cast<double>(count);
    its.request = requests_of(mine);
    threads.emplace_back([&results, &errors, at, its = std::move(its)] {
      try {
        results[at] = bench::produce(its);
      } catch (...) {
        errors[at] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  LoadResult all;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    std::ranges::move(results[i].answered, std::back_inserter(all.answered));
    all.sent += results[i].sent;
    all.refused += results[i].refused;
    if (all.first_refusal.empty()) all.first_refusal = results[i].first_refusal;
  }
  return all;
}

std::chrono::nanoseconds SharedDaemons::cpu() const {
  std::chrono::nanoseconds sum{};
  for (const auto& daemon : daemons_) sum += daemon->cpu();
  return sum;
}

long SharedDaemons::peak_resident_kib() const {
  long most = 0;
  for (const auto& daemon : daemons_) most = std::max(most, daemon->peak_resident_kib());
  return most;
}

}  // namespace outboxd::bench
