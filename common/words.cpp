#include "common/words.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/json.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxWord = 64;  // longer than any known word; bounds the cost of a comparison
constexpr std::size_t kMaxQuoted = 64;

std::string folded(std::string_view word) {
  std::string text = ascii_lower(word);
  std::ranges::replace(text, '-', '_');
  return text;
}

// Damerau-Levenshtein distance in which a pair of neighbours is swapped at most once (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.empty() || word.size() > kMaxWord) return {};
  const std::string wanted = folded(word);
  std::string_view best;
  std::size_t least = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const std::string_view one : known) {
    // No distance is less than what the lengths differ by, and most words end here: errors are reported on threads that
    // have others to serve.
    const std::size_t lengths = std::max(wanted.size(), one.size()) - std::min(wanted.size(), one.size());
    if (lengths >= least || lengths >= one.size()) continue;
    const std::size_t apart = distance(wanted, folded(one));
    if (apart >= least || apart >= one.size()) continue;
    least = apart;
    best = one;
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view meant = nearest(word, known);
  return meant.empty() ? "" : "; did you mean \"" + std::string(meant) + "\"?";
}

std::string one_of(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 < words.size() ? ", " : " or ";
    text += words[i];
  }
  return text;
}

std::string in_quotes(std::string_view text) {
  std::string_view start = text.substr(0, kMaxQuoted);
  while (start.size() < text.size() && !start.empty() &&
         (static_cast<unsigned char>(text[start.size()]) & 0xC0) == 0x80)
    start.remove_suffix(1);
  return '"' + valid_utf8(start) + (start.size() < text.size() ? "…\"" : "\"");
}

}  // namespace outboxd
