// What the fuzz targets stand on. A target is one function over untrusted bytes; it calls a parser of outboxd and checks what must hold
// of every answer. libFuzzer (scripts/fuzz) and replay_main.cpp (every build's tests) call it through LLVMFuzzerTestOneInput.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#define FUZZ_TARGET(input)                                                            \
  static void fuzz_one(std::string_view input);                                       \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    fuzz_one({reinterpret_cast<const char*>(data), size});                            \
    return 0;                                                                         \
  }                                                                                   \
  static void fuzz_one(std::string_view input)

// A property of the parser: when it does not hold, the input is a finding.
#define HOLDS(...)                                                                          \
  do {                                                                                      \
    if (!(__VA_ARGS__)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
      std::abort();                                                                         \
    }                                                                                       \
  } while (false)

namespace outboxd::fuzz {

// An input of several parts, separated by the byte 0x1E (ASCII's record separator).
class Parts {
 public:
  explicit Parts(std::string_view input) : rest_(input) {}

  std::string_view next() {
    const auto part = rest_.substr(0, rest_.find('\x1e'));
    rest_.remove_prefix(part.size() == rest_.size() ? part.size() : part.size() + 1);
    return part;
  }
  // An empty part stands for a value that is not there.
  std::optional<std::string> optional() {
    const auto part = next();
    return part.empty() ? std::nullopt : std::optional<std::string>(part);
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace outboxd::fuzz
