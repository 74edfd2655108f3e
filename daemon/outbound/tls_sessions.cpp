#include "outbound/tls_sessions.h"

#include <openssl/ssl.h>

#include <utility>

namespace outboxd {
namespace {

bool serves_once(const SSL_SESSION* session) {
  return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

}  // namespace

void FreeTlsSession::operator()(ssl_session_st* session) const {
  SSL_SESSION_free(session);
}

void TlsSessions::put(const std::string& key, TlsSession session) {
  const auto [known, is_new] = by_key_.try_emplace(key, hosts_.end());
  if (is_new) known->second = hosts_.insert(hosts_.end(), Host{key, {}});
  Host& host = *known->second;
  hosts_.splice(hosts_.end(), hosts_, known->second);
  size_ -= host.sessions.size();
  if (!serves_once(session.get())) host.sessions.clear();
  if (host.sessions.size() == kMaxPerHost) host.sessions.erase(host.sessions.begin());
  host.sessions.push_back(std::move(session));
  size_ += host.sessions.size();
  while (size_ > max_sessions_ && hosts_.size() > 1) drop(hosts_.begin());
}

TlsSession TlsSessions::take(const std::string& key) {
  const auto known = by_key_.find(key);
  if (known == by_key_.end()) return nullptr;
  Host& host = *known->second;
  while (!host.sessions.empty()) {
    SSL_SESSION* const newest = host.sessions.back().get();
    if (SSL_SESSION_is_resumable(newest) == 1 && !serves_once(newest)) {
      SSL_SESSION_up_ref(newest);
      return TlsSession(newest);
    }
    TlsSession session = std::move(host.sessions.back());
    host.sessions.pop_back();
    --size_;
    if (SSL_SESSION_is_resumable(session.get()) == 1) {
      if (host.sessions.empty()) drop(known->second);
      return session;
    }
  }
  drop(known->second);
  return nullptr;
}

void TlsSessions::drop(Hosts::iterator host) {
  size_ -= host->sessions.size();
  by_key_.erase(host->key);
  hosts_.erase(host);
}

}  // namespace outboxd
