#include "api/http_server.h"

#include <algorithm>
#include <utility>

#include "api/acceptor.h"
#include "api/connections.h"
#include "api/dispatcher.h"
#include "api/quotas.h"
#include "api/request_metrics.h"
#include "api/worker_pool.h"

namespace outboxd::api {
namespace {

Quotas::Limits quota_limits(const HttpServer::Options& options, const std::vector<Listener>& listeners) {
  return {.connections = options.max_connections,
          .connections_per_peer = options.max_connections_per_peer,
          .bytes = options.max_buffered_bytes,
          .unix_sockets = std::ranges::any_of(listeners, &Listener::unix_socket)};
}

}  // namespace

// Wires the parts, and stops them in order. Belongs to the loop's thread.
struct HttpServer::Impl {
  Impl(EventLoop& its_loop, std::vector<Listener> listeners, std::vector<Route> routes,
       std::shared_ptr<const Authenticator> auth, telemetry::Metrics& its_metrics, Options its_options);
  ~Impl();

  Connection::Environment environment();
  void handle(const std::shared_ptr<const Caller>& caller, const Ticket& ticket,
              RequestReader::Complete complete);
  bool is_quick(const Ticket& ticket, const RequestReader::Complete& complete) const;
  void submit(const WorkerPool::Item& exchange);
  void resume(const WorkerPool::Item& exchange);
  void on_finished();
  void begin_stop(Millis limit, std::function<void()> done);
  void finish_stop();
  void end_round();

  EventLoop& loop;
  telemetry::Metrics& metrics;
  const Options options;
  Dispatcher dispatcher;
  const std::shared_ptr<FinishedQueue> finished_queue;
  WorkerPool pool;
  Quotas quotas;
  Connections connections;
  Acceptor acceptor;

