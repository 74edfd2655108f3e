#include "outbound/resolver.h"

#include <ares.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include <algorithm>
#include <random>
#include <stdexcept>

namespace outboxd {
namespace {

constexpr auto kRereadResolvConf = std::chrono::minutes(1);
constexpr Millis kShortestTtl{1'000};        // also used for /etc/hosts, whose entries have none
constexpr std::size_t kShareOfOneZone = 8;   // an eighth of all slots
constexpr std::size_t kShareOfSuspects = 2;  // half of all slots
constexpr int kTries = 2;

// The last two labels, or three if the last two look like a public suffix: co.uk, com.au.
std::string zone_of(const std::string& name) {
  constexpr std::size_t kCountry = 2, kSecondLevel = 3;
  const auto dot_before = [&name](std::size_t dot) {
    return dot == std::string::npos || dot == 0 ? std::string::npos : name.rfind('.', dot - 1);
  };
  const std::size_t last = name.rfind('.');
  std::size_t dot = dot_before(last);
  if (dot == std::string::npos) return name;
  if (name.size() - last - 1 == kCountry && last - dot - 1 <= kSecondLevel) dot = dot_before(dot);
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

std::string error_text(int status) {
  const char* why = ares_strerror(status);
  switch (status) {
    case ARES_ENOTFOUND:
      why = "no such name";
      break;
    case ARES_ENODATA:
      why = "the name has no address";
      break;
    case ARES_ESERVFAIL:
      why = "the name server failed";
      break;
    case ARES_EREFUSED:
      why = "the name server refused";
      break;
    case ARES_ETIMEOUT:
      why = "timed out";
      break;
    case ARES_ECONNREFUSED:
      why = "no name server could answer";
      break;  // also for SERVFAIL by all
    default:
      break;
  }
  return std::string("could not resolve host: ") + why;
}

void check(int status, const char* what) {
  if (status != ARES_SUCCESS) throw std::runtime_error(std::string(what) + ": " + ares_strerror(status));
}

}  // namespace

// One c-ares channel, with the name servers as they were when it was created.
class Resolver::Channel {
 public:
  Channel(EventLoop& loop, const Options& options) : loop_(loop), made_at(loop.now()) {
    open(options, options.timeout);
    ares_addr_port_node* servers = nullptr;
    check(ares_get_servers_ports(channel_.get(), &servers), "c-ares servers");
    int count = 0;
    for (auto* s = servers; s != nullptr; s = s->next) ++count;
    ares_free_data(servers);
    // c-ares asks each server in turn, then all again with twice the patience. All of that must fit in the timeout, so
    // that when one family (mostly AAAA) gets no answer there is time for the other's answer to count.
    open(options, std::max(options.timeout / (3 * std::max(count, 1) + 1), Millis(10)));
  }
  ~Channel() {
    if (armed_) loop_.cancel(*armed_);
    channel_.reset();  // calls on_answer and on_socket
  }
  Channel(const Channel&) = delete;

  void ask(Resolver& resolver, const std::string& name) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT;  // sorting would connect to addresses that have not been checked yet
    ++owed;
    ares_getaddrinfo(channel_.get(), name.c_str(), nullptr, &hints, on_answer,
                     new Ask{resolver, *this, name});
    arm();
  }

 private:
  struct Ask {
    Resolver& resolver;
    Channel& channel;
    std::string name;
  };

  void open(const Options& options, Millis patience) {
    ares_options o{};
    o.timeout = static_cast<int>(patience.count());
    o.tries = kTries;
    o.ndomains = 0;
    std::string lookups = "fb";  // /etc/hosts, then DNS
    o.lookups = lookups.data();
    o.sock_state_cb = on_socket;
    o.sock_state_cb_data = this;
    ares_channel channel = nullptr;
    check(ares_init_options(&channel, &o,
                            ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
                                ARES_OPT_SOCK_STATE_CB),
          "c-ares");
    channel_.reset(channel);
    if (!options.servers.empty()) {
      check(ares_set_servers_ports_csv(channel_.get(), options.servers.c_str()), "name servers");
    }
  }

  static void on_socket(void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Channel*>(self)->watch(fd, (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u));
  }
  void watch(int fd, std::uint32_t events) {
    if (events == 0) return loop_.unwatch(fd);
    loop_.watch(fd, events, [this, fd](std::uint32_t ready) {
      const bool broken = ready & (EPOLLERR | EPOLLHUP);
      ares_process_fd(channel_.get(), broken || (ready & EPOLLIN) ? fd : ARES_SOCKET_BAD,
                      broken || (ready & EPOLLOUT) ? fd : ARES_SOCKET_BAD);
      arm();
    });
  }

  static void on_answer(void* arg, int status, int /*timeouts*/, ares_addrinfo* found) {
    const std::unique_ptr<Ask> ask(static_cast<Ask*>(arg));
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owner(found, ares_freeaddrinfo);
    --ask->channel.owed;
    if (status == ARES_EDESTRUCTION) return;
    Answer answer;
    Millis ttl = Millis::max();
    if (found != nullptr && status == ARES_SUCCESS) {
      for (auto* c = found->cnames; c != nullptr; c = c->next)
        ttl = std::min(ttl, Millis(std::chrono::seconds(c->ttl)));
      for (auto* n = found->nodes; n != nullptr; n = n->ai_next) {
        ttl = std::min(ttl, Millis(std::chrono::seconds(n->ai_ttl)));
        if (const auto address = IpAddress::from_sockaddr(n->ai_addr)) answer.addresses.push_back(*address);
      }
      // Shuffled, so that each address of a family has its share of the connections, and one that swallows them
      // delays only some requests.
      thread_local std::minstd_rand random{std::random_device{}()};
      std::shuffle(answer.addresses.begin(), answer.addresses.end(), random);
      std::stable_partition(answer.addresses.begin(), answer.addresses.end(),
                            [](const auto& a) { return a.v6; });
    }
    if (answer.addresses.empty()) answer.error = error_text(status == ARES_SUCCESS ? ARES_ENODATA : status);
    ask->resolver.answered(ask->name, answer, ttl, status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED);
  }

  void arm() {
    timeval wait{};
    if (ares_timeout(channel_.get(), nullptr, &wait) == nullptr) return;
    const auto when = std::chrono::steady_clock::now() + std::chrono::seconds(wait.tv_sec) +
                      std::chrono::microseconds(wait.tv_usec) + Millis(1);
    if (armed_ && armed_->first <= when) return;
    if (armed_) loop_.cancel(*armed_);
    armed_ = loop_.call_at(when, [this] {
      armed_.reset();
      ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      arm();
    });
  }

  EventLoop& loop_;
  std::unique_ptr<ares_channeldata, decltype(&ares_destroy)> channel_{nullptr, ares_destroy};
  std::optional<EventLoop::TimerId> armed_;

 public:
  const MonotonicTime made_at;
  std::size_t owed = 0;  // answers that are still to come
};

Resolver::Resolver(EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {
  check(ares_library_init(ARES_LIB_INIT_ALL), "c-ares");
  channel_ = std::make_unique<Channel>(loop_, options_);
}

Resolver::~Resolver() {
  if (start_scheduled_) loop_.cancel(start_timer_);
  for (const auto& [name, query] : queries_) loop_.cancel(query.deadline);
  retired_.clear();
  channel_.reset();
  ares_library_cleanup();
}

const std::vector<IpAddress>* Resolver::cached(const std::string& name) {
  if (is_localhost(name)) return &loopback_;
  const auto it = cache_.find(name);
  if (it == cache_.end() || it->second.until <= loop_.now()) return nullptr;
  return &it->second.addresses;
}

void Resolver::resolve(const std::string& name, Done done) {
  const auto [it, added] = queries_.try_emplace(name);
  Query& query = it->second;
  query.waiting.push_back(std::move(done));
  if (!added) return;
  query.name = name;
  // A name that has answered before does not suffer from its neighbours: it gets a zone of its own.
  query.zone = cache_.contains(name) ? name : zone_of(name);
  query.deadline = loop_.call_at(std::chrono::steady_clock::now() + options_.timeout, [this, name] {
    finish(name, {{}, error_text(ARES_ETIMEOUT)}, true);
  });
  Zone& zone = zones_[query.zone];
  zone.waiting.push_back(name);
  enter_rotation(query.zone, zone);
  schedule_start();
}

void Resolver::schedule_start() {
  if (start_scheduled_) return;
  start_scheduled_ = true;
  start_timer_ = loop_.call_at(loop_.now(), [this] {
    start_scheduled_ = false;
    start_waiting();
  });
}

void Resolver::enter_rotation(const std::string& zone_name, Zone& zone) {
  if (zone.in_rotation) return;
  zone.in_rotation = true;
  (zone.suspect ? suspects_ : rotation_).push_back(zone_name);
}

void Resolver::start_waiting() {
  const std::size_t for_suspects = std::max<std::size_t>(options_.max_queries / kShareOfSuspects, 1);
  while (under_way_ < options_.max_queries && !rotation_.empty()) {
    const std::string zone = std::move(rotation_.front());
    rotation_.pop_front();
    start_one(zone);
  }
  while (under_way_ < options_.max_queries && suspects_under_way_ < for_suspects && !suspects_.empty()) {
    const std::string zone = std::move(suspects_.front());
    suspects_.pop_front();
    start_one(zone);
  }
}

// The zone has just left its rotation; it rejoins at the end if it may start another query.
void Resolver::start_one(const std::string& zone_name) {
  Zone& zone = zones_[zone_name];
  zone.in_rotation = false;
  if (zone.under_way >= std::max<std::size_t>(options_.max_queries / kShareOfOneZone, 1)) return;
  while (!zone.waiting.empty()) {
    const auto it = queries_.find(zone.waiting.front());
    zone.waiting.pop_front();
    if (it == queries_.end() || it->second.under_way) continue;  // answered or given up while it waited
    if (!zone.waiting.empty()) enter_rotation(zone_name, zone);
    Query& query = it->second;
    query.under_way = true;
    query.of_suspect = zone.suspect;
    ++zone.under_way;
    ++under_way_;
    if (zone.suspect) ++suspects_under_way_;
    // May answer at once, after which the query and its zone are gone.
    channel().ask(*this, std::string(query.name));
    return;
  }
  erase_idle_zone(zone_name);
}

Resolver::Channel& Resolver::channel() {
  std::erase_if(retired_, [](const auto& c) { return c->owed == 0; });
  // resolv.conf can change while we run (DHCP, VPN), so it is read again now and then.
  if (options_.servers.empty() && loop_.now() - channel_->made_at > kRereadResolvConf) {
    auto fresh = std::make_unique<Channel>(loop_, options_);
    retired_.push_back(std::exchange(channel_, std::move(fresh)));
  }
  return *channel_;
}

void Resolver::answered(const std::string& name, const Answer& answer, Millis ttl, bool dead) {
  if (answer.error.empty()) remember(name, answer.addresses, ttl);
  finish(name, answer, dead);
}

void Resolver::finish(const std::string& name, const Answer& answer, bool dead) {
  auto node = queries_.extract(name);
  if (node.empty()) return;  // its deadline came first
  const Query& query = node.mapped();
  loop_.cancel(query.deadline);
  leave_zone(query, dead);
  for (const Done& done : query.waiting) done(answer);
}

void Resolver::leave_zone(const Query& query, bool dead) {
  if (!query.under_way) return;
  Zone& zone = zones_[query.zone];
  --zone.under_way;
  --under_way_;
  if (query.of_suspect) --suspects_under_way_;
  zone.suspect = dead;
  if (!zone.waiting.empty()) enter_rotation(query.zone, zone);
  erase_idle_zone(query.zone);
  if (!rotation_.empty() || !suspects_.empty()) schedule_start();
}

void Resolver::erase_idle_zone(const std::string& zone_name) {
  const auto it = zones_.find(zone_name);
  if (it == zones_.end()) return;
  const Zone& zone = it->second;
  if (zone.under_way > 0 || zone.in_rotation || !zone.waiting.empty()) return;
  if (!zone.suspect || zones_.size() > options_.cache_names) zones_.erase(it);
}

void Resolver::remember(const std::string& name, const std::vector<IpAddress>& addresses, Millis ttl) {
  if (options_.cache == Millis(0) || options_.cache_names == 0) return;
  const auto until = loop_.now() + std::min(std::max(ttl, kShortestTtl), options_.cache);
  auto [it, added] = cache_.try_emplace(name);
  if (!added) cache_age_.erase(it->second.age);
  it->second = {addresses, until, cache_age_.insert(cache_age_.end(), name)};
  if (cache_.size() <= options_.cache_names) return;
  cache_.erase(cache_age_.front());
  cache_age_.pop_front();
}

}  // namespace outboxd
