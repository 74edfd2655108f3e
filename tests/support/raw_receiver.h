// A subscriber for tests: a TCP server on an ephemeral loopback port that answers each connection with given bytes, or
// misbehaves as told. It records every request. Safe to use from any thread; uses a thread for each connection.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/test_certificate.h"

namespace outboxd::test {

using Wait = std::chrono::milliseconds;
inline constexpr Wait kPatience{10'000};

struct ReceivedRequest {
  std::string head;  // request line and fields, with the blank line
  std::string body;
  int connection = 0;        // 1 for the first
  std::string client;        // the subject of the client's certificate, "" without one
  bool resumed = false;      // the TLS session of an earlier connection
  std::string line() const;  // "POST /hook HTTP/1.1"
  std::optional<std::string> header(std::string_view name) const;  // the first of that name, case ignored
};

class RawReceiver {
 public:
  // One accepted connection, for a behaviour to use on its own thread. It is closed when the behaviour
  // returns.
  class Connection {
   public:
    int number() const { return number_; }
    std::optional<ReceivedRequest> read_request();  // recorded; nothing when the sender is gone
    bool send(std::string_view bytes);              // false when the sender is gone
    bool send_below_tls(std::string_view bytes);    // as they are, where others would be encrypted
    bool pause(Wait time);                          // false when the sender hung up, or the receiver stops
    void wait_for_hangup();
    // As a tunnel does: carries bytes to and from this port of 127.0.0.1 until one of the sides has hung up.
    void relay(std::uint16_t port);
    void reset();  // with RST instead of FIN

   private:
    friend class RawReceiver;
    Connection(RawReceiver& receiver, int fd, int number);
    ~Connection();
    bool start_tls();
    void drain();  // as servers do, because a reset would overtake the alert
    std::ptrdiff_t read_some(char* into, std::size_t size);
    RawReceiver& receiver_;
    int fd_;
    int number_;
    void* tls_ = nullptr;
    std::string pending_;  // read, not used yet
  };
  using Behaviour = std::function<void(Connection&)>;

  struct Options {
    std::string address = "127.0.0.1";                          // or "::1"
    std::optional<TestCertificate> certificate = std::nullopt;  // if given, it speaks TLS
    std::vector<TestCertificate> clients = {};  // if given, only clients with one of these get in
  };

  explicit RawReceiver(Behaviour behaviour);
  RawReceiver(Behaviour behaviour, Options options);
  ~RawReceiver();
  RawReceiver(const RawReceiver&) = delete;

  void behave(Behaviour behaviour);  // applies to new connections

  std::uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/hook") const;  // by address
  std::string url_of(std::string_view host, std::string_view path = "/hook") const;

  std::vector<ReceivedRequest> requests() const;
  std::size_t request_count() const;
  std::size_t connections() const;       // accepted so far
  std::size_t open_connections() const;  // those whose behaviour has not ended
  bool wait_for_requests(std::size_t count, Wait patience = kPatience) const;
  bool wait_for_connections(std::size_t count, Wait patience = kPatience) const;
  bool wait_for_open_connections(std::size_t count, Wait patience = kPatience) const;  // exactly

 private:
  void accept_connections();
  void serve(int fd, int number);

  const Options options_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  void* tls_context_ = nullptr;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Behaviour behaviour_;  // guarded by mutex_, as all below
  std::vector<ReceivedRequest> requests_;
  std::size_t connections_ = 0;
  std::vector<int> open_fds_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

// What a receiver may do with a connection. All but silence() answer after they have read a request.
namespace behaviour {
using Behaviour = RawReceiver::Behaviour;

std::string response(int status, std::string_view body = "",
                     std::initializer_list<std::string_view> fields = {});

Behaviour answer(int status = 200, std::string_view body = "",
                 std::initializer_list<std::string_view> fields = {});  // keep-alive
Behaviour send_and_close(std::string bytes);                            // after one request
Behaviour send_and_hold(std::string bytes);              // and then nothing, until the sender hangs up
Behaviour drip(std::string bytes, Wait period);          // a byte at a time, then close
Behaviour endless(std::string head, std::string piece);  // pieces until the sender hangs up
Behaviour silence();                                     // reads, never answers
Behaviour reset();                                       // RST after the request
Behaviour in_turn(std::vector<Behaviour> each);          // one for each connection, then the last one

Behaviour half_header();  // "HTTP/1.1 200 OK\r\nContent-Le", end
Behaviour garbage();
Behaviour two_lengths();
Behaviour endless_headers();
Behaviour endless_body(int status = 200);
Behaviour endless_interim();  // 1xx for ever
}  // namespace behaviour

}  // namespace outboxd::test
