// Who is let in at `outboxctl dashboard`: whoever follows its link first, and from then on the browser that was given the
// cookie for it. Decides on what a request says, and knows no server. May be called from several threads at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/mutex.h"

namespace outboxd::ctl {

inline constexpr const char* kCsrfHeader = "outboxd-csrf";

// 256 random bits in hexadecimal digits.
std::string random_key();

class DashboardGate {
 public:
  // What a request says of itself: the values of its headers, "" for those it does not have.
  struct Visit {
    std::string_view method, cookies, csrf, fetch_site;
    bool open_file = false;  // it asks for a file that is the same for everybody
  };
  enum class Verdict {
    kAllowed,
    kNotIn,      // no cookie of ours
    kCrossSite,  // something that a page of another origin asks for
    kNoCsrf,     // a change without the proof that a page of ours asks for it
  };

  DashboardGate(int port, std::string code, std::string cookie, std::string csrf);

  // Is this one of the names that the dashboard is served under? Under any other, a name that its owner makes point to
  // 127.0.0.1, a foreign page would be of the same origin (DNS rebinding).
  bool is_host(std::string_view host) const;
  // Takes the code of the link: the value of the cookie the first time, nullopt at every other.
  std::optional<std::string> enter(std::string_view code);
  Verdict check(const Visit& visit) const;
  // Browsers do not tell ports apart when they keep cookies, so each dashboard has a cookie of its own name.
  const std::string& cookie_name() const { return cookie_name_; }
  // What a change has to carry. Constant.
  const std::string& csrf() const { return csrf_; }
  // From now on nobody is in.
  void sign_out();
  bool is_anybody_in() const;

 private:
  const std::string port_, cookie_name_, csrf_;
  mutable Mutex mutex_;
  std::optional<std::string> code_ OUTBOXD_GUARDED_BY(mutex_);  // nullopt: spent
  std::string offered_cookie_ OUTBOXD_GUARDED_BY(mutex_);       // until the code is spent
  std::optional<std::string> cookie_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd::ctl
