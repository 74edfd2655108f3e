#include "ctl/dashboard_stream.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxUntakenBytes = 1u << 20;
constexpr Millis kLookAgain = std::chrono::milliseconds(200);

int new_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

// Thrown through the exchange to end it.
struct Stopped {};

}  // namespace

DashboardStream::DashboardStream(ApiClient::Options daemon, ApiClient::Forwarded request,
                                 const std::atomic<bool>& ending)
    : daemon_(std::move(daemon)),
      request_(std::move(request)),
      ending_(ending),
      stop_fd_(new_eventfd()),
      thread_([this] { run(); }) {}

DashboardStream::~DashboardStream() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  (void)::eventfd_write(stop_fd_, 1);
  thread_.join();
  ::close(stop_fd_);
}

void DashboardStream::run() {
  HttpResponse response;
  std::exception_ptr failure;
  try {
    response = ApiClient(daemon_).forward(
        request_, {.take = [this](std::string_view bytes) { take(bytes); }, .stop_fd = stop_fd_});
  } catch (const Stopped&) {
    // Nobody waits for the rest.
  } catch (...) {
    failure = std::current_exception();
  }
  const MutexLock lock(mutex_);
  refusal_ = std::move(response);
  failure_ = failure;
  over_ = true;
  changed_.notify_all();
}

void DashboardStream::take(std::string_view bytes) {
  const MutexLock lock(mutex_);
  while (untaken_.size() >= kMaxUntakenBytes && !stopped_) changed_.wait(mutex_);
  if (stopped_) throw Stopped{};
  untaken_ += bytes;
  begun_ = true;
  changed_.notify_all();
}

std::optional<HttpResponse> DashboardStream::wait_until_begun() {
  const MutexLock lock(mutex_);
  while (!begun_ && !over_ && !ending_) (void)changed_.wait_for(mutex_, kLookAgain);
  if (begun_) return std::nullopt;
  if (!over_) throw Failure(kExitUnreachable, "outboxctl dashboard ends");
  if (failure_) std::rethrow_exception(failure_);
  return std::move(refusal_);
}

std::optional<std::string> DashboardStream::next(Millis at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  const MutexLock lock(mutex_);
  while (untaken_.empty() && !over_ && !ending_ && std::chrono::steady_clock::now() < deadline)
    (void)changed_.wait_for(mutex_, kLookAgain);
  if (ending_ || (over_ && untaken_.empty())) return std::nullopt;
  std::string taken = std::exchange(untaken_, {});
  changed_.notify_all();
  return taken;
}

}  // namespace outboxd::ctl
