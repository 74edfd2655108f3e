#include "outbound/transfer.h"

#include <algorithm>
#include <utility>

namespace outboxd {
namespace {

// How many pieces of a large body are written, or of a response read, before others have their turn. TLS takes 16 KiB
// for one.
constexpr int kPiecesATurn = 16;
constexpr Millis kReadsATurn{1};

Millis since(MonotonicTime start, MonotonicTime end) {
  return std::chrono::floor<Millis>(end - start);
}

std::optional<Millis> since(MonotonicTime start, const std::optional<MonotonicTime>& end) {
  return end ? std::optional(since(start, *end)) : std::nullopt;
}

SendResult from_status(int status) {
  SendResult result;
  result.status = status;
  if (status >= 200 && status < 300) {
    result.outcome = Outcome::kSuccess;
    return result;
  }
  result.error = "HTTP status " + std::to_string(status);
  if (status >= 300 && status < 400) {
    result.outcome = Outcome::kRedirect;
    result.error += ", redirects are not followed";
  } else if (status >= 400 && status < 500) {
    result.outcome = Outcome::kHttp4xx;
  } else {
    result.outcome = status < 600 ? Outcome::kHttp5xx : Outcome::kProtocol;
  }
  return result;
}

}  // namespace

Transfer::Transfer(SendRequest its_request, Sender::Done its_done, std::size_t max_response_bytes,
                   MonotonicTime now)
    : request(std::move(its_request)),
      done(std::move(its_done)),
      started(now),
      deadline(now + std::max(request.timeout, Millis(1))),
      reader_(max_response_bytes) {}

Transfer::~Transfer() {
  hang_up();
}

void Transfer::hang_up() {
  if (connection && !is_sent()) connection->reset_at_end();
  connection.reset();
  setup.reset();
}

void Transfer::begin_anew() {
  hang_up();
  anew_ = true;
  sent_ = false;
  unwritable_ = writes_on_input_ = false;
  reads_ = Reads::kOnInput;
  unsent_head_.clear();
  body_sent_ = 0;
  times = {};
  addresses.clear();
  lost_.reset();
  reader_.reset();
}

Transfer::Progress Transfer::send(std::unique_ptr<Connection> its_connection, TargetForm form,
                                  std::string_view proxy_authorization, std::string& scratch) {
  connection = std::move(its_connection);
  connection->transfer = this;
  connection->begin_to_listen();
  remote_address_ = connection->remote_address();
  const Destination& to = *request.to;
  // On a kept connection too: it may have been made for another endpoint at the same host.
  if (to.url.https) certificate_expires_at_ = connection->certificate_expires_at();
  std::string forwarded;
  if (form == TargetForm::kAbsolute) forwarded = request_opening(to.url, form, proxy_authorization);
  scratch.clear();
  append_request_head(scratch, forwarded.empty() ? to.opening : forwarded, to.headers, request.headers,
                      body().size());
  return write(scratch);
}

// Of `head`, which has not been sent, and the rest of the body.
Transfer::Progress Transfer::write(std::string_view head) {
  for (int i = 0; i < kPiecesATurn && !(head.empty() && body_sent_ == body().size()); ++i) {
    const Connection::Moved moved = connection->write(head, body().substr(body_sent_));
    writes_on_input_ = moved.step == Connection::Io::kWantRead;
    if (writes_on_input_ || moved.step == Connection::Io::kWantWrite) break;
    if (moved.step != Connection::Io::kDone) {
      lost_ = connection->failure(moved.step);
      unwritable_ = true;
      wait();
      // A response may have come before the connection broke, and is read first.
      return moved.step == Connection::Io::kBroken ? Progress::kUnderWay : Progress::kLost;
    }
    if (!std::exchange(sent_, true)) ++sends_;
    const std::size_t of_head = std::min(moved.bytes, head.size());
    head.remove_prefix(of_head);
    body_sent_ += moved.bytes - of_head;
  }
  unsent_head_.assign(head);
  if (is_sent() && !connection->kept) forget_headers();
  wait();
  return Progress::kUnderWay;
}

// For what the next step needs and nothing else, because the handler would be called for the rest again and again.
void Transfer::wait() {
  const bool writes_on_room = !(is_sent() || unwritable_ || writes_on_input_);
  connection->wait_for((reads_ != Reads::kOnRoom ? EPOLLIN : 0u) |
                       (reads_ != Reads::kOnInput || writes_on_room ? EPOLLOUT : 0u));
}

// A request on a connection of its own is not sent again, and it may be long until it is answered.
void Transfer::forget_headers() {
  const RequestHeaders forgotten =
      std::move(request.headers);  // assigning an empty one would keep its memory
}

Transfer::Progress Transfer::write_more() {
  const std::string head = std::move(unsent_head_);
  unsent_head_.clear();
  if (const Progress progress = write(head); progress != Progress::kUnderWay) return progress;
  const bool answered = reader_.state() == ResponseReader::State::kComplete;
  return answered && (is_sent() || unwritable_) ? Progress::kComplete : Progress::kUnderWay;
}

Transfer::Progress Transfer::go_on(std::uint32_t events, std::span<char> buffer) {
  const bool room = (events & EPOLLOUT) != 0;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || (room && reads_ != Reads::kOnInput)) {
    const Progress progress = read(buffer);
    if (progress != Progress::kUnderWay) return progress;
  }
  if (is_sent() || unwritable_ || !(room || writes_on_input_)) return Progress::kUnderWay;
  const Progress progress = write_more();
  // Over TLS a write may have taken from the socket what the handler will not be called for.
  return progress == Progress::kUnderWay && connection->holds_bytes() ? read(buffer) : progress;
}

