// Resolves names to addresses with c-ares on the event loop, so that a dead DNS zone delays only the requests to it.
// Only for HttpSender; checks nothing (that is up to the address policy) and never connects to what it found.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/time.h"
#include "outbound/address_policy.h"
#include "runtime/event_loop.h"

namespace outboxd {

class Resolver {  // every call on the loop's thread
 public:
  struct Options {
    Millis timeout{5'000};          // from resolve() to the answer, including the wait for a turn
    std::size_t max_queries = 256;  // under way at once
    Millis cache{30'000};           // maximum time that an answer is kept; zero keeps none
    std::size_t cache_names = 10'000;
    std::string servers;  // "127.0.0.1:5353,[::1]:53", used instead of those in resolv.conf
  };
  struct Answer {
    std::vector<IpAddress> addresses;  // IPv6 first (RFC 6724); empty when there is an error
    std::string error;                 // "could not resolve host: no such name"
  };
  using Done = std::function<void(const Answer&)>;

  // Throws std::runtime_error when c-ares cannot start or `servers` is malformed.
  Resolver(EventLoop& loop, Options options);
  ~Resolver();  // drops waiting questions without calling their `done`
  Resolver(const Resolver&) = delete;

  // What is known already: localhost, or an answer within its TTL; otherwise null. Valid until the next call.
  const std::vector<IpAddress>* cached(const std::string& name);
  // `name` is taken as fully qualified: resolv.conf's search list is not applied, so that a public name can never mean
  // a local one. `done` is called exactly once, later, on the loop. Questions for the same name share one query.
  void resolve(const std::string& name, Done done);

 private:
  class Channel;
  struct Query {
    std::string name;
    std::string zone;
    std::vector<Done> waiting;
    EventLoop::TimerId deadline;
    bool under_way = false;
    bool of_suspect = false;  // counted in suspects_under_way_
  };
  // Names with the same last labels (zone_of). One zone gets only a share of the slots, and all zones whose last query
  // timed out get half of them together, so dead zones can never fill every slot.
  struct Zone {
    std::deque<std::string> waiting;
    std::size_t under_way = 0;
    bool in_rotation = false;
    bool suspect = false;
  };
  struct Cached {
    std::vector<IpAddress> addresses;
    MonotonicTime until;
    std::list<std::string>::iterator age;
  };

  void start_waiting();
  void start(Query& query);
  void answered(const std::string& name, const Answer& answer, Millis ttl, bool dead);
  void finish(const std::string& name, const Answer& answer, bool dead);
  void start_one(const std::string& zone_name);
  void enter_rotation(const std::string& zone_name, Zone& zone);
  void leave_zone(const Query& query, bool dead);
  void erase_idle_zone(const std::string& zone_name);
  void remember(const std::string& name, const std::vector<IpAddress>& addresses, Millis ttl);
  void schedule_start();
  Channel& channel();

  EventLoop& loop_;
  const Options options_;
  const std::vector<IpAddress> loopback_{kLoopback.begin(), kLoopback.end()};
  std::unordered_map<std::string, Query> queries_;
  std::unordered_map<std::string, Zone> zones_;
  // Zones with waiting names that may start one more query, the next first.
  std::deque<std::string> rotation_, suspects_;
  std::size_t under_way_ = 0;
  std::size_t suspects_under_way_ = 0;
  std::unordered_map<std::string, Cached> cache_;
  std::list<std::string> cache_age_;  // oldest first
  std::unique_ptr<Channel> channel_;
  std::vector<std::unique_ptr<Channel>> retired_;  // channels that still owe answers
  EventLoop::TimerId start_timer_{};
  bool start_scheduled_ = false;
};

}  // namespace outboxd
