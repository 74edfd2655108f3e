#include "common/body_template.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

using namespace outboxd;
using Reference = nlohmann::json;

namespace {

constexpr std::size_t kPlenty = 1 << 20;

BodyTemplate parsed(const std::string& text) {
  auto body = BodyTemplate::parse(text);
  if (!body) FAIL(text << ": " << body.error());
  return std::move(*body);
}

std::string rendered(const std::string& text, const std::string& payload) {
  const auto tree = JsonTree::parse(payload);
  REQUIRE(tree);
  return parsed(text).render(&*tree, kPlenty).value();
}

std::string refused(const std::string& text) {
  const auto body = BodyTemplate::parse(text);
  CAPTURE(text);
  CHECK_FALSE(body);
  return body ? "" : body.error();
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string placeholders(std::size_t count) {
  return "[" + repeated("{{/a}},", count - 1) + "{{/a}}]";
}

}  // namespace

TEST_CASE("a placeholder that stands alone is the value's JSON, byte for byte") {
  CHECK(rendered(R"({"n": {{/n}}})", R"({"n": 1.10})") == R"({"n": 1.10})");
  CHECK(rendered("[{{/n}}]", R"({"n": 12345678901234567890})") == "[12345678901234567890]");
  CHECK(rendered("[{{/n}}]", R"({"n": 1e400})") == "[1e400]");
  CHECK(rendered("[{{/o}}]", "{\"o\": { \"b\" : [1,\t2] , \"b\": 3 } }") ==
        "[{ \"b\" : [1,\t2] , \"b\": 3 }]");
  CHECK(rendered("[{{/s}}]", R"({"s": "\u00e4\/\ud800"})") == R"(["\u00e4\/\ud800"])");
  CHECK(rendered("{{}}", R"({"a": 1})") == R"({"a": 1})");
  CHECK(rendered("{{}}", "17") == "17");
  CHECK(rendered(" { \"all\" : {{}} } ", "[true]") == " { \"all\" : [true] } ");
  CHECK(rendered(R"({{/a/1/b~1c}})", R"({"a": [0, {"b/c": false}]})") == "false");
}

TEST_CASE("in a string a placeholder is the value's text, escaped where JSON asks for it") {
  const std::string payload =
      R"({"id": 42, "name": "Ann \"A\" \\ \u00e4\n\u0001", "list": ["x", 1.10], "no": null, "yes": true})";
  const auto text = [&](const std::string& body) {
    return Reference::parse(rendered(body, payload)).get<std::string>();
  };
  CHECK(text(R"("Order {{/id}} of {{/name}}")") == "Order 42 of Ann \"A\" \\ \xC3\xA4\n\x01");
  CHECK(text(R"("{{/name}}{{/name}}")") ==
        "Ann \"A\" \\ \xC3\xA4\n\x01"
        "Ann \"A\" \\ \xC3\xA4\n\x01");
  CHECK(text(R"("{{/list}}")") == R"(["x", 1.10])");
  CHECK(text(R"("{{/yes}}, {{/no}}, {{/list/1}}")") == "true, null, 1.10");
  CHECK(text(R"("\"{{/id}}\\{{/id}}")") == "\"42\\42");
  CHECK(text(R"("{{}}")") == payload);
}

TEST_CASE("a member's name may have placeholders, too") {
  CHECK(Reference::parse(rendered(R"({"{{/k}}": {{/v}}, "x-{{/k}}": 1})", R"({"k": "a\"b", "v": 2})")) ==
        Reference{{"a\"b", 2}, {"x-a\"b", 1}});
}

TEST_CASE("what is not there is null, alone and in a string") {
  CHECK(rendered(R"({"a": {{/b}}, "t": "is {{/b}}"})", R"({"a": 1})") == R"({"a": null, "t": "is null"})");
  CHECK(rendered("[{{/a/0/b}}, {{/a/1}}, {{/a/00}}, {{/a/-}}]", R"({"a": [1]})") ==
        "[null, null, null, null]");
  CHECK(rendered("{{/a}}", "17") == "null");
}

TEST_CASE("of a payload that is no JSON nothing is there") {
  CHECK(parsed(R"({"all": {{}}, "t": "{{/a}}"})").render(nullptr, kPlenty) ==
        R"({"all": null, "t": "null"})");
}

TEST_CASE("a string without a UTF-8 form does not make what is no JSON of a body") {
  const std::string body = rendered(R"({"t": "<{{/s}}>"})", R"({"s": "a\ud800b"})");
  CHECK(is_json(body));
}

TEST_CASE("braces that mean themselves are escaped, and single ones need nothing") {
  CHECK(Reference::parse(rendered(R"("\u007b\u007b/a}}")", R"({"a": 1})")) == "{{/a}}");
  CHECK(rendered(R"({"a":{"b":{"c":1}}})", "0") == R"({"a":{"b":{"c":1}}})");
  CHECK(rendered(R"(["{", "}", "}}", "a{b"])", "0") == R"(["{", "}", "}}", "a{b"])");
}

