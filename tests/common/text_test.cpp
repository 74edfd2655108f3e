#include "common/text.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>

using namespace outboxd;

TEST_CASE("base64 is written as RFC 4648 section 10 shows") {
  CHECK(base64_encode("") == "");
  CHECK(base64_encode("f") == "Zg==");
  CHECK(base64_encode("fo") == "Zm8=");
  CHECK(base64_encode("foo") == "Zm9v");
  CHECK(base64_encode("foob") == "Zm9vYg==");
  CHECK(base64_encode("fooba") == "Zm9vYmE=");
  CHECK(base64_encode("foobar") == "Zm9vYmFy");
  CHECK(base64_encode("\xFB\xFF\xFE") == "+//+");
}

TEST_CASE("base64 is read with correct padding or none") {
  CHECK(base64_decode("") == "");
  CHECK(base64_decode("Zg==") == "f");
  CHECK(base64_decode("Zg") == "f");
  CHECK(base64_decode("Zm8") == "fo");
}

TEST_CASE("anything but strict base64 is refused") {
  for (const char* text :
       {"Z", "Zg=", "Zg===", "=", "==", "===", "====", "Zm9v=", "Zm9v====", "Zh==", "Zm9=", "Zm9v\n", " Zm9v",
        "Zm-_", "Zm9v Zm9v", "Z=g=", "Zg==Zg==", "Zm9vY", "\xC3\xA9m9v"}) {
    CAPTURE(text);
    CHECK_FALSE(base64_decode(text));
  }
  CHECK_FALSE(base64_decode(std::string_view("Zm9\0", 4)));
}

TEST_CASE("base64 and hex give back any bytes") {
  CHECK(rc::check("base64", [](const std::string& bytes) {
    const std::string text = base64_encode(bytes);
    RC_ASSERT(base64_decode(text) == bytes);
    RC_ASSERT(base64_decode(text.substr(0, text.find('='))) == bytes);
  }));
  CHECK(
      rc::check("hex", [](const std::string& bytes) { RC_ASSERT(hex_decode(hex_encode(bytes)) == bytes); }));
}

TEST_CASE("a base64 text that is read has one spelling, up to its padding") {
  CHECK(rc::check([] {
    const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("AQgw/+9zZ=")));
    const auto bytes = base64_decode(text);
    if (!bytes) return;
    const std::string canonical = base64_encode(*bytes);
    RC_ASSERT(canonical.starts_with(text));
    RC_ASSERT(canonical.substr(text.size()).find_first_not_of('=') == std::string::npos);
  }));
}

TEST_CASE("hex is read in either case and only whole") {
  CHECK(hex_decode("00fFA5") == std::string("\0\xFF\xA5", 3));
  CHECK_FALSE(hex_decode("0"));
  CHECK_FALSE(hex_decode("0g"));
  CHECK_FALSE(hex_decode("0x"));
  CHECK(hex_encode("\x01\xFE") == "01fe");
}

TEST_CASE("sha256 gives the digests of FIPS 180-4's examples") {
  CHECK(hex_encode(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_encode(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("constant_time_equal says what == says") {
  CHECK(constant_time_equal("", ""));
  CHECK(constant_time_equal("abc", "abc"));
  CHECK_FALSE(constant_time_equal("abc", "abd"));
  CHECK_FALSE(constant_time_equal("abc", "abcd"));
  CHECK_FALSE(constant_time_equal("", "a"));
}

TEST_CASE("case is folded for ASCII only") {
  CHECK(ascii_lower("Webhook-ID \xC3\x84@[`{") == "webhook-id \xC3\x84@[`{");
  CHECK(ascii_iequals("Content-TYPE", "content-type"));
  CHECK_FALSE(ascii_iequals("a", "ab"));
  CHECK_FALSE(ascii_iequals("@", "`"));
}

TEST_CASE("well-formed UTF-8 passes and everything else is refused") {
  for (const char* good : {"", "abc", "h\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF",
                           "\xEE\x80\x80", "\xF4\x8F\xBF\xBF", "eight by\xC3\xA9te words and more"}) {
    CAPTURE(good);
    CHECK(is_valid_utf8(good));
  }
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF",
                          "\xE2\x82", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80",
                          "\xF5\x80\x80\x80", "\xFE", "\xFF", "12345678\x80", "1234567\xC3"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_valid_utf8(bad));
  }
}

TEST_CASE("text from outside cannot act on a terminal") {
  CHECK(escape_control("plain, h\xC3\xA9 \xE2\x82\xAC") == "plain, h\xC3\xA9 \xE2\x82\xAC");
  CHECK(escape_control("\x1b[2Jx\n\ty\x7f") == "\\x1b[2Jx\\x0a\\x09y\\x7f");
  CHECK(escape_control("\xC2\x9B"
                       "31m") == "\\xc2\\x9b31m");  // C1 CSI
  CHECK(escape_control("a\xE2\x80\xAE"
                       "b") == "a\\xe2\\x80\\xaeb");  // right-to-left override
  CHECK(escape_control("a\xE2\x81\xA6"
                       "b") == "a\\xe2\\x81\\xa6b");  // isolate
  CHECK(escape_control("\xFF\xC3") == "\\xff\\xc3");
  CHECK(escape_control(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("what is escaped is valid UTF-8 and escaping it again changes nothing") {
  CHECK(rc::check([](const std::string& bytes) {
    const std::string escaped = escape_control(bytes);
    RC_ASSERT(is_valid_utf8(escaped));
    RC_ASSERT(escape_control(escaped) == escaped);
  }));
}

TEST_CASE("parse_int takes a whole decimal number and nothing more") {
  CHECK(parse_int("0") == 0);
  CHECK(parse_int("-17") == -17);
  CHECK(parse_int("9223372036854775807") == INT64_MAX);
  for (const char* text : {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "9223372036854775808", "--1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_int(text));
  }
}

TEST_CASE("trim takes the blanks from both ends, and only those") {
  CHECK(trim(" \t\r\n a b \n") == "a b");
  CHECK(trim(" \t a\r", kHttpBlanks) == "a\r");
  CHECK(trim(" \t ").empty());
  CHECK(trim("").empty());
}

TEST_CASE("a token is made of RFC 9110's characters and no other") {
  CHECK(is_token("X-a.1!#$%&'*+^_`|~"));
  CHECK_FALSE(is_token(""));
  int counted = 0;
  for (int c = 0; c < 256; ++c) counted += is_token_char(static_cast<char>(c));
  CHECK(counted == 77);
  for (const char c : std::string_view("\0 \t\"(),/:;<=>?@[\\]{}\x7f\xe9", 22)) CHECK_FALSE(is_token_char(c));
}
