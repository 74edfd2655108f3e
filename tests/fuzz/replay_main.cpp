// Runs a fuzz target without libFuzzer: every file of its corpus, each of them cut at every length, and a fixed number of mutations of
// them, the same in each run.   PROGRAM FOLDER MUTATIONS
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "fuzz/target.h"

// A sanitizer's report ends in abort() too, so that the input is printed. The names are the sanitizers'.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1";
}
extern "C" const char* __ubsan_default_options() {
  return "abort_on_error=1";
}
extern "C" const char* __tsan_default_options() {
  return "abort_on_error=1";
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

constexpr std::size_t kMaxBytes = 4096;

std::string current;  // what the target is given

void put(std::string_view text) {
  while (!text.empty()) {
    const auto n = write(STDERR_FILENO, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void print_input(int signal) {
  constexpr std::string_view kHex = "0123456789abcdef";
  put("the input, as for printf: '");
  for (const char c : current) {
    const auto byte = static_cast<unsigned char>(c);
    const char escaped[] = {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    const bool plain = byte > ' ' && byte < 0x7f && c != '\\' && c != '\'' && c != '%';
    put(plain ? std::string_view(&c, 1) : std::string_view(escaped, sizeof escaped));
  }
  put("'\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(std::string input) {
  current = std::move(input);
  // In memory of exactly this size: reading beyond it shows under AddressSanitizer.
  const std::vector<std::uint8_t> bytes(current.begin(), current.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::vector<std::string> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::string> corpus;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(corpus.begin(), corpus.end());  // the order of the folder is not that of another machine
  return corpus;
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& corpus) : corpus_(corpus) {}

  std::string next() {
    std::string text = any();
    for (std::size_t changes = below(4) + 1; changes > 0; --changes) change(text);
    return text.substr(0, kMaxBytes);
  }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  const std::string& any() { return corpus_[below(corpus_.size())]; }

  void change(std::string& text) {
    using namespace std::string_view_literals;
    constexpr auto kTelling = "\0\x1e\t\n\r \"%&*+,-./0189:;=@AZ[\\]az{}\x7f\x80\xc2\xe2\xef\xff"sv;
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = below(std::min<std::size_t>(text.size() - at, 16) + 1);
    switch (below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = kTelling[below(kTelling.size())];
        break;
      case 2:
        text.insert(at, below(3) + 1, kTelling[below(kTelling.size())]);
        break;
      case 3:
        text.erase(at, length);
        break;
      case 4:
        text.insert(at, text.substr(at, length));
        break;
      case 5:
        text.resize(at);
        break;
      default: {  // splice
        const std::string& other = any();
        text.replace(at, std::string::npos, other, below(other.size() + 1), std::string::npos);
      }
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_{20261123};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER MUTATIONS\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, print_input);
  std::signal(SIGSEGV, print_input);
  const auto corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s holds no input\n", argv[1]);
    return 1;
  }
  const long mutations = std::strtol(argv[2], nullptr, 10);
  std::size_t cuts = 0;
  for (const auto& input : corpus) {
    run(input);
    for (std::size_t size = 0; size < std::min<std::size_t>(input.size(), 200); ++size, ++cuts)
      run(input.substr(0, size));
  }
  Mutator mutator(corpus);
  for (long i = 0; i < mutations; ++i) run(mutator.next());
  std::printf("%zu inputs, %zu cuts and %ld mutations of them\n", corpus.size(), cuts, mutations);
}
