// The bytes of a request's head, which are also what subscribers' servers have to understand.
#include "outbound/request_writer.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "common/text.h"
#include "outbound/request_headers.h"

namespace outboxd {
namespace {

EndpointUrl url(std::string_view text) {
  return parse_endpoint_url(text).value();
}

RequestHeaders headers_of(const std::vector<HeaderField>& fields) {
  RequestHeaders headers;
  for (const HeaderField& field : fields) headers.add(field.name, field.value);
  return headers;
}

std::string head(std::string_view text, const std::vector<HeaderField>& common,
                 const std::vector<HeaderField>& headers = {}, std::size_t body_bytes = 0) {
  std::string out;
  append_request_head(out, request_opening(url(text)), headers_of(common), headers_of(headers), body_bytes);
  return out;
}

// As strictly as RFC 9112 lets a server read it.
struct Parsed {
  std::string request_line;
  std::vector<HeaderField> fields;
};

Parsed parse(std::string_view text) {
  Parsed parsed;
  REQUIRE(text.ends_with("\r\n\r\n"));
  for (bool first = true;; first = false) {
    const std::size_t end = text.find("\r\n");
    REQUIRE(end != std::string_view::npos);
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    REQUIRE(line.find_first_of("\r\n") == std::string_view::npos);
    if (line.empty()) break;
    if (first) {
      parsed.request_line = line;
      continue;
    }
    const std::size_t colon = line.find(':');
    REQUIRE(is_token(line.substr(0, colon)));
    parsed.fields.push_back(
        {std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1), kHttpBlanks))});
  }
  CHECK(text.empty());
  return parsed;
}

TEST_CASE("a head has the request line, Host, Accept, our fields in their order, and the length") {
  CHECK(head("https://example.com/hook?a=1&b=%20",
             {{"content-type", "application/json"}, {"webhook-id", "evt_1"}}, {{"Authorization", "Bearer x"}},
             42) ==
        "POST /hook?a=1&b=%20 HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n"
        "content-type: application/json\r\nwebhook-id: evt_1\r\nAuthorization: Bearer x\r\n"
        "Content-Length: 42\r\n\r\n");
  CHECK(head("http://example.com", {}) ==
        "POST / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n");
  CHECK(head("http://a.test", {}, {}, static_cast<std::size_t>(-1))
            .ends_with("Content-Length: 18446744073709551615\r\n\r\n"));
}

TEST_CASE("Host is the URL's host, with its port unless that is the scheme's own") {
  const std::pair<std::string, std::string> cases[] = {
      {"https://Example.COM/", "example.com"},        {"https://example.com:443/", "example.com"},
      {"https://example.com:80/", "example.com:80"},  {"http://example.com:80/", "example.com"},
      {"http://example.com:443/", "example.com:443"}, {"http://192.0.2.1:8080/", "192.0.2.1:8080"},
      {"https://[2001:DB8::1]/", "[2001:db8::1]"},    {"https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"}};
  for (const auto& [text, host] : cases) {
    const auto& shown = text;
    CAPTURE(shown);
    const std::string rest = std::string(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
    CHECK(request_opening(url(text)) == std::string("POST /").append(rest));
    CHECK(request_opening(url(text), TargetForm::kAbsolute) ==
          std::string("POST ").append(url(text).text).append(rest));
  }
}

TEST_CASE("a query without a path is asked of the root") {
  CHECK(request_opening(url("http://a.test?x=1")).starts_with("POST /?x=1 HTTP/1.1\r\n"));
}

TEST_CASE("what a proxy is told is its credentials and where to") {
  const std::string basic = basic_authorization("user:pass word");
  CHECK(basic == "Basic dXNlcjpwYXNzIHdvcmQ=");
  CHECK(basic_authorization("").empty());
  CHECK(request_opening(url("http://a.test:81/x?y"), TargetForm::kAbsolute, basic) ==
        "POST http://a.test:81/x?y HTTP/1.1\r\nHost: a.test:81\r\n"
        "Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n");
  std::string out = "before";
  append_connect_head(out, url("https://[::1]/").host_port(), basic);
  CHECK(out ==
        "beforeCONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"
        "Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n\r\n");
  out.clear();
  append_connect_head(out, "a.test:443");
  CHECK(out == "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
}

TEST_CASE("a blank value is sent as nothing, any other as it is") {
  const RequestHeaders headers = headers_of({{"X-Empty", ""}, {"X-Blank", " \t"}, {"X-Kept", " a "}});
  CHECK(headers.lines() == "X-Empty:\r\nX-Blank:\r\nX-Kept:  a \r\n");
  CHECK(headers.fields() == std::vector<HeaderField>{{"X-Empty", ""}, {"X-Blank", ""}, {"X-Kept", " a "}});
  CHECK(RequestHeaders().fields().empty());
}

TEST_CASE("an Accept of the endpoint's replaces ours") {
  for (const bool common : {false, true}) {
    const std::vector<HeaderField> accept = {{"ACCEPT", "text/plain"}};
    const std::string text = head("http://a.test/", common ? accept : std::vector<HeaderField>(),
                                  common ? std::vector<HeaderField>() : accept);
    CHECK(text == "POST / HTTP/1.1\r\nHost: a.test\r\nACCEPT: text/plain\r\nContent-Length: 0\r\n\r\n");
  }
}

TEST_CASE("a head is appended, and its memory is asked for once") {
  std::string out = "before";
  const RequestHeaders fields =
      headers_of(std::vector<HeaderField>(10, {"a-header-of-usual-length", std::string(60, 'v')}));
  const std::string opening = request_opening(url("https://example.com/hook"));
  append_request_head(out, opening, fields, fields, 1234);
  CHECK(out.starts_with("beforePOST /hook"));
  CHECK(out.capacity() < out.size() + 16);  // nothing grew by doubling
}

TEST_CASE("whatever headers may be sent, a strict server reads the same ones") {
  CHECK(rc::check([] {
    const auto text =
        rc::gen::container<std::string>(rc::gen::elementOf(std::string("aZ9-_ \t:;,\"\\/=\xC3\xA9\r\n")));
    std::vector<HeaderField> kept;
    const auto fields = *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(rc::gen::pair(
        rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcdefgh-_~ :\r"))), text));
    RequestHeaders headers;
    for (const auto& [name, value] : fields) {
      RequestHeaders one;
      one.add(name, value);
      if (one.refusal().empty()) kept.push_back({name, value});
      RC_ASSERT(one.lines().empty() != one.refusal().empty());
      headers.add(name, value);
    }
    std::string out;
    append_request_head(out, request_opening(url("https://example.com/hook")), {}, headers, 7);
    const Parsed parsed = parse(out);
    RC_ASSERT(parsed.request_line == "POST /hook HTTP/1.1");
    RC_ASSERT(parsed.fields.size() == kept.size() + 3);
    RC_ASSERT(parsed.fields[0] == HeaderField({"Host", "example.com"}));
    RC_ASSERT(parsed.fields[1] == HeaderField({"Accept", "*/*"}));
    for (std::size_t i = 0; i < kept.size(); ++i) {
      RC_ASSERT(parsed.fields[i + 2].name == kept[i].name);
      RC_ASSERT(parsed.fields[i + 2].value == trim(kept[i].value, kHttpBlanks));
    }
    RC_ASSERT(parsed.fields.back() == HeaderField({"Content-Length", "7"}));
  }));
}

}  // namespace
}  // namespace outboxd
