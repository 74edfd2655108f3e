// HttpSender: from a connection to the end of its transfers.
#include <algorithm>
#include <utility>

#include "outbound/http_sender_impl.h"

namespace outboxd {
namespace {

// How long to wait for the body after a complete head, so that the connection can be reused. The result is already
// known by then.
constexpr Millis kBodyGrace{5'000};

SendResult aborted() {
  SendResult result;
  result.error = "aborted";
  result.aborted = true;
  return result;
}

}  // namespace

void HttpSender::Impl::exchange(Transfer& transfer, std::unique_ptr<Connection> connection) {
  if (options_.may_leave && transfer.request.group != 0 && !options_.may_leave())
    return finish(transfer, aborted());
  const bool forwarded = !direct() && !transfer.request.to->url.https;
  const auto form = forwarded ? TargetForm::kAbsolute : TargetForm::kOrigin;
  const std::string_view authorization =
      forwarded ? std::string_view(proxy_authorization_) : std::string_view();
  on_progress(transfer, transfer.send(std::move(connection), form, authorization, scratch_));
}

void HttpSender::Impl::on_ready(Connection& connection, std::uint32_t events) {
  if (connection.transfer == nullptr) {
    if (!connection.is_quiet()) pool_.close(connection);
    return;
  }
  Transfer& transfer = *connection.transfer;
  const bool before = transfer.head_complete();
  const Transfer::Progress progress = transfer.go_on(events, buffer_);
  if (progress != Transfer::Progress::kUnderWay) return on_progress(transfer, progress);
  if (!before && transfer.head_complete()) on_head_complete(transfer);
}

void HttpSender::Impl::on_head_complete(Transfer& transfer) {
  const auto grace_end = std::chrono::steady_clock::now() + kBodyGrace;
  set_timer(transfer, std::min(grace_end, transfer.deadline));  // it may still be that of the connect timeout
}

void HttpSender::Impl::on_progress(Transfer& transfer, Transfer::Progress progress) {
  if (progress == Transfer::Progress::kUnderWay) return;
  if (progress == Transfer::Progress::kLost && transfer.ended_unanswered()) {
    transfer.begin_anew();
    return start(transfer);  // from the start: the name may now mean another address, or the policy forbid it
  }
  SendResult result = transfer.result();
  if (auto reusable = transfer.reusable_connection()) pool_.give(std::move(reusable), loop_.now());
  finish(transfer, std::move(result));
}

void HttpSender::Impl::set_timer(Transfer& transfer, MonotonicTime when) {
  loop_.cancel(transfer.timer);
  transfer.timer = loop_.call_at(when, [this, t = &transfer] { on_timer(*t); });
}

void HttpSender::Impl::on_timer(Transfer& transfer) {
  if (transfer.head_complete()) return finish(transfer, transfer.result());
  const auto now = std::chrono::steady_clock::now();
  if (now >= transfer.deadline) return on_deadline(transfer);
  if (transfer.setup && now >= transfer.connect_deadline)
    return fail(transfer, timed_out(transfer.request.connect_timeout, transfer.stage()));
  set_timer(transfer, transfer.deadline);  // it was connected in time
}

// Where the process was stopped or the loop held up, the answer may have come in time and nobody has looked yet. It
// counts, because the event would be sent again.
void HttpSender::Impl::on_deadline(Transfer& transfer) {
  const bool answered =
      transfer.connection &&
      (transfer.go_on(EPOLLIN, buffer_) == Transfer::Progress::kComplete || transfer.head_complete());
  if (answered) return on_progress(transfer, Transfer::Progress::kComplete);
  fail(transfer, timed_out(transfer.request.timeout, transfer.stage()));
}

void HttpSender::Impl::fail(Transfer& transfer, Failure failure) {
  finish(transfer, transfer.result(std::move(failure)));
}

void HttpSender::Impl::deny(Transfer& transfer, const Denial& denial) {
  const std::string& host = transfer.request.to->url.host;
  if (options_.on_denied) options_.on_denied(denial.reason);
  if (const auto left_out = denial_log_.take(loop_.now())) {
    log::warn("the address policy stopped a request",
              {{"host", host}, {"reason", denial.for_operators()}, {"left_out_before", *left_out}});
  }
  finish(transfer, transfer.result({Outcome::kBlocked, std::string(kUrlNotAllowed)}, denial.for_operators()));
}

void HttpSender::Impl::finish(Transfer& transfer, SendResult result) {
  const std::unique_ptr<Transfer> ended = remove(transfer);
  const Done done = std::move(ended->done);
  ended->hang_up();
  done(std::move(result));
}

std::unique_ptr<Transfer> HttpSender::Impl::remove(Transfer& transfer) {
  loop_.cancel(transfer.timer);
  resolving_.erase(transfer.id);
  if (transfer.turn) starting_[*transfer.turn - first_turn_] = nullptr;
  const std::size_t position = transfer.position;
  std::swap(active_[position], active_.back());
  active_[position]->position = position;
  std::unique_ptr<Transfer> removed = std::move(active_.back());
  active_.pop_back();
  return removed;
}

void HttpSender::Impl::set_policy(const std::shared_ptr<const AddressPolicy>& policy) {
  policy_ = policy;
  ++policy_generation_;
}

void HttpSender::Impl::abort(std::int64_t group) {
  std::vector<std::unique_ptr<Transfer>> theirs;
  for (std::size_t i = active_.size();
       i-- > 0;) {  // backwards: the last one takes the place of the removed one
    if (active_[i]->request.group == group) theirs.push_back(remove(*active_[i]));
  }
  for (const auto& transfer : theirs) {
    transfer->hang_up();
    transfer->done(aborted());
  }
}

void HttpSender::Impl::abort_all() {
  first_turn_ += starting_.size();
  starting_.clear();
  resolving_.clear();
  std::vector<Done> dones;
  while (!active_.empty()) {
    dones.push_back(std::move(active_.back()->done));
    loop_.cancel(active_.back()->timer);
    active_.pop_back();
  }
  for (const Done& done : dones) done(aborted());
}

}  // namespace outboxd
