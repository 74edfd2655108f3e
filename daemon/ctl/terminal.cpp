#include "ctl/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "common/text.h"
#include "ctl/interrupt.h"

namespace outboxd::ctl {
namespace {

constexpr std::string_view kEnter = "\033[?1049h\033[?25l", kLeave = "\033[?25h\033[?1049l";
constexpr std::string_view kHome = "\033[H", kRestOfLine = "\033[K", kRestOfScreen = "\033[J";

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int width_of(std::string_view sequence) {
  return std::max(0, wcwidth(static_cast<wchar_t>(code_point(sequence))));
}

}  // namespace

std::optional<ScreenSize> screen_size() {
  if (!isatty(STDOUT_FILENO)) return std::nullopt;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return ScreenSize{};
  return ScreenSize{size.ws_col, std::max<int>(size.ws_row, 4)};
}

bool can_draw() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) && term && *term && std::string_view(term) != "dumb";
}

int display_width(std::string_view text) {
  const std::string shown = escape_control(text);
  int width = 0;
  for (std::string_view rest = shown; !rest.empty();) {
    const std::string_view sequence = rest.substr(0, std::max<std::size_t>(1, utf8_sequence_length(rest)));
    width += width_of(sequence);
    rest.remove_prefix(sequence.size());
  }
  return width;
}

std::string cut(std::string_view text, int width) {
  const std::string shown = escape_control(text);
  const bool too_long = display_width(text) > width;
  int room = std::max(0, too_long ? width - 1 : width);
  std::string out;
  for (std::string_view rest = shown; !rest.empty();) {
    const std::string_view sequence = rest.substr(0, std::max<std::size_t>(1, utf8_sequence_length(rest)));
    room -= width_of(sequence);
    if (room < 0) break;
    out += sequence;
    rest.remove_prefix(sequence.size());
  }
  if (too_long && width > 0) out += '~';
  return out;
}

std::string fitted(std::string_view text, int width, bool right) {
  std::string out = cut(text, width);
  const int taken = std::min(display_width(text), width);
  const std::string padding(static_cast<std::size_t>(std::max(0, width - taken)), ' ');
  return right ? padding + out : out + padding;
}

void draw(const std::string& lines) {
  std::string text(kHome);
  for (const char c : lines) {
    if (c == '\n') text += kRestOfLine;
    text += c;
  }
  put(text.append(kRestOfLine).append(kRestOfScreen));
}

FullScreen::FullScreen() {
  raw_ = tcgetattr(STDIN_FILENO, &before_) == 0;
  if (raw_) {
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
  }
  // Only so that a change of size ends a wait for a key.
  struct sigaction resized {};
  resized.sa_handler = [](int) {};
  sigaction(SIGWINCH, &resized, nullptr);
  put(kEnter);
}

FullScreen::~FullScreen() {
  put(kLeave);
  if (raw_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

std::optional<char> FullScreen::wait_for_key(Millis timeout) {
  std::array<pollfd, 2> watched{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{interrupt_fd(), POLLIN, 0}};
  if (poll(watched.data(), watched.size(), static_cast<int>(std::max<Millis::rep>(0, timeout.count()))) <= 0)
    return std::nullopt;
  if (watched[1].revents != 0) return kInterrupted;
  char key = 0;
  const ssize_t n = read(STDIN_FILENO, &key, 1);
  if (n < 0 && errno == EINTR) return std::nullopt;
  return n == 1 ? key : kInterrupted;
}

}  // namespace outboxd::ctl
