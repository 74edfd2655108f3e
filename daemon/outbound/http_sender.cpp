#include "outbound/http_sender.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "outbound/http_sender_impl.h"

namespace outboxd {
namespace {

// How long requests are started in one round: a new connection takes a tenth of a millisecond.
constexpr Millis kStartsARound{2};

Resolver::Options resolver_options(const HttpSender::Options& options) {
  Resolver::Options o;
  o.timeout = options.dns_timeout;
  o.max_queries = options.max_dns_queries;
  o.cache = options.dns_cache;
  o.servers = options.dns_servers;
  return o;
}

}  // namespace

HttpSender::Impl::Impl(EventLoop& loop, std::shared_ptr<const AddressPolicy> policy, Options options)
    : loop_(loop),
      options_(std::move(options)),
      proxy_(Proxy::parse(options_.proxy)),
      proxy_authorization_(proxy_.authorization()),
      policy_(std::move(policy)),
      resolver_(loop, resolver_options(options_)),
      tls_contexts_(options_.ca_file),
      handshakes_(loop),
      setup_environment_{loop_, *this, proxy_, tls_contexts_, handshakes_, pool_},
      pool_(options_.max_idle_connections),
      start_(loop, [this] { start_all(); }) {}

HttpSender::Impl::~Impl() {
  for (const auto& transfer : active_) loop_.cancel(transfer->timer);
}

void HttpSender::Impl::send(SendRequest request, Done done) {
  auto transfer = std::make_unique<Transfer>(std::move(request), std::move(done), options_.max_response_bytes,
                                             std::chrono::steady_clock::now());
  transfer->id = next_id_++;
  transfer->position = active_.size();
  set_timer(*transfer, transfer->deadline);
  transfer->turn = first_turn_ + starting_.size();
  starting_.push_back(transfer.get());
  active_.push_back(std::move(transfer));
  start_.schedule();
}

// Those for which a round has no time go on in the next one.
void HttpSender::Impl::start_all() {
  const auto enough = std::chrono::steady_clock::now() + kStartsARound;
  for (std::size_t n = starting_.size(); n > 0 && !starting_.empty(); --n) {
    Transfer* const transfer = starting_.front();
    starting_.pop_front();
    ++first_turn_;
    if (transfer == nullptr) continue;
    transfer->turn.reset();
    start(*transfer);
    if (n % 8 == 0 && std::chrono::steady_clock::now() >= enough) break;
  }
  if (!starting_.empty()) start_.schedule();
}

void HttpSender::Impl::start(Transfer& transfer) {
  const EndpointUrl& url = transfer.request.to->url;
  if (const std::string& why = transfer.request.refusal(); !why.empty())
    return fail(transfer, {Outcome::kProtocol, why});
  if (const auto why = policy_->why_denied(url)) return deny(transfer, *why);
  if (auto failure = find_tls(transfer)) return fail(transfer, std::move(*failure));
  find(transfer, url.host, &Impl::on_addresses);
}

// The files are looked at for a plain URL too, so that whoever sets up an endpoint hears of them.
std::optional<Failure> HttpSender::Impl::find_tls(Transfer& transfer) {
  std::shared_ptr<const TlsIdentity> identity;
  if (transfer.request.to->tls) {
    auto read = tls_files_.find(*transfer.request.to->tls, transfer.started);
    if (!read) return Failure{Outcome::kTls, std::move(read.error().detail)};
    identity = std::move(*read);
  }
  if (!transfer.request.to->url.https) return std::nullopt;
  auto context = tls_contexts_.find(identity.get(), transfer.started);
  if (!context) return Failure{Outcome::kTls, std::move(context.error())};
  transfer.tls = std::move(*context);
  return std::nullopt;
}

void HttpSender::Impl::find(Transfer& transfer, const std::string& name, Found then) {
  if (const auto literal = IpAddress::parse(name)) return (this->*then)(transfer, {&*literal, 1}, "");
  if (const auto* known = resolver_.cached(name)) return (this->*then)(transfer, *known, "");
  resolving_.emplace(transfer.id, &transfer);
  resolver_.resolve(name, [this, id = transfer.id, then](const Resolver::Answer& answer) {
    const auto node = resolving_.extract(id);
    if (node.empty()) return;  // it timed out or was aborted
    (this->*then)(*node.mapped(), answer.addresses, answer.error);
  });
}

void HttpSender::Impl::on_addresses(Transfer& transfer, std::span<const IpAddress> addresses,
                                    const std::string& error) {
  transfer.times.resolved = std::chrono::steady_clock::now();
  if (!error.empty()) return fail(transfer, {Outcome::kDns, error});
  check_addresses(transfer, addresses);
}

// One denied address denies the name, because whoever controls the name's zone also chooses which address is used. The
// addresses of localhost are ours, so there the allowed ones are used.
void HttpSender::Impl::check_addresses(Transfer& transfer, std::span<const IpAddress> found) {
  const std::string& host = transfer.request.to->url.host;
  const bool built_in = is_localhost(host);
  transfer.addresses.reserve(found.size());
  for (const IpAddress& address : found) {
    const auto why = policy_->why_denied(host, transfer.request.to->url.port, address);
    if (!why) {
      transfer.addresses.push_back(address);
    } else if (!built_in) {
      return deny(transfer, *why);
    }
  }
  if (transfer.request.preflight) return finish(transfer, transfer.result({Outcome::kSuccess, ""}));
  if (direct()) return connect(transfer, transfer.addresses);
  find(transfer, proxy_.host, &Impl::on_proxy_addresses);
}

void HttpSender::Impl::on_proxy_addresses(Transfer& transfer, std::span<const IpAddress> addresses,
                                          const std::string& error) {
  if (!error.empty()) return fail(transfer, {Outcome::kDns, "proxy: " + error});
  connect(transfer, addresses);
}

ConnectionKey HttpSender::Impl::key_of(const Transfer& transfer) const {
  const EndpointUrl& url = transfer.request.to->url;
  if (!direct() && !url.https) return {};
  return {transfer.tls.get(), url.host, url.port};
}

void HttpSender::Impl::connect(Transfer& transfer, std::span<const IpAddress> addresses) {
  if (!transfer.anew()) {
    if (auto kept = kept_connection(transfer, addresses)) return exchange(transfer, std::move(kept));
  }
  const auto now = std::chrono::steady_clock::now();
  transfer.connect_deadline = now + std::max(transfer.request.connect_timeout, Millis(1));
  if (transfer.connect_deadline < transfer.deadline) set_timer(transfer, transfer.connect_deadline);
  transfer.setup = std::make_unique<ConnectionSetup>(setup_environment_, transfer, addresses);
  transfer.setup->start();
}

// A connection is of use if it leads to an address that the name has now, the policy still allows that, and the other
// side has neither ended it nor sent anything. Those that are of none are closed.
std::unique_ptr<Connection> HttpSender::Impl::kept_connection(const Transfer& transfer,
                                                              std::span<const IpAddress> addresses) {
  while (auto connection = pool_.take(key_of(transfer), loop_.now())) {
    const bool known =
        std::find(addresses.begin(), addresses.end(), connection->address()) != addresses.end();
    if (known && !why_denied_now(transfer, *connection) && connection->is_quiet()) return connection;
  }
  return nullptr;
}

// The third check of the address: whatever led to it, no socket is opened where the policy forbids. The proxy's own
// address is the operator's choice.
std::optional<Denial> HttpSender::Impl::why_socket_denied(const Transfer& transfer,
                                                          const IpAddress& address) {
  const EndpointUrl& url = transfer.request.to->url;
  return direct() ? policy_->why_denied(url.host, url.port, address) : std::nullopt;
}

// The fourth check, before each request. A policy gives the same answer every time, and a connection has the same host,
// port and address all its life, so each policy is asked once about each.
std::optional<Denial> HttpSender::Impl::why_denied_now(const Transfer& transfer,
                                                       Connection& connection) const {
  if (direct() && connection.allowed_by == policy_generation_) return std::nullopt;
  const EndpointUrl& url = transfer.request.to->url;
  if (auto why = policy_->why_denied(url)) return why;
  if (direct()) {
    if (auto why = policy_->why_denied(url.host, url.port, connection.address())) return why;
    if (connection.leads_to_this_machine()) {
      if (auto why = policy_->why_own_port_denied(url.port)) return why;
    }
  } else {
    for (const IpAddress& address : transfer.addresses) {
      if (auto why = policy_->why_denied(url.host, url.port, address)) return why;
    }
  }
  connection.allowed_by = policy_generation_;
  return std::nullopt;
}

void HttpSender::Impl::on_socket_denied(Transfer& transfer, const Denial& denial) {
  deny(transfer, denial);
}

void HttpSender::Impl::on_setup_failed(Transfer& transfer, Failure failure) {
  fail(transfer, std::move(failure));
}

void HttpSender::Impl::on_set_up(Transfer& transfer, std::unique_ptr<Connection> connection) {
  if (const auto why = why_denied_now(transfer, *connection)) return deny(transfer, *why);
  connection->group = pool_.group_of(key_of(transfer), transfer.tls);
  try {
    connection->watch(EPOLLIN, [this, c = connection.get()](std::uint32_t events) { on_ready(*c, events); });
  } catch (const std::system_error& full) {  // the system's limit of watches
    return fail(transfer, connect_failure(full.code().value()));
  }
  transfer.setup.reset();
  exchange(transfer, std::move(connection));
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
  impl_->set_policy(policy);
}

std::size_t HttpSender::in_flight() const {
  return impl_->in_flight();
}

void HttpSender::abort(std::int64_t group) {
  impl_->abort(group);
}

void HttpSender::abort_all() {
  impl_->abort_all();
}

}  // namespace outboxd
