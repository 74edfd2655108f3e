// libcurl's multi interface on the event loop: readiness and timers in, finished transfers out. For
// HttpSender alone; knows nothing of requests.
#pragma once

#include <curl/curl.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/event_loop.h"

namespace outboxd {

class CurlLoop {  // every call on the loop's thread, and none from inside a libcurl callback
 public:
  using OnDone = std::function<void(CURL* easy, CURLcode code)>;
  // Of a connection; libcurl tells nothing else of the one that it is about to use.
  struct Ends {
    std::string local_ip, remote_ip;
    int local_port = 0, remote_port = 0;
    auto operator<=>(const Ends&) const = default;
  };

  // `on_done` gets each transfer that ended by itself, removed already. It may call anything here.
  CurlLoop(EventLoop& loop, std::size_t max_idle_connections, OnDone on_done);
  ~CurlLoop();  // after all transfers were removed, and the easy handles that it configured are gone
  CurlLoop(const CurlLoop&) = delete;

  // An easy handle that runs here must close its sockets through this, open them by open_socket(), and say
  // which ones carry a connection that is complete (TLS included). libcurl 7.88 closes those that do not by
  // itself, without a word.
  void configure(CURL* easy);
  curl_socket_t open_socket(const curl_sockaddr& address);
  void connected(const std::vector<curl_socket_t>& opened, const Ends& ends);

  // When libcurl closes the connection between these ends, `*heard` becomes true if more came in over it since this call
  // than its end; look() does not wait for that. Until disregard(): `heard` must be there until then. Answers its socket,
  // or CURL_SOCKET_BAD.
  curl_socket_t listen(const Ends& ends, bool tls, bool* heard);
  void look(curl_socket_t fd, bool* heard);
  void disregard(curl_socket_t fd, const bool* heard);

  void add(CURL* easy);  // begins with the next kick()
  void kick();
  void remove(CURL* easy);  // ends it; its connection is closed unless the transfer was complete

 private:
  struct Socket {
    std::uint32_t watched = 0;     // events that the loop reports, 0: none
    bool busy = false;             // libcurl wants them
    bool connected = false;        // from then on libcurl closes it through close_socket()
    std::optional<Ends> ends;      // while it is connected
    bool* heard = nullptr;         // see listen()
    std::uint64_t heard_from = 0;  // bytes received in all: more of them count
  };

  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void reset(Socket& socket);
  static int close_socket(void* self, curl_socket_t fd);
  Socket& socket(curl_socket_t fd);
  void interest(curl_socket_t fd, std::uint32_t events);
  void watch(curl_socket_t fd, std::uint32_t events);
  void ready(curl_socket_t fd, std::uint32_t events);
  void act(curl_socket_t fd, int events);
  void limit_connections();
  void arm();

  EventLoop& loop_;
  const std::size_t max_idle_connections_;
  const OnDone on_done_;
  CURLM* multi_;
  CURLSH*
      sessions_;  // TLS sessions, which libcurl else keeps with each easy handle: any may serve any endpoint
  std::size_t active_ = 0;
  std::vector<Socket> sockets_;  // by descriptor
  std::map<Ends, curl_socket_t> by_ends_;
  std::optional<MonotonicTime> due_;
  std::optional<EventLoop::TimerId> armed_;
};

}  // namespace outboxd
