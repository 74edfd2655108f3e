// What `outboxctl dashboard` serves on the loopback interface: the daemon's pages and API, to the browser that
// dashboard_gate.h lets in, with the rights of who runs the command. Each request is one exchange with the daemon on a
// connection of its own, because libcurl may send a request again on a kept one that breaks.
#pragma once

#include <memory>
#include <string>

#include "ctl/api_client.h"

namespace outboxd::ctl {

class DashboardProxy {
 public:
  // Whom the link lets in. On a command line every user of the machine can read it.
  enum class LinkFor { kAnybody, kOwnUser };
  // Binds 127.0.0.1 at once: throws Failure when the port is taken. 0 is any free one. Serves from start() on.
  DashboardProxy(ApiClient::Options daemon, int port, LinkFor link_for);
  ~DashboardProxy();  // ends the streams, and waits for what is being answered
  DashboardProxy(const DashboardProxy&) = delete;

  // Works once.
  std::string link() const;
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Throws Failure unless the daemon answers, has a dashboard, and lets the caller read.
void require_dashboard(ApiClient& api);

}  // namespace outboxd::ctl
