#include "outbound/http_sender.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <unordered_map>
#include <utility>

#include "outbound/curl_loop.h"
#include "outbound/pinned_addresses.h"
#include "outbound/request_headers.h"
#include "outbound/resolver.h"
#include "outbound/tls_files.h"
#include "outbound/transfer.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

// How long to wait for the body after a complete head, so that the connection can be reused. The result is already
// known by then.
constexpr Millis kBodyGrace{5'000};
constexpr std::size_t kMaxSpareTransfers = 1024;

Resolver::Options resolver_options(const HttpSender::Options& options) {
  Resolver::Options o;
  o.timeout = options.dns_timeout;
  o.max_queries = options.max_dns_queries;
  o.cache = options.dns_cache;
  o.servers = options.dns_servers;
  return o;
}

SendResult failed(Outcome outcome, std::string error) {
  SendResult result;
  result.outcome = outcome;
  result.error = std::move(error);
  return result;
}

SendResult aborted() {
  SendResult result = failed(Outcome::kConnect, "aborted");
  result.aborted = true;
  return result;
}

std::size_t idle_share(const HttpSender::Options& options) {
  return options.connection_pools == 1
             ? options.max_idle_connections
             : std::max<std::size_t>(64, 2 * options.max_idle_connections / options.connection_pools);
}

}  // namespace

// The path of a transfer: starting_ -> (resolving_) -> launched in curl -> finish(), or once more from the start. All
// transfers are in active_, and each has a timer.
struct HttpSender::Impl {
  Impl(EventLoop& loop, const std::shared_ptr<const AddressPolicy>& policy, Options options);
  ~Impl();

  void send(SendRequest request, Done done);
  void abort(std::int64_t group);
  void abort_all();

  void schedule_start();
  void start_all();
  void start(Transfer& transfer);
  using Found = void (Impl::*)(Transfer&, const std::vector<IpAddress>& addresses, const std::string& error);
  void find(Transfer& transfer, const std::string& name, Found then);
  void on_addresses(Transfer& transfer, const std::vector<IpAddress>& addresses, const std::string& error);
  void on_proxy_addresses(Transfer& transfer, const std::vector<IpAddress>& addresses,
                          const std::string& error);
  void check_addresses(Transfer& transfer, const std::vector<IpAddress>& found);
  void launch(Transfer& transfer, const std::vector<IpAddress>& connect_to);
  void on_head_complete(Transfer& transfer);
  void on_ended(CURL* easy, CURLcode code);
  void on_deadline(Transfer& transfer);
  void fail(Transfer& transfer, Outcome outcome, std::string error, std::string denial = {});
  void deny(Transfer& transfer, const Denial& denial);
  void on_denied(const std::string& host, const Denial& denial);
  void finish(Transfer& transfer, SendResult result);
  void set_timer(Transfer& transfer, MonotonicTime when);

  // A pool of connections, with everything that belongs to it.
  struct ConnectionPool {
    ConnectionPool(Impl& impl, std::shared_ptr<const AddressPolicy> policy);
    PinnedAddresses pinned;
    CurlLoop curl;
    Transfer::Sender sender;
    std::vector<std::unique_ptr<Transfer>> spare;
    bool to_kick = false;
  };
  ConnectionPool& pool_of(const Transfer& transfer) { return *pools_[transfer.pool]; }
  const AddressPolicy& policy() const { return *pools_.front()->sender.policy; }
  void add(Transfer& transfer);

  EventLoop& loop_;
  const Options options_;
  const Proxy proxy_;
  Resolver resolver_;
  TlsFiles tls_files_;
  log::Budget denial_log_;
  std::vector<std::unique_ptr<ConnectionPool>> pools_;
  std::vector<ConnectionPool*> to_kick_;
  std::vector<std::unique_ptr<Transfer>> active_;
  std::deque<Transfer*> starting_;
  std::unordered_map<std::uint64_t, Transfer*> resolving_;
  std::uint64_t next_id_ = 1;
  std::optional<EventLoop::TimerId> start_timer_;
  bool kick_follows_ = false;
};