TEST_CASE("the JSON of a value is not read for placeholders again") {
  const std::string payload = R"({"s": "{{/secret}}", "secret": "hush"})";
  CHECK(Reference::parse(rendered(R"(["{{/s}}", {{/s}}])", payload)) ==
        Reference{"{{/secret}}", "{{/secret}}"});
}

TEST_CASE("a body that grows too large is none") {
  const std::string payload = R"({"a": ")" + std::string(1000, 'x') + "\"}";
  const auto tree = JsonTree::parse(payload);
  const BodyTemplate body = parsed(R"(["{{/a}}", {{/a}}])");
  const std::size_t size = body.render(&*tree, kPlenty)->size();
  CHECK(size == 2008);
  CHECK(body.render(&*tree, size));
  CHECK_FALSE(body.render(&*tree, size - 1));
  CHECK_FALSE(body.render(&*tree, 0));
}

TEST_CASE("a template is kept as it was given") {
  const std::string text = " {\"a\" : {{/a}} }\n";
  CHECK(parsed(text).text() == text);
  CHECK(parsed(text) == parsed(text));
  CHECK_FALSE(parsed(text) == parsed("{{}}"));
}

TEST_CASE("what would make a body that is no JSON is refused, with what is wrong") {
  for (const char* const text : {"",
                                 " ",
                                 "{",
                                 R"({"a": })",
                                 R"({"a": {{/a}})",
                                 R"({"a": {{/a}}}})",
                                 R"({{{/a}}: 1})",
                                 "{{/a}} {{/b}}",
                                 "{{/a}}{{/b}}",
                                 "1 {{/a}}",
                                 "-{{/a}}",
                                 "{{/a}}0",
                                 R"({"a": 01})",
                                 R"(["a" {{/b}}])",
                                 "text {{/a}}",
                                 "'{{/a}}'",
                                 R"("{{/a}}"x)",
                                 R"("\u00{{/a}}")",
                                 "\"\n{{/a}}\"",
                                 "\"\xff{{/a}}\"",
                                 "\xEF\xBB\xBF{{/a}}",
                                 "[{{/a}},]",
                                 "// {{/a}}\n1",
                                 R"("\{{/a}}")",
                                 R"("\u{{/a}}")"}) {
    CHECK_FALSE(refused(text).empty());
  }
  CHECK_FALSE(refused(std::string("{{/a}}\0", 7)).empty());
  CHECK_FALSE(
      refused(repeated("[", kMaxJsonDepth + 1) + "{{/a}}" + repeated("]", kMaxJsonDepth + 1)).empty());
}

