// The operator's proxy: how its URL is read.
#include "outbound/proxy.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace outboxd {
namespace {

TEST_CASE("a proxy's URL has a scheme, perhaps credentials, a host and perhaps a port") {
  const Proxy none = Proxy::parse("");
  CHECK(none.url == "");
  const Proxy plain = Proxy::parse("http://Proxy.Corp:3128");
  CHECK(plain.url == "http://proxy.corp:3128");
  CHECK_FALSE(plain.https);
  CHECK(plain.host == "proxy.corp");
  CHECK(plain.port == 3128);
  CHECK(plain.credentials == "");
  CHECK(plain.authorization() == "");
  CHECK(Proxy::parse("http://proxy").url == "http://proxy:80");
  const Proxy tls = Proxy::parse("HTTPS://10.0.0.1/");
  CHECK(tls.https);
  CHECK(tls.url == "https://10.0.0.1:443");
  const Proxy v6 = Proxy::parse("http://[2001:DB8::1]:8080/path?query#fragment");
  CHECK(v6.host == "2001:db8::1");
  CHECK(v6.url == "http://[2001:db8::1]:8080");
}

TEST_CASE("user and password are percent-decoded and never part of the URL") {
  const Proxy proxy = Proxy::parse("http://user:pass%21%zz%4@proxy.corp:3128");
  CHECK(proxy.url == "http://proxy.corp:3128");
  CHECK(proxy.credentials == "user:pass!%zz%4");
  CHECK(Proxy::parse("http://user:pass%21@proxy.corp").authorization() == "Basic dXNlcjpwYXNzIQ==");
  CHECK(Proxy::parse("http://user@proxy.corp").credentials == "user:");
  CHECK(Proxy::parse("http://u:a:b@proxy.corp").credentials == "u:a:b");
  CHECK(Proxy::parse("http://:secret@proxy.corp").credentials == "");
}

TEST_CASE("a malformed proxy URL is refused without quoting it") {
  for (const char* bad :
       {"proxy.corp:3128", "ftp://proxy.corp", "http://", "http:///", "socks5://127.0.0.1:1080", "://proxy",
        "http://proxy:0", "http://proxy:65536", "http://proxy:x", "http://a b", "http://[::1",
        "http://[zz]:80", "http://u:p@", "http://u:p@v@proxy", "http://u%0d%0a:p@proxy", "http://u:%7f@proxy",
        "http://127.1:80"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(Proxy::parse(bad), "the proxy must be a URL like http://proxy.example:3128",
                         std::invalid_argument);
  }
}

TEST_CASE("only a 2xx opens a tunnel") {
  CHECK(why_no_tunnel(200) == "");
  CHECK(why_no_tunnel(299) == "");
  CHECK(why_no_tunnel(199) == "the proxy refused the tunnel with status 199");
  CHECK(why_no_tunnel(302) == "the proxy refused the tunnel with status 302");
  CHECK(why_no_tunnel(407) == "the proxy refused the tunnel with status 407");
}

}  // namespace
}  // namespace outboxd