HttpSender::Impl::ConnectionPool::ConnectionPool(Impl& impl, std::shared_ptr<const AddressPolicy> policy)
    : curl(impl.loop_, idle_share(impl.options_),
           [&impl](CURL* easy, CURLcode code) { impl.on_ended(easy, code); }),
      sender{.policy = std::move(policy),
             .proxy = impl.proxy_,
             .options = impl.options_,
             .connections = curl,
             .on_head_complete = [&impl](Transfer& transfer) { impl.on_head_complete(transfer); },
             .on_denied = [&impl](const std::string& host,
                                  const Denial& denial) { impl.on_denied(host, denial); }} {}

HttpSender::Impl::Impl(EventLoop& loop, const std::shared_ptr<const AddressPolicy>& policy, Options options)
    : loop_(loop),
      options_(std::move(options)),
      proxy_(Proxy::parse(options_.proxy)),
      resolver_(loop, resolver_options(options_)) {
  for (std::size_t i = 0; i < options_.connection_pools; ++i)
    pools_.push_back(std::make_unique<ConnectionPool>(*this, policy));
}

HttpSender::Impl::~Impl() {
  if (start_timer_) loop_.cancel(*start_timer_);
  for (const auto& transfer : active_) {
    loop_.cancel(transfer->timer);
    if (transfer->running) pool_of(*transfer).curl.remove(transfer->easy());
  }
}

void HttpSender::Impl::send(SendRequest request, Done done) {
  const std::size_t index = std::hash<std::string>()(request.url.text) % pools_.size();
  ConnectionPool& pool = *pools_[index];
  std::unique_ptr<Transfer> transfer;
  if (pool.spare.empty()) {
    transfer = std::make_unique<Transfer>(pool.sender);
    transfer->pool = index;
  } else {
    transfer = std::move(pool.spare.back());
    pool.spare.pop_back();
  }
  transfer->prepare(std::move(request), std::move(done), std::chrono::steady_clock::now());
  transfer->id = next_id_++;
  transfer->position = active_.size();
  set_timer(*transfer, transfer->deadline);
  starting_.push_back(transfer.get());
  active_.push_back(std::move(transfer));
  schedule_start();
}

void HttpSender::Impl::set_timer(Transfer& transfer, MonotonicTime when) {
  transfer.timer = loop_.call_at(when, [this, t = &transfer] { on_deadline(*t); });
}

// Requests of one round start together, so that libcurl is entered once for all of them.
void HttpSender::Impl::schedule_start() {
  if (start_timer_ || kick_follows_) return;
  start_timer_ = loop_.call_at(loop_.now(), [this] { start_all(); });
}

void HttpSender::Impl::start_all() {
  if (start_timer_) loop_.cancel(*start_timer_);
  start_timer_.reset();
  kick_follows_ = true;
  for (std::size_t n = starting_.size(); n > 0 && !starting_.empty(); --n) {
    Transfer& transfer = *starting_.front();
    starting_.pop_front();
    start(transfer);
  }
  kick_follows_ = false;
  for (ConnectionPool* pool : std::exchange(to_kick_, {})) {
    pool->to_kick = false;
    pool->curl.kick();
  }
  if (!starting_.empty()) schedule_start();  // a `done` has sent more
}

void HttpSender::Impl::add(Transfer& transfer) {
  ConnectionPool& pool = pool_of(transfer);
  pool.curl.add(transfer.easy());
  if (!std::exchange(pool.to_kick, true)) to_kick_.push_back(&pool);
  schedule_start();
}

