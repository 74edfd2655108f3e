#include "common/event.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace outboxd;

TEST_CASE("a media type of JSON is known by its essence, whatever its case and parameters") {
  for (const char* json : {"application/json", "Application/JSON", "application/json; charset=utf-8",
                           "application/json ;a=b", "application/json\t", "application/vnd.api+json",
                           "application/cloudevents+JSON;v=1", "image/svg+json"}) {
    CAPTURE(json);
    CHECK(is_json_type(json));
  }
  for (const char* other :
       {"", "text/plain", "application/jsonl", "application/x-ndjson", "application/xjson", "text/json",
        "text/plain; a=application/json", "text/plain;+json", "application/json+xml"}) {
    CAPTURE(other);
    CHECK_FALSE(is_json_type(other));
  }
}

TEST_CASE("event types are dot-separated segments") {
  for (const char* good : {"a", "order.paid", "A-1_b.C", "outboxd.delivery.dead", "_", "-"}) {
    CAPTURE(good);
    CHECK(is_event_type(good));
    CHECK(is_type_pattern(good));
  }
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a b", "a/b", "order.*", "a\n", "\xC3\xA9", "a:b"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_event_type(bad));
  }
  CHECK(is_event_type(std::string(128, 'a')));
  CHECK_FALSE(is_event_type(std::string(129, 'a')));
  CHECK_FALSE(is_event_type(std::string_view("a\0b", 3)));
}

TEST_CASE("a wildcard is the whole last segment of a pattern") {
  for (const char* good : {"*", "**", "order.*", "order.**", "a.b.**"}) {
    CAPTURE(good);
    CHECK(is_type_pattern(good));
  }
  for (const char* bad : {"", "***", "order*", "order.***", "*.paid", "**.paid", "a.*.b", ".*", ".**",
                          "order..*", "a.*b", "*.*"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_type_pattern(bad));
  }
  CHECK(is_type_pattern(std::string(126, 'a') + ".*"));
  CHECK_FALSE(is_type_pattern(std::string(127, 'a') + ".*"));
}

TEST_CASE("* stands for one segment and ** for one or more") {
  CHECK(type_matches("order.paid", "order.paid"));
  CHECK_FALSE(type_matches("order.paid", "order.paid.late"));
  CHECK_FALSE(type_matches("order.paid", "order"));
  CHECK_FALSE(type_matches("order.paid", "Order.paid"));

  CHECK(type_matches("order.*", "order.paid"));
  CHECK_FALSE(type_matches("order.*", "order"));
  CHECK_FALSE(type_matches("order.*", "order.paid.late"));
  CHECK_FALSE(type_matches("order.*", "orders.paid"));

  CHECK(type_matches("order.**", "order.paid"));
  CHECK(type_matches("order.**", "order.paid.late"));
  CHECK_FALSE(type_matches("order.**", "order"));
  CHECK_FALSE(type_matches("order.**", "orders.paid"));

  CHECK(type_matches("*", "order"));
  CHECK_FALSE(type_matches("*", "order.paid"));
  CHECK(type_matches("**", "order"));
  CHECK(type_matches("**", "order.paid"));
}

TEST_CASE("tenants are short plain names, or empty") {
  CHECK(is_tenant(""));
  CHECK(is_tenant("_ops"));
  CHECK(is_tenant("acme:eu-1.test_2"));
  CHECK(is_tenant(std::string(128, 't')));
  for (const std::string& bad : {std::string(129, 't'), std::string("a b"), std::string("a/b"),
                                 std::string("\xC3\xA9"), std::string("a\0b", 3)}) {
    CAPTURE(bad);
    CHECK_FALSE(is_tenant(bad));
  }
}

TEST_CASE("headers that subscribers use may be sent") {
  CHECK_FALSE(why_header_refused("Authorization", "Bearer abc.def"));
  CHECK_FALSE(why_header_refused("X-Api-Key", "a\tb c"));
  CHECK_FALSE(why_header_refused("Cookie", "a=b; c=d"));
  CHECK_FALSE(why_header_refused("x!#$%&'*+-.^_`|~9", "~"));
  CHECK_FALSE(why_header_refused(std::string(128, 'x'), std::string(4096, 'v')));
}

TEST_CASE("headers of the connection and of outboxd itself may not be sent, in any case") {
  for (const char* name : {"Connection",
                           "keep-alive",
                           "Proxy-Authorization",
                           "proxy-connection",
                           "TE",
                           "Trailer",
                           "Transfer-Encoding",
                           "upgrade",
                           "Host",
                           "Content-Length",
                           "Content-Type",
                           "Content-Encoding",
                           "Expect",
                           "User-Agent",
                           "Accept-Encoding",
                           "Webhook-Id",
                           "webhook-signature",
                           "outboxd-attempt",
                           "Traceparent",
                           "tracestate",
                           "HTTP2-Settings"}) {
    CAPTURE(name);
    CHECK(why_header_refused(name, "x"));
  }
}

TEST_CASE("a header's name is a token of bounded length") {
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a:"),
                                  std::string(":authority"), std::string("a\r\nb"), std::string("a\0b", 3),
                                  std::string("\xC3\xA9"), std::string("(a)"), std::string(129, 'x')}) {
    CAPTURE(name);
    CHECK(why_header_refused(name, "x"));
  }
}

TEST_CASE("a header's value cannot break the request apart") {
  for (const std::string& value :
       {std::string(), std::string("a\r\nb: c"), std::string("a\nb"), std::string("a\rb"),
        std::string("a\0b", 3), std::string("\x7f"), std::string("\x1b"), std::string("\xC3\xA9"),
        std::string(" a"), std::string("a\t"), std::string(4097, 'v')}) {
    CAPTURE(value);
    CHECK(why_header_refused("x-a", value));
  }
}

TEST_CASE("no accepted header holds a byte that HTTP/1.1 does not allow") {
  CHECK(rc::check([](const std::string& name, const std::string& value) {
    if (why_header_refused(name, value)) return;
    for (const char c : name) RC_ASSERT(c > ' ' && c < 0x7F && c != ':');
    for (const char c : value) RC_ASSERT(c == '\t' || (c >= ' ' && c < 0x7F));
  }));
}
