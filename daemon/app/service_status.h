// What the service manager shows of this daemon (`systemctl status`): that it serves, or why the store's server does not.
#pragma once

#include <string>

#include "runtime/service_manager.h"
#include "store/store.h"

namespace outboxd {

class ServiceStatus {
 public:
  ServiceStatus(const ServiceManager& manager, const Store& store) : manager_(manager), store_(store) {}

  void ready() {
    told_ = now();
    manager_.ready(told_);
  }
  void tell_if_changed() {
    std::string status = now();
    if (status == told_) return;
    manager_.status(status);
    told_ = std::move(status);
  }

 private:
  std::string now() const {
    const std::string why = store_.why_unreachable();
    return why.empty() ? "serving" : "waiting for the store: " + why;
  }

  const ServiceManager& manager_;
  const Store& store_;
  std::string told_;
};

}  // namespace outboxd
