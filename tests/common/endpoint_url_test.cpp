#include "common/endpoint_url.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>

using namespace outboxd;

namespace {
std::string normal(std::string_view text) {
  const auto url = parse_endpoint_url(text);
  return url ? url->text : "refused: " + url.error().detail;
}
std::string why(std::string_view text) {
  const auto url = parse_endpoint_url(text);
  return url ? "" : url.error().detail;
}
}  // namespace

TEST_CASE("a URL is taken apart") {
  const auto url = parse_endpoint_url("HTTPS://Example.COM:8443/Hook/%2F?a=B&c");
  REQUIRE(url);
  CHECK(url->https);
  CHECK(url->host == "example.com");
  CHECK_FALSE(url->host_is_address);
  CHECK(url->port == 8443);
  CHECK(url->target == "/Hook/%2F?a=B&c");
  CHECK(url->text == "https://example.com:8443/Hook/%2F?a=B&c");
  CHECK(url->host_port() == "example.com:8443");
}

TEST_CASE("a URL has one normal form") {
  CHECK(normal("https://example.com") == "https://example.com/");
  CHECK(normal("https://example.com:443/x") == "https://example.com/x");
  CHECK(normal("http://example.com:80") == "http://example.com/");
  CHECK(normal("http://example.com:443") == "http://example.com:443/");
  CHECK(normal("https://example.com?x=1") == "https://example.com/?x=1");
  CHECK(normal("https://example.com?") == "https://example.com/");
  CHECK(normal("https://example.com/a?") == "https://example.com/a");
  CHECK(normal("https://example.com/a??") == "https://example.com/a??");
  CHECK(normal("https://my_host.internal/") == "https://my_host.internal/");
  CHECK(normal("http://localhost:3000/hook") == "http://localhost:3000/hook");
  CHECK(normal("https://xn--bcher-kva.example/a//b/") == "https://xn--bcher-kva.example/a//b/");
  CHECK(normal("https://example.com/a.b/..c/...") == "https://example.com/a.b/..c/...");
  CHECK(normal("https://example.com/?next=/../x") == "https://example.com/?next=/../x");
  CHECK(normal("https://1a.2b.c3/") == "https://1a.2b.c3/");
  CHECK(normal("https://1.2.3.com/") == "https://1.2.3.com/");
}

TEST_CASE("addresses are recognised and written in one form") {
  const auto v4 = parse_endpoint_url("http://127.0.0.1:8080/");
  REQUIRE(v4);
  CHECK(v4->host_is_address);
  CHECK(v4->host_port() == "127.0.0.1:8080");

  const auto v6 = parse_endpoint_url("http://[0:0:0:0:0:0:0:1]");
  REQUIRE(v6);
  CHECK(v6->host_is_address);
  CHECK(v6->host == "::1");
  CHECK(v6->host_port() == "[::1]:80");
  CHECK(v6->text == "http://[::1]/");

  CHECK(normal("https://[2001:DB8::0001]:443/x") == "https://[2001:db8::1]/x");
  CHECK(normal("https://[::FFFF:7f00:1]/") == "https://[::ffff:127.0.0.1]/");
  CHECK(normal("https://[::ffff:127.0.0.1]/") == "https://[::ffff:127.0.0.1]/");
  CHECK(normal("https://[64:ff9b::10.0.0.1]:8443") == "https://[64:ff9b::a00:1]:8443/");
}