  std::size_t in_flight = 0;  // requests that are handled and not answered yet
  bool stopping = false;
  EventLoop::TimerId stop_timer{};
  std::function<void()> stopped;
  // Tells posted tasks whether this object still exists.
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

HttpServer::Impl::Impl(EventLoop& its_loop, std::vector<Listener> listeners, std::vector<Route> routes,
                       std::shared_ptr<const Authenticator> auth, telemetry::Metrics& its_metrics,
                       Options its_options)
    : loop(its_loop),
      metrics(its_metrics),
      options(std::move(its_options)),
      dispatcher(std::move(routes), std::move(auth), options.allowed_hosts, options.audit),
      finished_queue(std::make_shared<FinishedQueue>(
          loop, [this] { on_finished(); }, [this](const WorkerPool::Item& item) { resume(item); },
          [this](Piece& piece) { connections.take_piece(piece); })),
      pool(options.max_queue, [this](const WorkerPool::Item& item) { dispatcher.handle(item); }),
      quotas(quota_limits(options, listeners)),
      connections(environment()),
      acceptor(loop, std::move(listeners),
               [this](int fd, const Listener& listener) { connections.add(fd, listener); }) {
  loop.after_each_round([this] { end_round(); });
}

HttpServer::Impl::~Impl() {
  *alive = false;
  loop.after_each_round(nullptr);
  loop.cancel(stop_timer);
  finished_queue->detach();
}

Connection::Environment HttpServer::Impl::environment() {
  return {.loop = loop,
          .quotas = quotas,
          .metrics = metrics,
          .timeouts = {options.head_timeout, options.body_timeout, options.idle_timeout},
          .head_limits = {options.max_head_bytes, options.max_headers, options.max_body_bytes},
          .why_unknown = [this](const Caller& caller,
                                const Head& head) { return dispatcher.why_unknown(caller, head); },
          .handle = [this](const std::shared_ptr<const Caller>& caller, const Ticket& ticket,
                           RequestReader::Complete complete) { handle(caller, ticket, std::move(complete)); },
          .next_piece =
              [this](const WorkerPool::Item& exchange) {
                exchange->prepare_piece();
                pool.resume(exchange);
              },
          .on_closed = {}};
}

void HttpServer::Impl::handle(const std::shared_ptr<const Caller>& caller, const Ticket& ticket,
                              RequestReader::Complete complete) {
  ++in_flight;
  // Counted until it is answered, even when its connection is gone.
  quotas.change_bytes(ticket.peer, 0, ticket.weight);
  const bool quick = is_quick(ticket, complete);
  const auto exchange =
      std::make_shared<PendingExchange>(finished_queue, caller, ticket, std::move(complete));
  if (quick) {
    exchange->handle_on_loop();
    return dispatcher.handle(exchange);
  }
  submit(exchange);
}

void HttpServer::Impl::submit(const WorkerPool::Item& exchange) {
  if (pool.submit(exchange)) return;
  exchange->respond(
      Problem{ProblemCode::kUnavailable, "Too many requests are waiting; try again in a moment."});
}

// What leaves the loop is new to the workers, and refused like any other when too many wait for them.
void HttpServer::Impl::resume(const WorkerPool::Item& exchange) {
  exchange->leave_loop() ? submit(exchange) : pool.resume(exchange);
}

// Bounded by time, not by a number: whatever else the round had to do counts as well.
bool HttpServer::Impl::is_quick(const Ticket& ticket, const RequestReader::Complete& complete) const {
  return complete.body.size() <= kMaxQuickBody && ticket.started - loop.now() < options.quick_time &&
         dispatcher.has_quick_route(complete.head);
}

void HttpServer::Impl::on_finished() {
  for (const auto& finished : finished_queue->take(stopping)) {
    const Ticket& ticket = finished->ticket();
    --in_flight;
    quotas.change_bytes(ticket.peer, ticket.weight, 0);
    finished->finish();
    connections.answer(finished);
    count_request(metrics, finished->route(), finished->request().method, finished->answer().status,
                  std::chrono::steady_clock::now() - ticket.started);
  }
}

void HttpServer::Impl::begin_stop(Millis limit, std::function<void()> done) {
  if (stopping) return;
  stopping = true;
  stopped = std::move(done);
  acceptor.close();
  connections.stop();
  stop_timer = loop.call_at(loop.now() + limit, [this] { finish_stop(); });
}

void HttpServer::Impl::finish_stop() {
  loop.cancel(stop_timer);
  if (stopped) std::exchange(stopped, nullptr)();
}

void HttpServer::Impl::end_round() {
  connections.erase_closed();
  if (stopped && in_flight == 0 && !connections.any_busy()) finish_stop();
}

HttpServer::HttpServer(EventLoop& loop, std::vector<Listener> listeners, std::vector<Route> routes,
                       std::shared_ptr<const Authenticator> auth, telemetry::Metrics& metrics,
                       Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(listeners), std::move(routes), std::move(auth), metrics,
                                   std::move(options))) {}

HttpServer::~HttpServer() = default;

void HttpServer::start() {
  impl_->pool.start(impl_->options.workers);
  impl_->acceptor.start();
}

void HttpServer::set_authenticator(std::shared_ptr<const Authenticator> auth) {
  impl_->dispatcher.set_authenticator(std::move(auth));
  impl_->loop.post([impl = impl_.get(), alive = impl_->alive] {
    if (*alive) impl->connections.end_streams_over_tcp();
  });
}

std::shared_ptr<const Authenticator> HttpServer::authenticator() const {
  return impl_->dispatcher.authenticator();
}

void HttpServer::note_refusal(const Request& request, const Problem& refusal) {
  impl_->dispatcher.note_refusal(request, refusal);
}

void HttpServer::stop_accepting(Millis limit, std::function<void()> done) {
  impl_->loop.post([impl = impl_.get(), alive = impl_->alive, limit, done = std::move(done)]() mutable {
    if (*alive) impl->begin_stop(limit, std::move(done));
  });
}

}  // namespace outboxd::api
