// Runs libcurl's multi interface on the event loop: feeds it readiness and timers, and reports finished transfers. Only
// for HttpSender; knows nothing of requests.
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
  // The two ends of a connection; libcurl gives no other identification of the connection that it is about to use.
  struct Ends {
    std::string local_ip, remote_ip;
    int local_port = 0, remote_port = 0;
    auto operator<=>(const Ends&) const = default;
  };

  // `on_done` gets each transfer that ended by itself, already removed. It may call any member.
  CurlLoop(EventLoop& loop, std::size_t max_idle_connections, OnDone on_done);
  ~CurlLoop();  // only after all transfers were removed and the easy handles configured by it are gone
  CurlLoop(const CurlLoop&) = delete;

  // Configures an easy handle to close its sockets through this loop. Its owner must also open them with open_socket()
  // and report through connected() which ones carry a complete connection (TLS included): libcurl 7.88 closes all
  // others by itself, without telling.
  void configure(CURL* easy);
  curl_socket_t open_socket(const curl_sockaddr& address);
  void connected(const std::vector<curl_socket_t>& opened, const Ends& ends);

  // Watches the connection between these ends: when libcurl closes it, or at a look(), `*heard` becomes true if more
  // arrived over it since this call than the end of the connection. `heard` must stay valid until disregard(). Returns
  // the socket, or CURL_SOCKET_BAD.
  curl_socket_t listen(const Ends& ends, bool tls, bool* heard);
  void look(curl_socket_t fd, bool* heard);
  void disregard(curl_socket_t fd, const bool* heard);

  void add(CURL* easy);  // starts with the next kick()
  void kick();
  void remove(CURL* easy);  // ends the transfer; its connection is closed unless the transfer was complete

 private:
  struct Socket {
    std::uint32_t watched = 0;     // events watched for by the loop; 0: none
    bool busy = false;             // libcurl wants these events
    bool connected = false;        // once set, libcurl closes it through close_socket()
    std::optional<Ends> ends;      // while it is connected
    bool* heard = nullptr;         // see listen()
    std::uint64_t heard_from = 0;  // total bytes received beyond which *heard becomes true
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
  // TLS sessions. libcurl would keep them per easy handle, but any easy handle may serve any endpoint.
  CURLSH* sessions_;
  std::size_t active_ = 0;
  std::vector<Socket> sockets_;  // indexed by descriptor
  std::map<Ends, curl_socket_t> by_ends_;
  std::optional<MonotonicTime> due_;
  std::optional<EventLoop::TimerId> armed_;
};

}  // namespace outboxd
