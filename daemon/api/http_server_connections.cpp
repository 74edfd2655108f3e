// What happens on one connection: the half of HttpServer::Impl that reads, answers and closes.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "api/http_server_impl.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr Millis kLingerTime{2'000};  // for a client to read its answer and close
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kNoRoute = "other";

// A client may invent methods; the metrics' labels must stay few.
std::string_view method_label(std::string_view method) {
  static constexpr std::array<std::string_view, 7> kKnown{"GET",   "HEAD",   "POST",   "PUT",
                                                          "PATCH", "DELETE", "OPTIONS"};
  return std::ranges::find(kKnown, method) != kKnown.end() ? method : "other";
}

}  // namespace

void HttpServer::Impl::on_event(Connection& c, std::uint32_t events) {
  const bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  switch (c.state) {
    case Connection::State::kReading:
      return receive(c);
    case Connection::State::kHandling:
      // Sending early or half-closing is fine and is looked at later; a client that is gone cannot be
      // answered.
      return gone ? close(c) : watch(c, 0);
    case Connection::State::kWriting:
      return gone ? close(c) : flush(c);
    case Connection::State::kLingering:
      return discard(c);
    case Connection::State::kClosed:
      return;
  }
}

void HttpServer::Impl::receive(Connection& c) {
  do {
    const bool was_handshaking = c.stream.handshaking();
    const auto got = c.stream.read(scratch.data(), scratch.size());
    if (was_handshaking && !c.stream.handshaking()) c.deadline = loop.now() + options.idle_timeout;
    switch (got.outcome) {
      case Stream::Outcome::kDone:
        watch(c, EPOLLIN);
        feed(c, std::string_view(scratch.data(), got.bytes));
        break;
      case Stream::Outcome::kWantsRead:
        return watch(c, EPOLLIN);
      case Stream::Outcome::kWantsWrite:
        return watch(c, EPOLLOUT);
      case Stream::Outcome::kEnd:
        if (c.reader.state() == RequestReader::State::kIdle) return close(c);
        return refuse(c, {400, "The connection was closed before the request was complete."});
      case Stream::Outcome::kNotTls:
        return refuse(c, {400, "This port speaks TLS: use https."});
      case Stream::Outcome::kTlsFailed:
        log::debug("TLS failed", {{"peer", c.caller->peer}, {"error", c.stream.why_failed()}});
        return was_handshaking ? linger(c) : close(c);  // so that no reset overtakes the alert
      case Stream::Outcome::kGone:
        return close(c);
    }
  } while (c.state == Connection::State::kReading && c.stream.holds_bytes());
}

void HttpServer::Impl::feed(Connection& c, std::string_view bytes) {
  const auto before = c.reader.state();
  const auto taken = c.reader.feed(bytes);
  c.leftover = bytes.substr(taken);
  recount(c);
  after_feed(c, before);
}

void HttpServer::Impl::after_feed(Connection& c, RequestReader::State before) {
  const auto state = c.reader.state();
  if (state == RequestReader::State::kRefused) return refuse(c, c.reader.refusal());
  if (const auto refusal = no_memory_for(*c.caller)) return refuse(c, *refusal);
  if (state == RequestReader::State::kComplete) return dispatch(c);
  if (state == RequestReader::State::kHead && before == RequestReader::State::kIdle) {
    c.deadline = loop.now() + options.head_timeout;
  }
  if (state != RequestReader::State::kBody) return;
  const bool began = before != RequestReader::State::kBody;
  if (began) {
    if (const auto refusal = dispatcher.why_unknown(*c.caller, c.reader.head())) return refuse(c, *refusal);
  }
  if (began || c.reader.body().size() - c.body_mark >= kMinBodyProgress) {
    c.deadline = loop.now() + options.body_timeout;
    c.body_mark = c.reader.body().size();
  }
  if (began && c.reader.head().expect_continue && c.reader.body().empty()) {
    // A client that has read the answers to its earlier requests has room for this.
    if (c.stream.write(kContinue).bytes != kContinue.size()) close(c);
  }
}