TEST_CASE("every spelling of an address that some parser understands is refused") {
  for (const char* url :
       {"http://127.1/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f.1/", "http://0x7f000001/",
        "http://0X7F.0.0.1/", "http://127.0.0.0x1/", "http://127.0.0.01/", "http://127.0.0/",
        "http://127.0.0.1.1/", "http://256.0.0.1/", "http://0/", "http://0x/", "http://a.0x1/",
        "http://example.1/", "http://999999999999999999999/"}) {
    CAPTURE(url);
    CHECK(why(url) ==
          "the host looks like a number: write an IPv4 address as four decimal numbers, 192.0.2.1");
  }
  for (const char* url : {"http://127.0.0.1./",
                          "http://127%2e0%2e0%2e1/",
                          "http://%3127.0.0.1/",
                          "http://\xE2\x91\xA0\xE2\x91\xA1\xE2\x91\xA6.0.0.1/",
                          "http://\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.0.0.1/",
                          "http://127\xE3\x80\x82"
                          "0.0.1/",
                          "http:/127.0.0.1/",
                          "http:127.0.0.1/",
                          "http:///127.0.0.1/",
                          "http:////127.0.0.1/",
                          "http://good\\@127.0.0.1/",
                          "http://good.example\\127.0.0.1/",
                          "http://good@127.0.0.1/",
                          "http://good:pw@127.0.0.1/",
                          "http://@127.0.0.1/",
                          "http://127.0.0.1:80:80/",
                          "http://127.0.0.1 /",
                          "http://127.0.\t0.1/",
                          "http://127.0.0.1\n/",
                          "\thttp://127.0.0.1/",
                          " http://127.0.0.1/",
                          "http://127.0.0.1#@good.example/",
                          "http://[127.0.0.1]/",
                          "http://[::1%25lo]/",
                          "http://[fe80::1%eth0]/",
                          "http://[::1/",
                          "http://::1/",
                          "http://[::1]x/",
                          "http://[::1]:/",
                          "http://[]/",
                          "http://[[::1]]/",
                          "http://[v1.x]/",
                          "http://[::ffff:127.1]/",
                          "http://[::ffff:0177.0.0.1]/",
                          "http://[1::2::3]/",
                          "http://[12345::]/",
                          "http://[:::]/",
                          "http://[ ::1]/"}) {
    CAPTURE(url);
    CHECK_FALSE(why(url).empty());
  }
}

TEST_CASE("a refused URL is told why") {
  CHECK(why("") == "a URL begins with https:// (or http:// where policy allows it)");
  CHECK(why("ftp://example.com/") == "a URL begins with https:// (or http:// where policy allows it)");
  CHECK(why("file:///etc/passwd") == "a URL begins with https:// (or http:// where policy allows it)");
  CHECK(why("//example.com/") == "a URL begins with https:// (or http:// where policy allows it)");
  CHECK(why("example.com") == "a URL begins with https:// (or http:// where policy allows it)");
  CHECK(why("https:/example.com/") == "the scheme is followed by exactly two slashes");
  CHECK(why("https:///example.com/") == "the scheme is followed by exactly two slashes");
  CHECK(why("https://") == "the URL has no host");
  CHECK(why("https://:80/") == "the URL has no host");
  CHECK(why("https://?x") == "the URL has no host");
  CHECK(why("https://u:p@example.com/") ==
        "a URL has no user or password: use the endpoint's headers for authorization");
  CHECK(why("https://ex%61mple.com/") == "the host has no percent-encoding");
  CHECK(why("https://example.com\\x/") == "a URL has no backslashes");
  CHECK(why("https://example.com/a b") == "a URL has no spaces: write %20");
  CHECK(why("https://example.com/\r\nX: y") == "a URL has no control characters");
  CHECK(why("https://example.com/\x7f") == "a URL has no control characters");
  CHECK(why(std::string_view("https://example.com/\0", 21)) == "a URL has no control characters");
  CHECK(why("https://b\xC3\xBC"
            "cher.example/") == "a URL is ASCII: percent-encode the path, write the host in punycode (xn--)");
  CHECK(why("https://example.com/#top") == "an endpoint's URL has no fragment (#...)");
  CHECK(why("https://example.com/%") == "a percent sign in the path or query is followed by two hex digits");
  CHECK(why("https://example.com/%4") == "a percent sign in the path or query is followed by two hex digits");
  CHECK(why("https://example.com/?%zz") ==
        "a percent sign in the path or query is followed by two hex digits");
  CHECK(why("https://example.com/{x}") == "the path and query hold a character that must be percent-encoded");
  CHECK(why("https://example.com/a[]") == "the path and query hold a character that must be percent-encoded");
  CHECK(why("https://example.com/?a{}") ==
        "the path and query hold a character that must be percent-encoded");
  CHECK(why("https://example.com/?filter[type]=a&b[]=1?[").empty());
  CHECK(why("https://example.com?[").empty());
  CHECK(why("https://exa$mple.com/") == "the host has letters, digits, hyphens, underscores and dots only");
  CHECK(why("https://[fe80::1%25eth0]/") == "the IPv6 address has no zone id (%...)");
}

