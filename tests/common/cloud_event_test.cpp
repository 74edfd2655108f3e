#include "common/cloud_event.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "common/json.h"

using namespace outboxd;

namespace {

using Faults = std::vector<std::string>;  // "name: detail"

ReportFault into(Faults& faults) {
  return [&faults](std::string_view name, const std::string& detail) {
    faults.push_back(std::string(name) + ": " + detail);
  };
}

struct Read {
  CloudEvent event;
  Faults faults;
  bool is_json = true;
};

Read structured(const std::string& text) {
  Read read;
  JsonScanner scanner(text);
  read.event = read_cloud_event(scanner, into(read.faults));
  read.is_json = scanner.finish();
  return read;
}

Read binary(const std::vector<HeaderField>& headers, std::string_view body = "") {
  Read read;
  read.event = read_binary_cloud_event(headers, body, into(read.faults));
  return read;
}

const std::string kRequired = R"("specversion":"1.0","id":"1","source":"/s","type":"a.b")";
const std::vector<HeaderField> kRequiredHeaders = {
    {"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "/s"}, {"ce-type", "a.b"}};

CloudEvent good(const std::string& members) {
  Read read = structured("{" + kRequired + "," + members + "}");
  REQUIRE(read.is_json);
  REQUIRE_MESSAGE(read.faults.empty(), (read.faults.empty() ? "" : read.faults.front()));
  return read.event;
}

// The only fault of an event with these members beside good ones.
std::string fault(const std::string& members) {
  const Read read = structured("{" + kRequired + "," + members + "}");
  REQUIRE(read.is_json);
  REQUIRE_MESSAGE(read.faults.size() == 1, members);
  return read.faults.front();
}

CloudEvent good_header(const std::string& name, const std::string& value) {
  auto headers = kRequiredHeaders;
  headers.push_back({name, value});
  Read read = binary(headers);
  REQUIRE_MESSAGE(read.faults.empty(), (read.faults.empty() ? "" : read.faults.front()));
  return read.event;
}

std::string header_fault(const std::string& name, const std::string& value) {
  auto headers = kRequiredHeaders;
  headers.push_back({name, value});
  const Read read = binary(headers);
  REQUIRE_MESSAGE(read.faults.size() == 1, name << ": " << value);
  return read.faults.front();
}

Event event_of(const CloudEvent& cloud_event) {
  Event event;
  event.type = *cloud_event.find("type");
  event.cloud_event = cloud_event.context();
  event.content_type = cloud_event.content_type;
  event.payload = cloud_event.data;
  return event;
}

}  // namespace

TEST_CASE("attributes and extensions are kept in one order, each with its type") {
  const CloudEvent event = good(
      R"("zone":"z\u00fc","time":"1969-12-31T23:59:60Z","count":-2147483648,"alive":true,"subject":"s","dataschema":"urn:x","empty":"","off":null)");
  CHECK(
      event.context() ==
      R"({"specversion":"1.0","id":"1","source":"/s","type":"a.b","subject":"s","time":"1969-12-31T23:59:60Z",)"
      R"("dataschema":"urn:x","alive":true,"count":-2147483648,"empty":"","zone":"zü"})");
  CHECK(*event.find("count") == "-2147483648");
  CHECK(event.find("off") == nullptr);
  CHECK(event.content_type == "application/json");
  CHECK(event.data == "null");
}

TEST_CASE("data keeps its bytes") {
  const std::string awkward = R"({ "z": 1.10, "a": 12345678901234567890, "z": 1e400 ,"s":"\u00e9"})";
  CHECK(good("\"data\": " + awkward + " ").data == awkward);
  CHECK(good(R"("data":"{\"a\":1}")").data == R"("{\"a\":1}")");  // a string is a JSON value, not a document
  for (const char* type : {"application/json", "text/JSON; charset=utf-8", "application/vnd.x+json"})
    CHECK(good("\"data\":[1.0],\"datacontenttype\":\"" + std::string(type) + '"').data == "[1.0]");
  const CloudEvent xml = good(R"("data":"<a b=\"ü\"/>","datacontenttype":"application/xml")");
  CHECK(xml.data == "<a b=\"ü\"/>");
  CHECK(xml.content_type == "application/xml");
  CHECK(good(R"("datacontenttype":"text/plain")").data.empty());
  const CloudEvent bytes = good(R"("data_base64":"AP8K")");
  CHECK(bytes.data == std::string("\0\xff\n", 3));
  CHECK(bytes.content_type == "application/octet-stream");
  CHECK(good(R"("data_base64":"WyAxXQ==","datacontenttype":"application/json")").data == "[ 1]");
}

TEST_CASE("data that is not what datacontenttype says is refused") {
  CHECK(fault(R"("data":{},"datacontenttype":"text/plain")").starts_with("data: must be a string of UTF-8"));
  CHECK(fault(R"("data":"x","datacontenttype":"text/plain; charset=latin1")").starts_with("data: must be"));
  CHECK(fault(R"("data_base64":"e3t9","datacontenttype":"application/json")").find("at byte 1, ") !=
        std::string::npos);
  CHECK(fault(R"("data_base64":"A*")") == "data_base64: must be a string of base64 (RFC 4648, section 4)");
  CHECK(fault(R"("data_base64":null)").starts_with("data_base64: must be a string"));
  CHECK(fault(R"("data":1,"data_base64":"AA==")") == "data_base64: cannot be given together with data");
  CHECK(fault(R"("data":1,"data":1)") == "data: appears more than once");
}

TEST_CASE("what the spec forbids is refused, with the attribute and the reason") {
  const auto starts = [](const std::string& members, const char* start) {
    CAPTURE(members);
    const std::string what = fault(members);
    CAPTURE(what);
    CHECK(what.starts_with(start));
  };
  starts(R"("x":{})", "x: must be a string, a whole number or a boolean; got an object");
  starts(R"("x":[])", "x: must be a string, a whole number or a boolean; got an array");
  for (const char* number : {"1.0", "1e2", "2147483648", "-2147483649", "12345678901234567890"})
    starts("\"x\":" + std::string(number), "x: must be a whole number");
  for (const char* name : {"X", "x_y", "x-y", "ü", "", "x y"})
    starts("\"" + std::string(name) + "\":1", (std::string(name) + ": is not an attribute's name").c_str());
  starts("\"" + std::string(65, 'x') + "\":1", std::string(65, 'x').c_str());
  starts(R"("x":1,"x":null)", "x: appears more than once");
  starts(R"("x":"\ud800")", "x: must be text: it holds a lone surrogate");
  for (const char* text :
       {R"(\u0000)", R"(\n)", R"(\u007f)", R"(\u0085)", R"(\ufffe)", R"(\ufdd0)", R"(\udbff\udfff)"})
    starts("\"x\":\"" + std::string(text) + '"', "x: must be text without control characters");
  starts(R"("subject":"")", "subject: must not be empty");
  starts(R"("subject":7)", "subject: must be a string; got 7");
  starts(R"("datacontenttype":true)", "datacontenttype: must be a string; got true");
  for (const char* time : {"yesterday", "2026-11-23", "2026-02-29T00:00:00Z", "2026-11-23T15:21:00",
                           "1969-13-01T00:00:00Z", "-001-01-01T00:00:00Z", "2026-11-23 15:21:00Z"})
    starts("\"time\":\"" + std::string(time) + '"', "time: must be a time");
  for (const char* schema : {"/relative", "a b:c", "1a:b", "%zz:x"})
    starts("\"dataschema\":\"" + std::string(schema) + '"', "dataschema: must be a URI with a scheme");
}

TEST_CASE("the required attributes must be there, and the version must be 1.0") {
  const Faults none = structured("{}").faults;
  CHECK(none ==
        Faults{"specversion: is required", "id: is required", "source: is required", "type: is required"});
  const auto with = [](const char* version, const char* id, const char* source) {
    return structured(std::string(R"({"type":"a","specversion":)") + version + ",\"id\":" + id +
                      ",\"source\":" + source + "}")
        .faults;
  };
  CHECK(with(R"("1.0")", R"("1")", R"("x")").empty());
  CHECK(with(R"("0.3")", R"("1")", R"("x")").front().starts_with("specversion: must be \"1.0\""));
  CHECK(with("1.0", R"("1")", R"("x")") == Faults{"specversion: must be a string; got 1.0"});
  CHECK(with(R"("1.0")", "null", R"("x")") == Faults{"id: is required"});
  CHECK(with(R"("1.0")", R"("")", R"("x")") == Faults{"id: must not be empty"});
  for (const char* source : {"/a/b", "https://e.com:8/a?b#c", "urn:uuid:1", "mailto:a@b.c", "1-555-123-4567",
                             "a%20b", "//[::1]/x", "?q", "#f", "."}) {
    CAPTURE(source);
    CHECK(with(R"("1.0")", R"("1")", ('"' + std::string(source) + '"').c_str()).empty());
  }
  for (const char* source : {"a b", "a%2", "a%zz", "<x>", "ü", "a#b#c", "1:2", ":", "a\\\\b"}) {
    CAPTURE(source);
    const Faults faults = with(R"("1.0")", R"("1")", ('"' + std::string(source) + '"').c_str());
    REQUIRE(faults.size() == 1);
    CHECK(faults.front().starts_with("source: must be a URI reference"));
  }
}

TEST_CASE("as many attributes, and as many bytes of them, as are documented") {
  std::string many;
  for (std::size_t i = 4; i < kMaxAttributes; ++i) many += "\"x" + std::to_string(i) + "\":1,";
  CHECK(good(many + "\"data\":1").attributes.size() == kMaxAttributes);
  CHECK(fault(many + R"("more":1,"evenmore":1)") == ": are more than 100 attributes");
  const std::string long_text(kMaxAttributeBytes - good(R"("x":"")").context().size(), 'y');
  CHECK(good("\"x\":\"" + long_text + '"').context().size() == kMaxAttributeBytes);
  CHECK(fault("\"x\":\"" + long_text + "y\"") == ": take 65537 bytes, more than 65536");
}

TEST_CASE("binary mode: headers are attributes, the body is the data") {
  auto headers = kRequiredHeaders;
  headers.insert(headers.end(),
                 {{"CE-Subject", "s"}, {"Content-Type", "application/json; a=b"}, {"X-Other", "1"}});
  const Read read = binary(headers, "{ \"n\":1.10 }");
  CHECK(read.faults.empty());
  CHECK(read.event.context() == R"({"specversion":"1.0","id":"1","source":"/s","type":"a.b","subject":"s"})");
  CHECK(read.event.content_type == "application/json; a=b");
  CHECK(read.event.data == "{ \"n\":1.10 }");
  CHECK(binary(kRequiredHeaders).event.data == "null");
  CHECK(binary(kRequiredHeaders, "x").event.content_type == "application/octet-stream");
  headers[5].value = "text/plain";
  CHECK(binary(headers).event.data.empty());
}

TEST_CASE("binary mode: values are unquoted, then percent-decoded once") {
  const auto value = [](const std::string& header) { return *good_header("ce-x", header).find("x"); };
  CHECK(value("Euro%20%E2%82%AC%20%F0%9F%98%80") == "Euro € 😀");  // the spec's own example
  CHECK(value("%e2%82%ac") == "€");
  CHECK(value("%2541") == "%41");
  CHECK(value(R"("a b\"c\\" d"e f"%20)") == R"(a b"c\ de f )");
  CHECK(value("").empty());
  CHECK(value("5") == "5");
}

TEST_CASE("binary mode: headers that cannot be attributes are refused") {
  for (const char* value : {"%", "%4", "%zz", "%C0%A0", "%FF", "\xC3\xBC", "\"open", "\"x\\", "a\tb"})
    CHECK(header_fault("ce-x", value).starts_with("x: must be printable ASCII"));
  CHECK(header_fault("ce-x", "%0A").starts_with("x: must be text without control"));
  CHECK(header_fault("ce-time", "now").starts_with("time: must be a time"));
  CHECK(header_fault("ce-datacontenttype", "a/b").starts_with("datacontenttype: takes the place"));
  CHECK(header_fault("ce-data", "1").starts_with("data: is not an attribute"));
  CHECK(header_fault("ce-x-y", "1").starts_with("x-y: is not an attribute's name"));
  CHECK(header_fault("CE-ID", "2") == "id: appears more than once");
  CHECK(binary({{"ce-id", "1"}}).faults.size() == 3);
  CHECK(is_cloud_event_header("Ce-Id"));
  CHECK_FALSE(is_cloud_event_header("ce-"));
  CHECK_FALSE(is_cloud_event_header("cent"));
}

TEST_CASE("an event leaves with the attributes it came with, JSON spliced in, other bytes as base64") {
  const auto out = [](const std::string& members) { return write_cloud_event(event_of(good(members))); };
  CHECK(out(R"("zone":7,"data":{"n": 1.10})") ==
        "{" + kRequired + R"(,"zone":7,"datacontenttype":"application/json","data":{"n": 1.10}})");
  CHECK(out(R"("data":"<a/>","datacontenttype":"text/xml")") ==
        "{" + kRequired + R"(,"datacontenttype":"text/xml","data_base64":"PGEvPg=="})");
  CHECK(out(R"("data":[1],"datacontenttype":"text/json")").ends_with(R"("data":[1]})"));
}

TEST_CASE("an event that came as something else leaves with attributes of outboxd's own") {
  Event event;
  event.type = "order.paid";
  event.tenant = "acme";
  event.payload = "1.0";
  for (const char* kept : {"", "{}", "[1]", "{\"a\":1}x", "{\"a\":}"}) {
    if (*kept != '\0') event.cloud_event = kept;
    const Json written = Json::parse(write_cloud_event(event));
    CHECK(written["id"] == event.id.to_string());
    CHECK(written["source"] == "/outboxd/acme");
    CHECK(written["time"] == "1970-01-01T00:00:00.000Z");
    CHECK(written.size() == 7);
  }
}

TEST_CASE("what is written is read as what it was") {
  const auto text =
      rc::gen::map(rc::gen::container<std::string>(rc::gen::elementOf(std::string("az09 %\"\\/:#é€"))),
                   [](const std::string& t) { return valid_utf8(t); });
  CHECK(rc::check([&] {
    std::string members = kRequired;
    for (int i = 0; i < 3; ++i) {
      const std::string value = *rc::gen::oneOf(
          rc::gen::map(text, [](const std::string& t) { return dump(Json(t)); }),
          rc::gen::map(rc::gen::arbitrary<std::int32_t>(), [](std::int32_t n) { return std::to_string(n); }),
          rc::gen::element<std::string>("true", "false"));
      members += ",\"x" + std::to_string(i) + "\":" + value;
    }
    const bool json = *rc::gen::arbitrary<bool>();
    const std::string payload = *text;
    members += json ? ",\"data\": " + dump(Json(payload))
                    : ",\"datacontenttype\":\"text/plain\",\"data\":" + dump(Json(payload));
    const Read came = structured("{" + members + "}");
    RC_ASSERT(came.faults.empty());
    const Read again = structured(write_cloud_event(event_of(came.event)));
    RC_ASSERT(again.faults.empty() && again.is_json);
    RC_ASSERT(again.event.context() == came.event.context());
    RC_ASSERT(again.event.data == came.event.data);
    RC_ASSERT(again.event.content_type == came.event.content_type);
  }));
}

TEST_CASE("binary mode: any text comes through, encoded as the spec says") {
  const auto piece = rc::gen::element<std::string>("a", " ", "\"", "%", "\\", "é", "€", "😀", "%41", ":");
  CHECK(rc::check([&] {
    std::string text;
    for (const std::string& one : *rc::gen::container<std::vector<std::string>>(piece)) text += one;
    std::string header;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      constexpr const char* kHex = "0123456789ABCDEF";
      if (byte > 0x20 && byte < 0x7F && c != '"' && c != '%') {
        header += c;
      } else {
        header += {'%', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
    RC_ASSERT(*good_header("ce-x", header).find("x") == text);
  }));
}