void HttpServer::Impl::dispatch(Connection& c) {
  auto complete = c.reader.take();
  const Ticket ticket{
      .connection = c.id,
      .weight = complete.body.size(),
      .peer = c.caller->counted_as,
      .http_1_0 = complete.head.http_1_0,
      .keep_alive = complete.head.keep_alive,
      .started = std::chrono::steady_clock::now(),
  };
  hold(ticket.peer, 0, ticket.weight);  // until it is answered, whatever becomes of the connection
  recount(c);
  c.state = Connection::State::kHandling;
  ++in_flight;
  const auto exchange =
      std::make_shared<PendingExchange>(finished_queue, c.caller, ticket, std::move(complete));
  if (!pool.submit(exchange)) {
    exchange->respond(
        Problem{ProblemCode::kUnavailable, "Too many requests are waiting; try again in a moment."});
  }
}

void HttpServer::Impl::on_finished() {
  for (auto& finished : finished_queue->take()) {
    --in_flight;
    hold(finished.ticket.peer, finished.ticket.weight, 0);
    const auto found = connections.find(finished.ticket.connection);
    if (found != connections.end() && found->second->state == Connection::State::kHandling) {
      // What was only read can be asked for again; what has changed something is told in any case.
      if (const auto full = no_memory_for(*found->second->caller); full && only_reads(finished.method))
        finished.answer = refusal_answer(*full);
      answer(*found->second, finished);
    }
    metrics.http_request(finished.route != nullptr ? finished.route->path : kNoRoute,
                         method_label(finished.method), finished.answer.status,
                         std::chrono::steady_clock::now() - finished.ticket.started);
  }
  end_round();
}

void HttpServer::Impl::answer(Connection& c, const Finished& finished) {
  const AnswerFraming framing{
      .keep_alive = finished.ticket.keep_alive && !stopping,
      .http_1_0 = finished.ticket.http_1_0,
      .head_only = finished.method == "HEAD",
      .shown = finished.method == "GET" || finished.method == "HEAD",
  };
  send(c, render_answer(finished.answer, framing, date.at(std::chrono::system_clock::now())),
       !framing.keep_alive);
}

void HttpServer::Impl::refuse(Connection& c, const HttpRefusal& refusal) {
  if (log::enabled(log::Level::kDebug)) {
    log::debug("a request was refused",
               {{"peer", c.caller->peer}, {"status", refusal.status}, {"detail", refusal.detail}});
  }
  metrics.http_request(kNoRoute, method_label(c.reader.head().method), refusal.status,
                       std::chrono::nanoseconds(0));
  const AnswerFraming framing{.keep_alive = false, .shown = true};
  auto bytes = render_answer(refusal_answer(refusal), framing, date.at(std::chrono::system_clock::now()));
  c.leftover.clear();
  c.reader.drop();
  send(c, std::move(bytes), true);
}

void HttpServer::Impl::send(Connection& c, std::string bytes, bool close_after) {
  c.out = std::move(bytes);
  c.sent = 0;
  c.sent_mark = 0;
  c.close_when_sent = close_after;
  c.deadline = loop.now() + (c.stream.handshaking() ? options.head_timeout : options.body_timeout);
  flush(c);
}

void HttpServer::Impl::flush(Connection& c) {
  while (c.sent < c.out.size()) {
    const auto put = c.stream.write(std::string_view(c.out).substr(c.sent));
    if (put.outcome == Stream::Outcome::kWantsRead || put.outcome == Stream::Outcome::kWantsWrite) {
      c.state = Connection::State::kWriting;
      recount(c);
      return watch(c, put.outcome == Stream::Outcome::kWantsRead ? EPOLLIN : EPOLLOUT);
    }
    if (put.outcome != Stream::Outcome::kDone) return close(c);
    c.sent += put.bytes;
    if (c.sent - c.sent_mark >= kMinBodyProgress) {
      c.deadline = loop.now() + options.body_timeout;
      c.sent_mark = c.sent;
    }
  }
  c.out = {};
  recount(c);
  c.close_when_sent ? linger(c) : next_request(c);
}