TEST_CASE("hosts follow the limits of the DNS") {
  const std::string label(63, 'a');
  CHECK(why("https://" + label + ".example/").empty());
  CHECK(why("https://a" + label + ".example/") == "a label of the host has over 63 characters");
  const std::string long_host = label + "." + label + "." + label + "." + std::string(61, 'a');
  REQUIRE(long_host.size() == 253);
  CHECK(why("https://" + long_host).empty());
  CHECK(why("https://" + long_host + "a") == "the host has over 253 characters");
  for (const char* url : {"https://example.com./", "https://.example.com/", "https://example..com/",
                          "https://./", "https://../"}) {
    CAPTURE(url);
    CHECK(why(url) == "the host has an empty label: no leading, trailing or doubled dots");
  }
  CHECK(why("https://-a.example/") == "a label of the host begins or ends with a hyphen");
  CHECK(why("https://a-.example/") == "a label of the host begins or ends with a hyphen");
}

TEST_CASE("ports are plain decimal numbers from 1 to 65535") {
  CHECK(why("https://example.com:1/").empty());
  CHECK(why("https://example.com:65535/").empty());
  for (const char* port :
       {"", "0", "65536", "99999", "123456", "080", "+80", "-80", "8o", "80 ", "0x50", "%38%30"}) {
    CAPTURE(port);
    CHECK_FALSE(why("https://example.com:" + std::string(port) + "/").empty());
  }
}

TEST_CASE("paths that some clients would shorten are refused") {
  for (const char* path :
       {"/.", "/..", "/a/../b", "/a/./b", "/a/..", "/%2e%2e/b", "/.%2E/b", "/a/%2e", "/..?x"}) {
    CAPTURE(path);
    CHECK(why("https://example.com" + std::string(path)) ==
          "the path has no segments . or ..: write the path that they lead to");
  }
}

TEST_CASE("a URL has at most 2048 characters") {
  const std::string start = "https://example.com/";
  CHECK(why(start + std::string(2048 - start.size(), 'a')).empty());
  CHECK(why(start + std::string(2049 - start.size(), 'a')) == "a URL has at most 2048 characters");
}

TEST_CASE("the normal form is its own normal form, and only plain bytes get into it") {
  const auto plain = rc::gen::elementOf(std::string("aZ09-._~/?=&"));
  const auto odd = rc::gen::elementOf(std::string(":/?@%2e[]!$()*+,;\\# \t\x80{}"));
  const auto part = rc::gen::container<std::string>(rc::gen::weightedOneOf<char>({{30, plain}, {1, odd}}));
  const auto scheme =
      rc::gen::element<std::string>("http://", "HTTPS://", "https:/", "http:///", "https://example.com",
                                    "http://[::1]", "http://127.0.0.1", "https://a.example:8443/");
  CHECK(rc::check([&] {
    const std::string text = *scheme + *part;
    const auto url = parse_endpoint_url(text);
    if (!url) return;
    const auto again = parse_endpoint_url(url->text);
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->text == url->text);
    RC_ASSERT(again->host == url->host);
    RC_ASSERT(again->port == url->port);
    RC_ASSERT(again->target == url->target);
    RC_ASSERT(url->text.ends_with(url->target));
    const std::string authority = url->text.substr(0, url->text.size() - url->target.size());
    RC_ASSERT(authority.find('@') == std::string::npos);
    RC_ASSERT(url->text.find_first_of("\\# \t{}\x80") == std::string::npos);
    RC_ASSERT(url->target.starts_with('/'));
  }));
}
