// The terminal: how large it is, text that fits into so many columns, and the whole screen with single keys.
#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/time.h"

namespace outboxd::ctl {

struct ScreenSize {
  int columns = 80;
  int lines = 24;
};
// Of the terminal that stdout is; nullopt: it is none, but a file or a pipe.
std::optional<ScreenSize> screen_size();
// Can it be drawn on: is stdout a terminal, and of a kind that is known and not dumb?
bool can_draw();

// The columns that text takes; control bytes as they are escaped.
int display_width(std::string_view text);
// Text in at most so many columns: control bytes escaped, and "~" in place of what was cut off.
std::string cut(std::string_view text, int width);
// The same in exactly so many: filled up where it is too short.
std::string fitted(std::string_view text, int width, bool right = false);

// Shows these lines from the top of the screen; what was there is gone.
void draw(const std::string& lines);

// While it lives, the alternate screen is shown and keys come one by one. Ctrl-C is a key too; SIGTERM and SIGINT from
// elsewhere are those of interrupt.h.
class FullScreen {
 public:
  static constexpr char kInterrupted = '\x03';  // Ctrl-C, or a signal, or the end of stdin

  FullScreen();
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;

  // The next key; nullopt when none came in time, or when the screen has another size now.
  std::optional<char> wait_for_key(Millis timeout);

 private:
  termios before_{};
  bool raw_ = false;
};

}  // namespace outboxd::ctl
