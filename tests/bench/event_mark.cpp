#include "bench/event_mark.h"

#include <charconv>

namespace outboxd::bench {
namespace {

// Takes `name` and the number behind it off the front.
bool take(std::string_view& text, std::string_view name, std::int64_t& number) {
  if (!text.starts_with(name)) return false;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + name.size(), end, number);
  text = std::string_view(rest, static_cast<std::size_t>(end - rest));
  return error == std::errc();
}

}  // namespace

std::string payload_of(const Mark& mark, std::size_t padding) {
  std::string text = R"({"s":)" + std::to_string(mark.stream) + R"(,"n":)" + std::to_string(mark.number) +
                     R"(,"t":)" + std::to_string(mark.due) + R"(,"pad":")";
  return text.append(padding, 'x').append("\"}");
}

std::optional<Mark> mark_of(std::string_view payload) {
  Mark mark;
  std::int64_t stream = 0;
  if (!take(payload, R"({"s":)", stream) || !take(payload, R"(,"n":)", mark.number) ||
      !take(payload, R"(,"t":)", mark.due) || stream < 0 || stream >= kStreams) {
    return std::nullopt;
  }
  mark.stream = static_cast<int>(stream);
  return mark;
}

}  // namespace outboxd::bench