void HttpSender::Impl::start(Transfer& transfer) {
  const EndpointUrl& url = transfer.request.url;
  if (auto why = why_headers_refused(transfer.request))
    return fail(transfer, Outcome::kProtocol, std::move(*why));
  if (const auto why = policy().why_denied(url)) return deny(transfer, *why);
  if (transfer.request.tls) {
    auto identity = tls_files_.find(*transfer.request.tls, transfer.started);
    if (!identity) return fail(transfer, Outcome::kTls, std::move(identity.error().detail));
    transfer.identity = std::move(*identity);
  }
  find(transfer, url.host, &Impl::on_addresses);
}

void HttpSender::Impl::find(Transfer& transfer, const std::string& name, Found then) {
  if (const auto literal = IpAddress::parse(name)) return (this->*then)(transfer, {*literal}, "");
  if (const auto* known = resolver_.cached(name)) return (this->*then)(transfer, *known, "");
  resolving_.emplace(transfer.id, &transfer);
  resolver_.resolve(name, [this, id = transfer.id, then](const Resolver::Answer& answer) {
    const auto node = resolving_.extract(id);
    if (node.empty()) return;  // it timed out or was aborted
    (this->*then)(*node.mapped(), answer.addresses, answer.error);
  });
}

void HttpSender::Impl::on_addresses(Transfer& transfer, const std::vector<IpAddress>& addresses,
                                    const std::string& error) {
  transfer.resolved = std::chrono::steady_clock::now();
  if (!error.empty()) return fail(transfer, Outcome::kDns, error);
  check_addresses(transfer, addresses);
}

// One denied address denies the name, because whoever controls the name's zone also chooses which address is used. The
// addresses of localhost are ours, so there the allowed ones are used.
void HttpSender::Impl::check_addresses(Transfer& transfer, const std::vector<IpAddress>& found) {
  const std::string& host = transfer.request.url.host;
  const bool built_in = is_localhost(host);
  for (const IpAddress& address : found) {
    const auto why = policy().why_denied(host, transfer.request.url.port, address);
    if (!why) {
      transfer.addresses.push_back(address);
    } else if (!built_in) {
      return deny(transfer, *why);
    }
  }
  if (transfer.request.preflight) {
    SendResult allowed;
    allowed.outcome = Outcome::kSuccess;
    return finish(transfer, std::move(allowed));
  }
  if (proxy_.url.empty()) return launch(transfer, transfer.addresses);
  find(transfer, proxy_.host, &Impl::on_proxy_addresses);
}

void HttpSender::Impl::on_proxy_addresses(Transfer& transfer, const std::vector<IpAddress>& addresses,
                                          const std::string& error) {
  if (!error.empty()) return fail(transfer, Outcome::kDns, "proxy: " + error);
  launch(transfer, addresses);
}

void HttpSender::Impl::launch(Transfer& transfer, const std::vector<IpAddress>& connect_to) {
  const EndpointUrl& url = transfer.request.url;
  const bool direct = proxy_.url.empty();
  const std::string& host = direct ? url.host : proxy_.host;
  const std::uint16_t port = direct ? url.port : proxy_.port;
  const auto now = std::chrono::steady_clock::now();
  PinnedAddresses& pinned = pool_of(transfer).pinned;
  PinnedAddresses::Pin pin;
  if (IpAddress::parse(host)) {
    pin.prune = pinned.prune_due(now);
  } else {
    pin = pinned.pin(host, port, connect_to, now);
  }
  transfer.launch(std::move(pin), now);
  transfer.running = true;
  add(transfer);
}

void HttpSender::Impl::on_head_complete(Transfer& transfer) {
  const auto grace_end = std::chrono::steady_clock::now() + kBodyGrace;
  if (grace_end >= transfer.deadline) return;
  loop_.cancel(transfer.timer);
  set_timer(transfer, grace_end);
}

void HttpSender::Impl::on_ended(CURL* easy, CURLcode code) {
  Transfer& transfer = Transfer::of(easy);
  if (!transfer.wants_fresh_connection()) return finish(transfer, transfer.result(code));
  transfer.begin_anew();
  start(transfer);  // from the start: the name may now mean another address, or the policy forbid it
}

