// The subscribers: an HTTP/1.1 receiver, one epoll thread, any number of kept-alive connections, with TLS if asked to.
// It listens on many loopback addresses, because no team's thousand endpoints are one host: whatever a sender keeps for each host would
// look as it never does. What a request's path says is how it behaves:
//
//   /ok[/N]                   200 at once
//   /hang[/N]                 no answer until the sender hangs up, unless told otherwise (set_hanging)
//   /slow/MS                  200 after so many milliseconds
//   /fail/STATUS[/PERCENT]    STATUS to so many of a hundred requests (default all), 200 to the others
//
// It notes which events (event_mark.h) were answered 200 and when they came, and checks signatures.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/event_mark.h"
#include "bench/latencies.h"
#include "bench/sink_tls.h"

namespace outboxd::bench {

class Sink {
 public:
  struct Options {
    // Every so manieth request has its signature checked: all of them would make the sink, and not the daemon, what
    // is measured where everything shares two cores.
    int verify_every = 1;
    int hosts = 100;                        // loopback addresses, from 127.0.0.1 on
    std::filesystem::path tls_folder = {};  // TLS, the authority's certificate in this folder; "": plain
  };
  explicit Sink(int verify_every = 1) : Sink(Options{.verify_every = verify_every}) {}
  explicit Sink(const Options& options);
  ~Sink();
  Sink(const Sink&) = delete;

  static const std::string& secret();  // what every endpoint has to sign with
  // Endpoint `number` is on the host that comes in turn.
  std::string url(const std::string& path, int number = 0) const;
  // Further members of an endpoint's JSON object, so that it trusts this sink: "" when that speaks no TLS.
  std::string trust() const;
  // How many events stream `stream` will have, numbered from 0: before the first of them is sent.
  void expect(int stream, std::int64_t events);
  // False also answers, with 200, the requests that it holds.
  void set_hanging(bool hanging);

  struct Tally {
    std::int64_t requests = 0;  // of this stream, whatever they were answered
    std::int64_t arrived = 0;   // different events that were answered 200
    std::int64_t repeats = 0;   // answered 200 again
  };
  Tally tally(int stream) const;
  // The first arrival of each event, in the order they came.
  std::vector<Sample> arrivals(int stream) const;
  std::vector<bool> arrived(int stream) const;  // by number
  Sample latest_arrival(int stream) const;      // {} when there is none

  struct Checks {
    std::int64_t verified = 0;
    std::int64_t badly_signed = 0;
    std::int64_t not_understood = 0;  // requests or events that nobody here has sent
    std::string first_complaint;
  };
  Checks checks() const;
  // Different /hang/N with a request that is held without an answer: now, and the fewest since the last call of
  // watch_hanging().
  int hanging() const { return hanging_now_; }
  int fewest_hanging() const { return fewest_hanging_; }
  void watch_hanging() { fewest_hanging_ = hanging_now_.load(); }
  int connections() const { return connections_now_; }
  std::int64_t connections_opened() const { return connections_opened_; }
  std::chrono::nanoseconds cpu() const;  // of its thread so far

 private:
  struct Connection;
  struct Request;
  struct Answer;
  struct Stream {
    Tally tally;
    std::vector<bool> arrived;
    std::vector<Sample> arrivals;
  };
  struct Later {
    std::int64_t when = 0;
    int fd = -1;
    std::int64_t connection = 0;
  };

  void listen_on_all_hosts();
  void watch(int fd) const;
  void run();
  int timeout_ms() const;
  void accept_all(int listen_fd);
  void read_from(Connection& connection);
  bool read_tls(Connection& connection);
  void answer_requests(Connection& connection);
  Answer answer_to(const Request& request);
  void take(const Request& request, bool accepted);
  void verify(const Request& request);
  void complain(std::int64_t& count, const std::string& what);
  void hang(Connection& connection, std::int64_t number);
  void no_longer_hanging(Connection& connection);
  void answer_the_hanging();
  bool reply(Connection& connection, std::string_view text);
  void reply_to_the_slow();
  void drop(Connection& connection);

  const int verify_every_;
  const int hosts_;
  const std::unique_ptr<const SinkTls> tls_;  // null: plain
  std::vector<int> listen_fds_;               // one for each host, ascending
  int epoll_fd_ = -1;
  int stop_fd_ = -1;
  int release_fd_ = -1;
  std::uint16_t port_ = 0;  // the same on every host
  std::atomic<bool> hanging_{true};
  std::atomic<int> hanging_now_{0};
  std::atomic<int> fewest_hanging_{0};
  std::atomic<int> connections_now_{0};
  std::atomic<std::int64_t> connections_opened_{0};
  mutable std::mutex mutex_;
  Stream streams_[kStreams];  // guarded by mutex_
  Checks checks_;             // guarded by mutex_
  // The rest is the thread's own.
  std::vector<std::unique_ptr<Connection>> by_fd_;
  std::vector<Later> later_;  // a heap, the earliest in front
  std::vector<int> held_by_;  // by N of /hang/N: requests held
  std::uint64_t requests_ = 0;
  std::uint32_t dice_ = 1;
  std::thread thread_;
};

}  // namespace outboxd::bench
