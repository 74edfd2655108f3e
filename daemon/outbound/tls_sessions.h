// TLS sessions of earlier connections, so that a new connection to the same host needs no full handshake. OpenSSL
// verifies no certificate when it resumes a session, so a session is found again only under exactly the key that it was
// stored under: which context, which host, which port. Only for TlsStream; one thread.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct ssl_session_st;

namespace outboxd {

struct FreeTlsSession {
  void operator()(ssl_session_st* session) const;
};
using TlsSession = std::unique_ptr<ssl_session_st, FreeTlsSession>;

class TlsSessions {
 public:
  // A session takes 7 KiB (TLS 1.3) to 14 KiB (1.2, measured), mostly the receiver's certificates. To keep it as bytes
  // would take 1 KiB, and 0.16 ms to parse: more than resuming it saves in TLS 1.2.
  static constexpr std::size_t kMaxSessions = 4'096;
  // TLS 1.3: as many new connections to one host at once can resume. Each of its tickets serves once (RFC 8446, C.4).
  static constexpr std::size_t kMaxPerHost = 4;

  explicit TlsSessions(std::size_t max_sessions = kMaxSessions) : max_sessions_(max_sessions) {}

  void put(const std::string& key, TlsSession session);
  // The newest one, or null. One of TLS 1.3 is removed, one of TLS 1.2 stays.
  TlsSession take(const std::string& key);
  std::size_t size() const { return size_; }

 private:
  struct Host {
    std::string key;
    std::vector<TlsSession> sessions;  // newest last
  };
  using Hosts = std::list<Host>;  // least recently used first

  void drop(Hosts::iterator host);

  const std::size_t max_sessions_;
  std::size_t size_ = 0;
  Hosts hosts_;
  std::unordered_map<std::string, Hosts::iterator> by_key_;
};

// Where the sessions of one connection go: OpenSSL hands them over in the handshake (TLS 1.2) or with any read after it
// (TLS 1.3).
struct TlsSessionSlot {
  std::shared_ptr<TlsSessions> sessions;
  std::string key;
};

}  // namespace outboxd