// Whoever sends a response in records of one byte, or with key updates between them, makes each byte cost up to a
// millisecond: others have their turn meanwhile.
Transfer::Progress Transfer::read(std::span<char> buffer) {
  const auto enough = std::chrono::steady_clock::now() + kReadsATurn;
  for (int i = 0; i < kPiecesATurn; ++i) {
    if (i > 0 && std::chrono::steady_clock::now() >= enough) break;
    const Connection::Moved moved = connection->read(buffer);
    if (moved.step == Connection::Io::kWantRead) return go_on_reading(Reads::kOnInput, Progress::kUnderWay);
    if (moved.step == Connection::Io::kWantWrite) return go_on_reading(Reads::kOnRoom, Progress::kUnderWay);
    if (moved.step != Connection::Io::kDone) return lost(moved.step);
    const Progress progress = on_bytes({buffer.data(), moved.bytes});
    const bool all_read = !connection->encrypted() && moved.bytes < buffer.size();
    if (progress != Progress::kUnderWay || all_read) return go_on_reading(Reads::kOnInput, progress);
  }
  return go_on_reading(Reads::kOnEither, Progress::kUnderWay);
}

Transfer::Progress Transfer::go_on_reading(Reads when, Progress progress) {
  if (std::exchange(reads_, when) != when) wait();
  return progress;
}

Transfer::Progress Transfer::on_bytes(std::string_view bytes) {
  if (!first_byte_) first_byte_ = std::chrono::steady_clock::now();
  const bool answered = reader_.state() == ResponseReader::State::kComplete;
  reader_.read(bytes);
  switch (reader_.state()) {
    case ResponseReader::State::kHead:
    case ResponseReader::State::kBody:
      return Progress::kUnderWay;
    case ResponseReader::State::kComplete:
      // Whoever answers 2xx before all was sent may still want the rest; whoever refuses does not.
      if (!answered && !is_sent() && !unwritable_ && reader_.status() < 300) return Progress::kUnderWay;
      return Progress::kComplete;
    case ResponseReader::State::kEnough:
    case ResponseReader::State::kRefused:
      return Progress::kComplete;
  }
  return Progress::kComplete;
}

Transfer::Progress Transfer::lost(Connection::Io io) {
  if (io == Connection::Io::kEnded) reader_.end();
  if (reader_.head_complete()) return Progress::kComplete;
  if (!lost_) lost_ = connection->failure(io);
  return Progress::kLost;
}

std::unique_ptr<Connection> Transfer::reusable_connection() {
  if (!connection || !reader_.keeps_connection() || !is_sent() || unwritable_) return nullptr;
  if (reads_ != Reads::kOnInput) return nullptr;  // its socket is watched for more than an end
  if (connection->holds_bytes() && !connection->is_quiet()) return nullptr;
  return std::move(connection);
}

Stage Transfer::stage() const {
  if (setup) return setup->stage();
  if (!connection) return Stage::kResolving;
  if (reader_.anything_came()) return Stage::kReadingHead;
  return is_sent() ? Stage::kWaiting : Stage::kSending;
}

SendResult Transfer::result() {
  if (!reader_.head_complete()) {
    if (!reader_.refusal().empty()) return result({Outcome::kProtocol, reader_.refusal()});
    return result(lost_.value_or(lost_connection(0)));
  }
  SendResult result = from_status(reader_.status());
  add_times(result.timings);
  add_way(result);
  result.response_headers = std::move(reader_.headers());
  result.response_body = std::move(reader_.body());
  result.retry_after = std::move(reader_.retry_after());
  return result;
}

SendResult Transfer::result(Failure failure, std::string denial) {
  SendResult result;
  result.outcome = failure.outcome;
  result.error = std::move(failure.text);
  result.denial = std::move(denial);
  if (setup && !setup->remote_address().empty()) remote_address_ = setup->remote_address();
  add_times(result.timings);
  add_way(result);
  result.response_headers = std::move(reader_.headers());
  return result;
}

void Transfer::add_way(SendResult& result) {
  // An address that the policy refuses is not shown, because whoever chose the URL could read it.
  if (sends_ > 0 || result.outcome != Outcome::kBlocked) result.remote_address = std::move(remote_address_);
  result.certificate_expires_at = certificate_expires_at_;
  result.resent = sends_ > 1;
  if (anew_ && sends_ == 1 && !sent_ && result.outcome != Outcome::kBlocked)
    result.error = "the connection ended before a response, and then: " + result.error;
}

void Transfer::add_times(AttemptTimings& timings) const {
  timings.total = since(started, std::chrono::steady_clock::now());
  timings.first_byte = since(started, first_byte_);
  timings.dns = since(started, times.resolved);
  if (connection && connection->kept) {
    timings.dns = timings.connect = Millis(0);
    if (request.to->url.https) timings.tls = Millis(0);
    return;
  }
  timings.connect = since(started, times.connected);
  timings.tls = since(started, times.tls);
}

}  // namespace outboxd