void HttpSender::Impl::on_deadline(Transfer& transfer) {
  if (!transfer.running) {
    std::string error =
        "timed out after " + format_duration(transfer.request.timeout) + " resolving the host";
    return fail(transfer, Outcome::kTimeout, std::move(error));
  }
  SendResult result = transfer.result(std::nullopt);
  pool_of(transfer).curl.remove(transfer.easy());
  finish(transfer, std::move(result));
}

void HttpSender::Impl::fail(Transfer& transfer, Outcome outcome, std::string error, std::string denial) {
  SendResult result = failed(outcome, std::move(error));
  transfer.add_way(result);
  result.denial = std::move(denial);
  const auto now = std::chrono::steady_clock::now();
  result.timings.total = std::chrono::floor<Millis>(now - transfer.started);
  if (transfer.resolved)
    result.timings.dns = std::chrono::floor<Millis>(*transfer.resolved - transfer.started);
  finish(transfer, std::move(result));
}

void HttpSender::Impl::deny(Transfer& transfer, const Denial& denial) {
  on_denied(transfer.request.url.host, denial);
  fail(transfer, Outcome::kBlocked, std::string(kUrlNotAllowed), denial.for_operators());
}

void HttpSender::Impl::on_denied(const std::string& host, const Denial& denial) {
  if (options_.on_denied) options_.on_denied(denial.reason);
  if (const auto left_out = denial_log_.take(loop_.now())) {
    log::warn("the address policy stopped a request",
              {{"host", host}, {"reason", denial.for_operators()}, {"left_out_before", *left_out}});
  }
}

void HttpSender::Impl::finish(Transfer& transfer, SendResult result) {
  loop_.cancel(transfer.timer);
  resolving_.erase(transfer.id);
  const std::size_t position = transfer.position;
  std::swap(active_[position], active_.back());
  active_[position]->position = position;
  std::unique_ptr<Transfer> ended = std::move(active_.back());
  active_.pop_back();
  const Done done = std::move(ended->done);
  ended->clear();
  auto& spare = pool_of(*ended).spare;
  if (spare.size() < kMaxSpareTransfers / pools_.size()) spare.push_back(std::move(ended));
  done(std::move(result));
}

void HttpSender::Impl::abort(std::int64_t group) {
  std::vector<Transfer*> theirs;
  for (const auto& transfer : active_) {
    if (transfer->request.group == group) theirs.push_back(transfer.get());
  }
  for (Transfer* transfer : theirs) {
    std::erase(starting_, transfer);
    if (transfer->running) pool_of(*transfer).curl.remove(transfer->easy());
    finish(*transfer, aborted());
  }
}

void HttpSender::Impl::abort_all() {
  starting_.clear();
  resolving_.clear();
  std::vector<Done> dones;
  while (!active_.empty()) {
    Transfer& transfer = *active_.back();
    loop_.cancel(transfer.timer);
    if (transfer.running) pool_of(transfer).curl.remove(transfer.easy());
    dones.push_back(std::move(transfer.done));
    active_.pop_back();
  }
  for (const Done& done : dones) {
    done(aborted());
  }
}

HttpSender::HttpSender(EventLoop& loop, const std::shared_ptr<const AddressPolicy>& policy, Options options)
    : impl_(std::make_unique<Impl>(loop, policy, std::move(options))) {}

HttpSender::~HttpSender() = default;

void HttpSender::send(SendRequest request, Done done) {
  impl_->send(std::move(request), std::move(done));
}

void HttpSender::flush() {
  impl_->start_all();
}

void HttpSender::set_policy(const std::shared_ptr<const AddressPolicy>& policy) {
  for (auto& pool : impl_->pools_) pool->sender.policy = policy;
}

std::size_t HttpSender::in_flight() const {
  return impl_->active_.size();
}

void HttpSender::abort(std::int64_t group) {
  impl_->abort(group);
}

void HttpSender::abort_all() {
  impl_->abort_all();
}

}  // namespace outboxd
