#include "api/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "api/request_metrics.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr Millis kLingerTime{2'000};  // for a client to read its answer and close
// How late the next piece of an answer that goes on may be, when there was none the last time.
constexpr Millis kPieceInterval{100};
// Whoever takes nothing of such an answer for this long gives its place to others. A pager may well stand still for a
// while, and holds no more than the piece that it does not take.
constexpr Millis kStalledStream = std::chrono::minutes(5);
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(std::uint64_t id, int fd, TlsSession tls, std::shared_ptr<const Caller> caller,
                       Environment& env)
    : id_(id),
      fd_(fd),
      stream_(fd, std::move(tls)),
      caller_(std::move(caller)),
      env_(env),
      reader_(env.head_limits) {
  set_deadline(stream_.handshaking() ? env_.timeouts.head : env_.timeouts.idle);
}

void Connection::on_event(std::uint32_t events) {
  const bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  switch (state_) {
    case State::kReading:
      return receive();
    case State::kHandling:
      // A client may send ahead or half-close: that is looked at later. One that is gone cannot be answered.
      return gone ? close() : watch(0);
    case State::kWriting:
      return gone ? close() : flush();
    case State::kStreaming:
      // A client that has ended its side is taken to be gone: it has nothing more to ask here.
      return gone || (events & EPOLLRDHUP) != 0 ? close() : void();
    case State::kLingering:
      return discard();
    case State::kClosed:
      return;
  }
}

void Connection::receive() {
  do {
    const bool was_handshaking = stream_.handshaking();
    const auto got = stream_.read(env_.read_buffer.data(), env_.read_buffer.size());
    if (was_handshaking && !stream_.handshaking()) set_deadline(env_.timeouts.idle);
    switch (got.outcome) {
      case Stream::Outcome::kDone:
        watch(EPOLLIN);
        feed(std::string_view(env_.read_buffer.data(), got.bytes));
        break;
      case Stream::Outcome::kWantsRead:
        return watch(EPOLLIN);
      case Stream::Outcome::kWantsWrite:
        return watch(EPOLLOUT);
      case Stream::Outcome::kEnd:
        if (reader_.state() == RequestReader::State::kIdle) return close();
        return refuse({400, "The connection was closed before the request was complete."});
      case Stream::Outcome::kNotTls:
        return refuse({400, "This port speaks TLS: use https."});
      case Stream::Outcome::kTlsFailed:
        log::debug("TLS failed", {{"peer", caller_->peer}, {"error", stream_.why_failed()}});
        return was_handshaking ? linger() : close();  // so that no reset overtakes the alert
      case Stream::Outcome::kGone:
        return close();
    }
  } while (state_ == State::kReading && stream_.holds_bytes());
}

void Connection::feed(std::string_view bytes) {
  const auto before = reader_.state();
  const auto taken = reader_.feed(bytes);
  leftover_ = bytes.substr(taken);
  recount();
  after_feed(before);
}

void Connection::after_feed(RequestReader::State before) {
  const auto state = reader_.state();
  if (state == RequestReader::State::kRefused) return refuse(reader_.refusal());
  if (const auto refusal = env_.quotas.why_no_memory(caller_->counted_as)) return refuse(*refusal);
  if (state == RequestReader::State::kComplete) return dispatch();
  if (state == RequestReader::State::kHead && before == RequestReader::State::kIdle) {
    set_deadline(env_.timeouts.head);
  }
  if (state != RequestReader::State::kBody) return;
  const bool began = before != RequestReader::State::kBody;
  if (began) {
    if (const auto refusal = env_.why_unknown(*caller_, reader_.head())) return refuse(*refusal);
  }
  if (began || reader_.body().size() - body_mark_ >= kMinBodyProgress) {
    set_deadline(env_.timeouts.body);
    body_mark_ = reader_.body().size();
  }
  if (began && reader_.head().expect_continue && reader_.body().empty()) {
    // A client that has read the answers to its earlier requests leaves room for this, so a short write means that it
    // has not.
    if (stream_.write(kContinue).bytes != kContinue.size()) close();
  }
}

void Connection::dispatch() {
  auto complete = reader_.take();
  const Ticket ticket{
      .connection = id_,
      .weight = complete.body.size(),
      .peer = caller_->counted_as,
      .http_1_0 = complete.head.http_1_0,
      .keep_alive = complete.head.keep_alive,
      .started = std::chrono::steady_clock::now(),
  };
  recount();
  state_ = State::kHandling;
  env_.handle(caller_, ticket, std::move(complete));
}

void Connection::answer(const Finished& finished) {
  if (state_ != State::kHandling) return;
  Answer& answer = finished->answer();
  const std::string& method = finished->request().method;
  // The answer to a read may be replaced, because the client can ask again; the answer to a change must get through.
  if (const auto full = env_.quotas.why_no_memory(caller_->counted_as); full && only_reads(method))
    answer = refusal_answer(*full);
  const bool head_only = method == "HEAD";
  if (answer.stream && !head_only) streaming_ = finished;
  const AnswerFraming framing{
      .keep_alive = finished->ticket().keep_alive && !env_.stopping && !answer.stream,
      .http_1_0 = finished->ticket().http_1_0,
      .head_only = head_only,
      .open_ended = answer.stream != nullptr,
      .shown = method == "GET" || head_only,
  };
  send(render_answer(answer, framing, env_.date.at(std::chrono::system_clock::now())), !framing.keep_alive);
}

