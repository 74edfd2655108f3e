#include "ctl/dashboard_gate.h"

#include <utility>

#include "common/cookie.h"
#include "common/openssl.h"
#include "common/text.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kKeyBytes = 32;

bool is_change(std::string_view method) {
  return method != "GET" && method != "HEAD";
}

}  // namespace

std::string random_key() {
  return hex_encode(random_bytes(kKeyBytes));
}

DashboardGate::DashboardGate(int port, std::string code, std::string cookie, std::string csrf)
    : port_(std::to_string(port)),
      cookie_name_("outboxd_dashboard_" + port_),
      csrf_(std::move(csrf)),
      code_(std::move(code)),
      offered_cookie_(std::move(cookie)) {}

bool DashboardGate::is_host(std::string_view host) const {
  return ascii_iequals(host, "127.0.0.1:" + port_) || ascii_iequals(host, "localhost:" + port_);
}

std::optional<std::string> DashboardGate::enter(std::string_view code) {
  const MutexLock lock(mutex_);
  if (!code_ || !constant_time_equal(*code_, code)) return std::nullopt;
  code_.reset();
  cookie_ = std::exchange(offered_cookie_, {});
  return cookie_;
}

DashboardGate::Verdict DashboardGate::check(const Visit& visit) const {
  {
    const MutexLock lock(mutex_);
    const auto shown = cookie_value(visit.cookies, cookie_name_);
    if (!cookie_ || !shown || !constant_time_equal(*cookie_, *shown)) return Verdict::kNotIn;
  }
  const bool changes = is_change(visit.method);
  if (!changes && visit.open_file) return Verdict::kAllowed;
  // Browsers say where a request comes from; a client that says nothing is judged by the rest. A page of another port
  // cannot read the answer, but what is asked for may be recorded as an operator's act.
  const std::string_view site = visit.fetch_site;
  if (!site.empty() && site != "same-origin" && site != "none") return Verdict::kCrossSite;
  if (!changes) return Verdict::kAllowed;
  return constant_time_equal(csrf_, visit.csrf) ? Verdict::kAllowed : Verdict::kNoCsrf;
}

void DashboardGate::sign_out() {
  const MutexLock lock(mutex_);
  cookie_.reset();
}

bool DashboardGate::is_anybody_in() const {
  const MutexLock lock(mutex_);
  return cookie_.has_value();
}

}  // namespace outboxd::ctl
