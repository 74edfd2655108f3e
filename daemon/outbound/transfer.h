// One request on its way: what was asked for, how far it has got, the connection that it uses, and in the end its
// result. Only for HttpSender, which decides when and where to.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outbound/address_policy.h"
#include "outbound/connection.h"
#include "outbound/connection_setup.h"
#include "outbound/failure.h"
#include "outbound/request_writer.h"
#include "outbound/response_reader.h"
#include "outbound/sender.h"

namespace outboxd {

class Transfer {
 public:
  enum class Progress {
    kUnderWay,
    kComplete,  // the response counts, and no more of it is needed
    kLost       // the connection ended before that
  };

  Transfer(SendRequest request, Sender::Done done, std::size_t max_response_bytes, MonotonicTime now);
  ~Transfer();
  Transfer(const Transfer&) = delete;

  // Sends the request on `connection`, which is its own from now on. `scratch` is overwritten.
  Progress send(std::unique_ptr<Connection> connection, TargetForm form, std::string_view proxy_authorization,
                std::string& scratch);
  // Goes on when the connection is ready for `events`. `buffer` is overwritten.
  Progress go_on(std::uint32_t events, std::span<char> buffer);
  bool head_complete() const { return reader_.head_complete(); }

  // After kLost: was it sent on a kept connection that ended before any byte of a response, as happens when the other
  // side was just closing it? It may be sent once more then.
  bool ended_unanswered() const {
    return connection->kept && !reader_.anything_came() && !connection->has_heard();
  }
  void begin_anew();  // restarts it, this time on a connection of its own
  bool anew() const { return anew_; }

  // Gives its connection up if another request may use it.
  std::unique_ptr<Connection> reusable_connection();
  void hang_up();  // ends its connection, or what makes one

  Stage stage() const;
  // As far as it has got: by the status of a response, or by the loss of its connection.
  SendResult result();
  SendResult result(Failure failure, std::string denial = {});

  SendRequest request;
  Sender::Done done;
  const MonotonicTime started, deadline;
  std::shared_ptr<TlsContext> tls;   // null: plain
  std::vector<IpAddress> addresses;  // of the target, all allowed
  SetupTimes times;
  std::unique_ptr<ConnectionSetup> setup;  // while a connection is made for it
  std::unique_ptr<Connection> connection;  // while it uses one
  // HttpSender's bookkeeping.
  std::uint64_t id = 0;
  std::size_t position = 0;
  std::optional<std::uint64_t> turn;  // while it waits to be started
  EventLoop::TimerId timer;
  MonotonicTime connect_deadline{};

 private:
  // When reading goes on: with input; with room, because TLS has to send a message of its own before; or with either,
  // which is soon, because its turn is over.
  enum class Reads : std::uint8_t { kOnInput, kOnRoom, kOnEither };

  Progress write(std::string_view head);
  Progress write_more();
  void forget_headers();
  Progress read(std::span<char> buffer);
  Progress on_bytes(std::string_view bytes);
  Progress lost(Connection::Io io);
  Progress go_on_reading(Reads when, Progress progress);
  void wait();
  bool is_sent() const { return unsent_head_.empty() && body_sent_ == body().size(); }
  std::string_view body() const {
    return request.body ? std::string_view(*request.body) : std::string_view();
  }
  void add_way(SendResult& result);
  void add_times(AttemptTimings& timings) const;

  ResponseReader reader_;
  bool anew_ = false;
  bool sent_ = false;  // at least in part, since it began or began anew
  bool unwritable_ = false;
  Reads reads_ = Reads::kOnInput;
  bool writes_on_input_ = false;  // a message of TLS itself has come in part, and writing needs the rest
  int sends_ = 0;                 // in total
  std::string unsent_head_;       // what the socket had no room for
  std::size_t body_sent_ = 0;
  std::optional<MonotonicTime> first_byte_;
  std::optional<Failure> lost_;
  std::string remote_address_;
  std::optional<Time> certificate_expires_at_;
};

}  // namespace outboxd
