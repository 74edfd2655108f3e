#include "common/time.h"

#include <algorithm>
#include <array>

namespace outboxd {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Time kFirst = Time(Millis(0));  // 1970-01-01T00:00:00.000Z
constexpr Time kLast = Time(std::chrono::sys_days(std::chrono::year(9999) / 12 / 31) + days(1)) - Millis(1);
constexpr Millis kMaxDuration = days(3650);

void append_padded(std::string& out, int value, int width) {
  std::array<char, 4> digits{};
  for (int i = width - 1; i >= 0; --i, value /= 10) digits.at(i) = static_cast<char>('0' + value % 10);
  out.append(digits.data(), static_cast<std::size_t>(width));
}

// Reads text from left to right; after the first mismatch every further read fails.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // Exactly `width` digits.
  int number(std::size_t width) {
    if (rest_.size() < width) return fail();
    int value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      if (!digit_at(i)) return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(width);
    return value;
  }

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail();
  }

  std::size_t digits_ahead() const {
    std::size_t count = 0;
    while (digit_at(count)) ++count;
    return count;
  }

  int fail() {
    failed_ = true;
    rest_ = {};
    return 0;
  }

  bool failed() const { return failed_; }
  bool ended() const { return !failed_ && rest_.empty(); }

 private:
  bool digit_at(std::size_t i) const { return i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9'; }

  std::string_view rest_;
  bool failed_ = false;
};

// ".5" is 500 ms; at most nanoseconds, cut to milliseconds.
Millis read_fraction(Reader& in) {
  if (!in.take('.')) return Millis(0);
  const std::size_t width = in.digits_ahead();
  if (width == 0 || width > 9) return Millis(in.fail());
  int value = in.number(width);
  for (std::size_t i = width; i < 3; ++i) value *= 10;
  for (std::size_t i = 3; i < width; ++i) value /= 10;
  return Millis(value);
}

minutes read_offset(Reader& in) {
  if (in.take('Z') || in.take('z')) return minutes(0);
  const bool east = in.take('+');
  if (!east) in.expect('-');
  const int hour = in.number(2);
  in.expect(':');
  const int minute = in.number(2);
  if (hour > 23 || minute > 59) in.fail();
  const minutes offset = hours(hour) + minutes(minute);
  return east ? offset : -offset;
}

struct Unit {
  std::string_view name;
  std::int64_t millis;
};
constexpr std::array<Unit, 5> kUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

}  // namespace

std::string format_time(Time t) {
  t = std::clamp(t, kFirst, kLast);  // so that parse_time() can read whatever is written
  const auto day = std::chrono::floor<days>(t);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(t - day);
  std::string out;
  out.reserve(24);
  append_padded(out, static_cast<int>(date.year()), 4);
  out += '-';
  append_padded(out, static_cast<int>(static_cast<unsigned>(date.month())), 2);
  out += '-';
  append_padded(out, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  out += 'T';
  append_padded(out, static_cast<int>(time.hours().count()), 2);
  out += ':';
  append_padded(out, static_cast<int>(time.minutes().count()), 2);
  out += ':';
  append_padded(out, static_cast<int>(time.seconds().count()), 2);
  out += '.';
  append_padded(out, static_cast<int>(time.subseconds().count()), 3);
  out += 'Z';
  return out;
}

std::optional<Time> parse_time(std::string_view text) {
  Reader in(text);
  const std::chrono::year year(in.number(4));
  in.expect('-');
  const std::chrono::month month(static_cast<unsigned>(in.number(2)));
  in.expect('-');
  const std::chrono::year_month_day date(year, month, std::chrono::day(static_cast<unsigned>(in.number(2))));
  if (!in.take('T')) in.expect('t');
  const int hour = in.number(2);
  in.expect(':');
  const int minute = in.number(2);
  in.expect(':');
  const int second = in.number(2);
  const Millis fraction = read_fraction(in);
  const minutes offset = read_offset(in);
  if (!in.ended() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;

  const auto minute_start = std::chrono::sys_days(date) + hours(hour) + minutes(minute) - offset;
  const Time t = minute_start + seconds(second) + fraction;
  if (second == 60) {
    // A leap second comes at the end of a month in UTC; Unix time counts it as the first second of the next month.
    const auto next_day = std::chrono::floor<days>(t);
    const bool month_begins = std::chrono::year_month_day(next_day).day() == std::chrono::day(1);
    if (!month_begins || minute_start + minutes(1) != next_day) return std::nullopt;
  }
  if (t < kFirst || t > kLast) return std::nullopt;
  return t;
}

std::optional<Millis> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Millis total{0};
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const std::size_t width = std::min(text.find_first_not_of("0123456789"), text.size());
    std::int64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      value = value * 10 + (text[i] - '0');
      if (value > kMaxDuration.count()) return std::nullopt;
    }
    text.remove_prefix(width);
    const std::string_view name = text.substr(0, std::min(text.find_first_of("0123456789"), text.size()));
    text.remove_prefix(name.size());
    const auto unit =
        std::find_if(kUnits.begin() + next_unit, kUnits.end(), [&](const Unit& u) { return u.name == name; });
    if (width == 0 || unit == kUnits.end()) return std::nullopt;
    next_unit = static_cast<std::size_t>(unit - kUnits.begin()) + 1;
    if (value > kMaxDuration.count() / unit->millis) return std::nullopt;
    total += Millis(value * unit->millis);
  }
  if (total > kMaxDuration) return std::nullopt;
  return total;
}

std::string format_duration(Millis d) {
  std::string out;
  std::int64_t left = d.count();
  for (const Unit& unit : kUnits) {
    if (left < unit.millis) continue;
    out += std::to_string(left / unit.millis);
    out += unit.name;
    left %= unit.millis;
  }
  return out.empty() ? "0s" : out;
}

}  // namespace outboxd