void HttpServer::Impl::next_request(Connection& c) {
  c.state = Connection::State::kReading;
  c.deadline = loop.now() + options.idle_timeout;
  watch(c, EPOLLIN);
  if (const std::string bytes = std::exchange(c.leftover, {}); !bytes.empty()) feed(c, bytes);
  if (c.state == Connection::State::kReading && c.stream.holds_bytes()) receive(c);
}

void HttpServer::Impl::linger(Connection& c) {
  if (c.stream.finish() == Stream::Outcome::kWantsWrite) {
    c.state = Connection::State::kWriting;  // flush() comes back here
    return watch(c, EPOLLOUT);
  }
  shutdown(c.fd, SHUT_WR);
  c.state = Connection::State::kLingering;
  c.deadline = loop.now() + kLingerTime;
  watch(c, EPOLLIN);
}

void HttpServer::Impl::discard(Connection& c) {
  const ssize_t n = recv(c.fd, scratch.data(), scratch.size(), 0);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close(c);
}

void HttpServer::Impl::expire(Connection& c) {
  if (c.state == Connection::State::kWriting) {
    // Half an answer must not look like a whole one, nor its rest stay in the kernel for a client that takes none.
    const struct linger reset { .l_onoff = 1, .l_linger = 0 };
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  if (c.state != Connection::State::kReading || c.reader.state() == RequestReader::State::kIdle)
    return close(c);
  const bool in_body = c.reader.state() == RequestReader::State::kBody;
  refuse(c, {408, in_body ? "The request's body came too slowly." : "The request's head came too slowly."});
}

void HttpServer::Impl::close(Connection& c) {
  if (c.state == Connection::State::kReading) c.stream.finish();
  loop.unwatch(c.fd);
  ::close(c.fd);
  const Peer& peer = c.caller->counted_as;
  hold(peer, c.counted, 0);
  c.counted = 0;
  --(c.admitted ? admitted : turned_away);
  if (c.admitted) peers.count(peer, -1, 0);
  c.state = Connection::State::kClosed;
  closed.push_back(c.id);
}

void HttpServer::Impl::watch(Connection& c, std::uint32_t events) {
  if (c.watched == events) return;
  c.watched = events;
  loop.change(c.fd, events);
}

void HttpServer::Impl::recount(Connection& c) {
  const std::size_t now = c.reader.buffered_bytes() + c.leftover.size() + c.out.size();
  hold(c.caller->counted_as, c.counted, now);
  c.counted = now;
}

void HttpServer::Impl::hold(const Peer& peer, std::size_t before, std::size_t now) {
  if (before == now) return;
  buffered += now - before;
  peers.count(peer, 0, static_cast<std::ptrdiff_t>(now - before));
}

std::optional<HttpRefusal> HttpServer::Impl::no_memory_for(const Caller& caller) const {
  const std::size_t all = options.max_buffered_bytes;
  const bool of_operator = caller.counted_as.kind == Peer::Kind::kOperator;
  if (buffered > (of_operator ? all : all - all / kAdminShareOfBuffer)) {
    return HttpRefusal{
        503, "The requests and answers under way fill the memory set aside for them; try again in a moment."};
  }
  if (caller.counted_as.over_tcp() && peers.over_tcp().bytes > of_tcp(all)) {
    return HttpRefusal{
        503,
        "The requests and answers under way over TCP fill the memory set aside for them; try again "
        "in a moment."};
  }
  if (peers.of(caller.counted_as).bytes > all / 2) {
    return HttpRefusal{503,
                       "Your requests and answers under way fill half of the memory set aside for all; try "
                       "again in a moment."};
  }
  return std::nullopt;
}

}  // namespace outboxd::api
