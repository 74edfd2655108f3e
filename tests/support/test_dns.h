// A name server for tests, on an ephemeral UDP port of loopback: answers A and AAAA queries from a table that may
// change at any time. Names that are not in the table do not exist. Safe to use from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace outboxd::test {

class TestDns {
 public:
  TestDns();
  ~TestDns();
  TestDns(const TestDns&) = delete;

  std::string servers() const;  // for HttpSender::Options::dns_servers
  void set(const std::string& name, std::vector<std::string> addresses, std::uint32_t ttl_seconds = 60);
  void silence(const std::string& zone);               // no answer for this name and all names under it
  void silence_aaaa(const std::string& name);          // answers A only
  void refuse(const std::string& name);                // SERVFAIL
  std::size_t queries(const std::string& name) const;  // so far, A and AAAA together
  std::size_t names_asked_under(const std::string& zone) const;

 private:
  struct Record {
    std::vector<std::string> addresses;
    std::uint32_t ttl;
  };
  void serve();
  std::string answer(const std::string& query);
  bool is_silent(const std::string& name) const;

  int fd_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::map<std::string, Record> records_;  // guarded by mutex_, as all below
  std::set<std::string> silent_, silent_aaaa_, failing_;
  std::map<std::string, std::size_t> queries_;
  std::thread thread_;
};

}  // namespace outboxd::test