void Connection::take_piece(Piece& piece) {
  if (state_ != State::kStreaming) return;
  if (!piece.bytes) return linger();
  if (!piece.bytes->empty()) return send(std::move(*piece.bytes), true);
  piece_timer_ = env_.loop.call_at(env_.loop.now() + kPieceInterval, [this] { env_.next_piece(streaming_); });
}

void Connection::end_stream() {
  if (!streaming_) return;
  if (state_ == State::kStreaming) return linger();
  ending_ = true;
  set_deadline(kLingerTime);  // nobody waits for a client that reads nothing
}

void Connection::refuse(const HttpRefusal& refusal) {
  if (log::enabled(log::Level::kDebug)) {
    log::debug("a request was refused",
               {{"peer", caller_->peer}, {"status", refusal.status}, {"detail", refusal.detail}});
  }
  count_request(env_.metrics, nullptr, reader_.head().method, refusal.status, std::chrono::nanoseconds(0));
  const AnswerFraming framing{.keep_alive = false, .shown = true};
  auto bytes =
      render_answer(refusal_answer(refusal), framing, env_.date.at(std::chrono::system_clock::now()));
  leftover_.clear();
  reader_.drop();
  send(std::move(bytes), true);
}

void Connection::send(std::string bytes, bool close_after) {
  out_ = std::move(bytes);
  sent_ = 0;
  sent_mark_ = 0;
  close_when_sent_ = close_after;
  set_deadline(stream_.handshaking() ? env_.timeouts.head : write_timeout());
  flush();
}

void Connection::flush() {
  while (sent_ < out_.size()) {
    const auto put = stream_.write(std::string_view(out_).substr(sent_));
    if (put.outcome == Stream::Outcome::kWantsRead || put.outcome == Stream::Outcome::kWantsWrite) {
      state_ = State::kWriting;
      recount();
      return watch(put.outcome == Stream::Outcome::kWantsRead ? EPOLLIN : EPOLLOUT);
    }
    if (put.outcome != Stream::Outcome::kDone) return close();
    sent_ += put.bytes;
    if (sent_ - sent_mark_ >= kMinBodyProgress && !ending_) {
      set_deadline(write_timeout());
      sent_mark_ = sent_;
    }
  }
  out_ = {};
  recount();
  if (streaming_) return go_on();
  close_when_sent_ ? linger() : next_request();
}

void Connection::next_request() {
  state_ = State::kReading;
  set_deadline(env_.timeouts.idle);
  watch(EPOLLIN);
  if (const std::string bytes = std::exchange(leftover_, {}); !bytes.empty()) feed(bytes);
  if (state_ == State::kReading && stream_.holds_bytes()) receive();
}

void Connection::go_on() {
  if (env_.stopping || ending_) return linger();
  state_ = State::kStreaming;
  watch(EPOLLRDHUP);
  env_.next_piece(streaming_);
}

void Connection::linger() {
  drop_stream();
  if (stream_.finish() == Stream::Outcome::kWantsWrite) {
    state_ = State::kWriting;  // flush() comes back here
    return watch(EPOLLOUT);
  }
  shutdown(fd_, SHUT_WR);
  state_ = State::kLingering;
  set_deadline(kLingerTime);
  watch(EPOLLIN);
}

void Connection::drop_stream() {
  if (!streaming_) return;
  env_.loop.cancel(piece_timer_);
  streaming_.reset();
}

void Connection::discard() {
  const ssize_t n = recv(fd_, env_.read_buffer.data(), env_.read_buffer.size(), 0);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close();
}

void Connection::check_deadline() {
  // A quiet stream lasts for as long as its client; it finds out by the keep-alives it sends.
  const bool waits = state_ == State::kHandling || state_ == State::kStreaming || state_ == State::kClosed;
  if (!waits && deadline_ <= env_.loop.now()) expire();
}

void Connection::expire() {
  if (state_ == State::kWriting) {
    // A reset: half an answer must not look like a whole one, nor its rest stay in the kernel for a client that takes
    // none.
    const struct linger reset { .l_onoff = 1, .l_linger = 0 };
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  if (state_ != State::kReading || reader_.state() == RequestReader::State::kIdle) return close();
  const bool in_body = reader_.state() == RequestReader::State::kBody;
  refuse({408, in_body ? "The request's body came too slowly." : "The request's head came too slowly."});
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kReading) stream_.finish();
  drop_stream();
  env_.loop.unwatch(fd_);
  ::close(fd_);
  hold(0);
  state_ = State::kClosed;
  env_.on_closed(id_);
}

void Connection::watch(std::uint32_t events) {
  if (watched_ == events) return;
  watched_ = events;
  env_.loop.change(fd_, events);
}

Millis Connection::write_timeout() const {
  return streaming_ ? kStalledStream : env_.timeouts.body;
}

void Connection::recount() {
  hold(reader_.buffered_bytes() + leftover_.size() + out_.size());
}

void Connection::hold(std::size_t bytes) {
  env_.quotas.change_bytes(caller_->counted_as, counted_, bytes);
  counted_ = bytes;
}

}  // namespace outboxd::api