TEST_CASE("a placeholder that is not closed, or no pointer, is refused") {
  for (const char* const text : {"{{", "{{/a", R"({"a": {{/a})", R"("{{/a")", R"(["{{/a}", 1])", R"("{{")",
                                 R"("{{/a} }")", "{{a}}", R"("{{a}}")", "{{ /a }}", "{{ }}", "{{/~}}",
                                 "{{/a~2}}", "{{#each /a}}", "{{.a}}", "{{$.a}}", "{{\"a\"}}", "{{a/b}}"}) {
    CHECK_FALSE(refused(text).empty());
  }
}

TEST_CASE("a template has bounds") {
  CHECK(BodyTemplate::parse(placeholders(BodyTemplate::kMaxPlaceholders)));
  CHECK(refused(placeholders(BodyTemplate::kMaxPlaceholders + 1)).find("64") != std::string::npos);
  CHECK(BodyTemplate::parse("\"" + std::string(BodyTemplate::kMaxText - 2, 'x') + "\""));
  CHECK_FALSE(refused("\"" + std::string(BodyTemplate::kMaxText - 1, 'x') + "\"").empty());
  CHECK_FALSE(refused(std::string(1 << 22, '{')).empty());
}

namespace {

// Makes a template of random parts and, beside it, the value that the body must have.
class Making {
 public:
  explicit Making(const Reference& payload) : payload_(payload) {}

  Reference value(std::string& text, int depth) {
    space(text);
    Reference made = inner_value(text, depth);
    space(text);
    return made;
  }

 private:
  static int draw(int end) { return *rc::gen::inRange(0, end); }

  static void space(std::string& text) {
    static constexpr const char* kSpaces[] = {"", "", "", " ", "\n", "\t\r "};
    text += kSpaces[draw(6)];
  }

  Reference inner_value(std::string& text, int depth) {
    switch (draw(depth > 2 ? 3 : 5)) {
      case 0: {
        static const std::string kPlain[] = {"null", "true", "0", "-1.5e3", "\"\"", "{}", "[]"};
        const std::string& plain = kPlain[draw(7)];
        text += plain;
        return Reference::parse(plain);
      }
      case 1:
        return string(text, "");
      case 2:
        return placeholder(text);
      case 3:
        return array(text, depth);
      default:
        return object(text, depth);
    }
  }

  Reference array(std::string& text, int depth) {
    Reference made = Reference::array();
    text += "[";
    for (int i = draw(4); i > 0; --i) {
      made.push_back(value(text, depth + 1));
      if (i > 1) text += ",";
    }
    text += "]";
    return made;
  }

  // Names begin with a number of their own, so that no two are alike, whatever the placeholders bring.
  Reference object(std::string& text, int depth) {
    Reference made = Reference::object();
    text += "{";
    for (int i = draw(4); i > 0; --i) {
      const Reference name = string(text, std::to_string(i) + ":");
      text += ":";
      made[name.get<std::string>()] = value(text, depth + 1);
      if (i > 1) text += ",";
    }
    text += "}";
    return made;
  }

  Reference string(std::string& text, const std::string& prefix) {
    // As it is written, and what it means.
    static const std::pair<std::string, std::string> kPieces[] = {{"a", "a"},
                                                                  {"\xC3\xA4", "\xC3\xA4"},
                                                                  {"\\n", "\n"},
                                                                  {"\\\"", "\""},
                                                                  {"\\\\", "\\"},
                                                                  {"\\u00e4", "\xC3\xA4"},
                                                                  {"{", "{"},
                                                                  {"}}", "}}"},
                                                                  {"\\u007b\\u007b", "{{"}};
    std::string made = prefix;
    text += "\"" + prefix;
    for (int i = draw(5); i > 0; --i) {
      if (draw(2) == 0) {
        const auto& [written, meant] = kPieces[draw(9)];
        if (written == "{" && i > 1) continue;  // the next piece could make `{{` of it
        text += written;
        made += meant;
      } else {
        const Reference found = placeholder(text);
        made += found.is_string() ? found.get<std::string>() : found.dump();
      }
    }
    text += "\"";
    return made;
  }

  Reference placeholder(std::string& text) {
    static const char* const kSteps[] = {"a", "b", "a~1b", "~0", "", "0", "1", "00"};
    std::string pointer;
    for (int i = draw(4); i > 0; --i) pointer += std::string("/") + kSteps[draw(8)];
    text += "{{" + pointer + "}}";
    return look(pointer);
  }

  Reference look(const std::string& pointer) const {
    try {
      return payload_.at(Reference::json_pointer(pointer));
    } catch (const Reference::exception&) {
      return nullptr;
    }
  }

  const Reference& payload_;
};

Reference some_payload(int depth = 0) {
  static const char* const kNames[] = {"a", "b", "a/b", "~", "", "0"};
  static const char* const kLeaves[] = {
      "null", "true",       "-7",           "1.25",           "12345678901234567890",
      "\"\"", "\"{{/a}}\"", "\"\\\"\\\\\"", "\"\\n\\u0001\"", "\"\\u00e4\\u20ac\"",
      "[]"};
  const auto draw = [](int end) { return *rc::gen::inRange(0, end); };
  const int kind = depth > 3 ? 0 : draw(3);
  if (kind == 0) return Reference::parse(kLeaves[draw(11)]);
  Reference made = kind == 1 ? Reference::object() : Reference::array();
  for (int i = draw(5); i > 0; --i) {
    if (kind == 1) {
      made[kNames[draw(6)]] = some_payload(depth + 1);
    } else {
      made.push_back(some_payload(depth + 1));
    }
  }
  return made;
}

}  // namespace

TEST_CASE("whatever the template and the payload, the body is what another evaluation makes of them") {
  CHECK(rc::check([] {
    const Reference payload = some_payload();
    const std::string payload_text = payload.dump();
    std::string text;
    const Reference expected = Making(payload).value(text, 0);
    const auto body = BodyTemplate::parse(text);
    if (!body) RC_FAIL(text + ": " + body.error());
    const auto tree = JsonTree::parse(payload_text);
    RC_ASSERT(tree.has_value());
    const auto made = body->render(&*tree, kPlenty);
    RC_ASSERT(made.has_value());
    RC_ASSERT(is_json(*made));
    RC_ASSERT(Reference::parse(*made) == expected);
  }));
}

TEST_CASE("whatever the text, it is refused, or makes JSON of every payload") {
  CHECK(rc::check([] {
    static const char* const kPieces[] = {"{{",   "}}",      "{",  "}",      "/a",   "~",    "\"",
                                          "\\",   "\\u007b", "[",  "]",      ",",    ":",    "1",
                                          "null", " ",       "\n", "{{/a}}", "{{}}", "\"a\""};
    std::string text;
    for (int i = *rc::gen::inRange(0, 9); i > 0; --i) text += kPieces[*rc::gen::inRange(0, 20)];
    const auto body = BodyTemplate::parse(text);
    if (!body) {
      RC_ASSERT_FALSE(body.error().empty());
      return;
    }
    for (const char* const payload :
         {"null", R"({"a": "\"}}{{/a}}"})", R"({"a": [1e400, {"": "\u0000"}]})", "\"x\""}) {
      const auto tree = JsonTree::parse(payload);
      RC_ASSERT(is_json(body->render(&*tree, kPlenty).value()));
    }
    RC_ASSERT(is_json(body->render(nullptr, kPlenty).value()));
  }));
}
