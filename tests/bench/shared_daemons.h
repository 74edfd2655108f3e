// Daemons that share a database on a server.
#pragma once

#include <memory>
#include <vector>

#include "bench/postgres_server.h"
#include "bench/rig.h"

namespace outboxd::bench {

class SharedDaemons {
 public:
  // Starts so many on a new database; returns when each has its share of the partitions.
  SharedDaemons(const Settings& settings, const PostgresServer& server, const std::string& database,
                const std::filesystem::path& folder, int count);

  test::DaemonProcess& any() { return *daemons_.front(); }
  const test::DaemonProcess& any() const { return *daemons_.front(); }
  // The load divided among them, each with its part of the producers. `first`: the number of the first event.
  LoadResult produce(const Load& load, const Events& events) const;
  std::chrono::nanoseconds cpu() const;
  long peak_resident_kib() const;  // of the largest

 private:
  void wait_for_shares() const;
  std::vector<std::unique_ptr<test::DaemonProcess>> daemons_;
};

}  // namespace outboxd::bench
