#include "common/cookie.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace outboxd;

namespace {

std::string value(std::string_view header) {
  return std::string(cookie_value(header, "t").value_or("-"));
}

}  // namespace

TEST_CASE("a cookie is found among others, by its whole name") {
  CHECK(value("t=1") == "1");
  CHECK(value("a=0; t=1; b=2") == "1");
  CHECK(value("a=0;t=1;b=2") == "1");
  CHECK(value(" \t t=1 \t ; b=2") == "1");
  CHECK(value("t=a=b==") == "a=b==");
  for (const char* header : {"", ";", "=", "; ;", "t", "tt=1", "T=1", "a=t=1", "at=1", "t =1", "$t=1", "=t=1",
                             "a=\"x; u=1\"", "t\0=1"}) {
    CAPTURE(header);
    CHECK(value(header) == "-");
  }
}

TEST_CASE("the quotes around a value are not part of it, any others make it none") {
  CHECK(value("t=\"1\"") == "1");
  for (const char* header : {"t=\"", "t=\"\"", "t=\"1", "t=1\"", "t=\"\"1\"\"", "t=a\"b", "t='1\""}) {
    CAPTURE(header);
    CHECK(value(header) == "-");
  }
  CHECK(value("t='1'") == "'1'");
}

TEST_CASE("of several cookies of one name the first that can be one counts") {
  CHECK(value("t=1; t=2") == "1");
  CHECK(value("t=; t=2; t=3") == "2");
  CHECK(value("t; t=2") == "2");
}

TEST_CASE("no value holds a byte that no cookie may hold") {
  for (int byte = 0; byte < 256; ++byte) {
    CAPTURE(byte);
    const char c = static_cast<char>(byte);
    const bool fine =
        byte > 0x20 && byte < 0x7F && std::string_view("\",;\\").find(c) == std::string_view::npos;
    CHECK(is_cookie_value(std::string("a") + c) == fine);
    const std::string header = std::string("t=a") + c + "b";
    if (c != ';') CHECK((value(header) != "-") == fine);
  }
  CHECK_FALSE(is_cookie_value(""));
  CHECK(value("t=a;b") == "a");
}

TEST_CASE("two cookies of a name are told from one that comes twice") {
  for (const char* one : {"", "t=1", "t=1; t=1", "a=1; t=2", "t=1; tt=2; T=3", "t=1; t=", "t=1; t=\"1\""}) {
    CAPTURE(one);
    CHECK_FALSE(has_two_values(one, "t"));
  }
  for (const char* two : {"t=1; t=2", "t=1;t=1;t=2", "t=2; a=b; t=1"}) CHECK(has_two_values(two, "t"));
}

TEST_CASE("a long header of cookies is read to its end") {
  std::string header;
  for (int i = 0; i < 5000; ++i) header += "a=" + std::string(static_cast<std::size_t>(i % 7), 'x') + ';';
  CHECK(value(header) == "-");
  CHECK(value(header + "t=1") == "1");
  CHECK(value(std::string(100'000, ';') + "t=1") == "1");
  CHECK(value("t=" + std::string(100'000, 'x')) == std::string(100'000, 'x'));
}
