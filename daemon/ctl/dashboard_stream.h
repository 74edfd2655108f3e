// A stream of server-sent events on its way through `outboxctl dashboard`. A thread of its own reads it from the daemon,
// and stops reading for as long as what it has read is not taken.
#pragma once

#include <atomic>
#include <exception>
#include <optional>
#include <string>
#include <thread>

#include "common/mutex.h"
#include "ctl/api_client.h"

namespace outboxd::ctl {

class DashboardStream {
 public:
  // `ending`: set when the program ends; every wait here ends soon after.
  DashboardStream(ApiClient::Options daemon, ApiClient::Forwarded request, const std::atomic<bool>& ending);
  ~DashboardStream();  // ends the exchange with the daemon
  DashboardStream(const DashboardStream&) = delete;

  // Waits until it has begun. Otherwise returns the daemon's answer; throws Failure when it gave none.
  std::optional<HttpResponse> wait_until_begun();
  // What has come and was not taken yet; "": nothing came within `at_most`; nullopt: it is over.
  std::optional<std::string> next(Millis at_most);

 private:
  void run();
  void take(std::string_view bytes);

  const ApiClient::Options daemon_;
  const ApiClient::Forwarded request_;
  const std::atomic<bool>& ending_;
  const int stop_fd_;
  Mutex mutex_;
  CondVar changed_;
  std::string untaken_ OUTBOXD_GUARDED_BY(mutex_);
  bool begun_ OUTBOXD_GUARDED_BY(mutex_) = false;
  bool stopped_ OUTBOXD_GUARDED_BY(mutex_) = false;
  bool over_ OUTBOXD_GUARDED_BY(mutex_) = false;
  HttpResponse refusal_ OUTBOXD_GUARDED_BY(mutex_);
  std::exception_ptr failure_ OUTBOXD_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace outboxd::ctl
