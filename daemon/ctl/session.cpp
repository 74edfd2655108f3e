#include "ctl/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "common/clock.h"
#include "common/text.h"
#include "ctl/input.h"
#include "ctl/terminal.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxTokenBytes = 4096;
constexpr std::size_t kMaxCaBytes = 16u << 20;
constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un
constexpr const char* kDefaultSocket = "/run/outboxd/admin.sock";

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? std::optional<std::string>(value) : std::nullopt;
}

std::string read_token(const std::string& path) {
  std::string token(trim(read_file(path, kMaxTokenBytes, "--token-file")));
  const bool printable =
      std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (token.empty() || !printable)
    throw Failure(kExitUsage, "--token-file: " + path + " must hold one token of printable characters");
  return token;
}

}  // namespace

ApiClient& Session::api() {
  if (api_) return *api_;
  if (options_.socket && options_.url) throw Failure(kExitUsage, "--socket and --url exclude each other");
  ApiClient::Options target;
  if (const auto url = options_.socket ? std::nullopt
                       : options_.url  ? options_.url
                                       : environment("OUTBOXD_URL")) {
    if (const auto why = why_base_url_refused(*url)) throw Failure(kExitUsage, "--url: " + *why);
    target.url = *url;
    while (target.url.ends_with('/')) target.url.pop_back();
  } else {
    target.socket =
        options_.socket ? *options_.socket : environment("OUTBOXD_SOCKET").value_or(kDefaultSocket);
    if (target.socket.empty() || target.socket.size() > kMaxSocketPath) {
      throw Failure(kExitUsage,
                    "--socket: a path of 1 to " + std::to_string(kMaxSocketPath) + " bytes is needed");
    }
  }
  const auto token_file = options_.token_file ? options_.token_file : environment("OUTBOXD_TOKEN_FILE");
  if (token_file) target.token = read_token(*token_file);
  target.ca_file = options_.ca_file ? *options_.ca_file : environment("OUTBOXD_CA_FILE").value_or("");
  if (!target.ca_file.empty()) (void)read_file(target.ca_file, kMaxCaBytes, "--ca-file");
  if (!target.token.empty() && target.url.starts_with("http://") && !is_loopback_url(target.url))
    warn("the token travels unencrypted to " + escape_control(target.url) +
         ": use https:// there, or a tunnel");
  api_ = std::make_unique<ApiClient>(std::move(target));
  return *api_;
}

Format Session::format() const {
  return parse_format(options_.format).value_or(Format::kTable);
}

Style Session::style() const {
  const auto screen = screen_size();
  Style style{format(), options_.color == "always", SystemClock().wall(), screen ? screen->columns : 0};
  if (options_.color == "auto") {
    const auto term = environment("TERM");
    style.color = ::isatty(STDOUT_FILENO) && !environment("NO_COLOR") && term && *term != "dumb";
  }
  return style;
}

void Session::print(const std::string& text) const {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Failure(kExitFailed, std::string("cannot write to stdout: ") + std::strerror(errno));
}

void Session::require_stdout() {
  const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
    throw Failure(kExitFailed, "stdout is closed, and what is shown once would be lost: nothing was done");
}

void Session::print_once(const std::function<void()>& print, const std::string& consolation) {
  try {
    print();
  } catch (const Failure& failure) {
    throw Failure(failure.exit_code, failure.what() + consolation);
  }
}

void Session::note(const std::string& message) const {
  if (!options_.quiet) warn(message);
}

void Session::warn(const std::string& message) const {
  std::fprintf(stderr, "outboxctl: %s\n", message.c_str());
}

void Session::print_object(const Json& object, const Fields& fields, const std::string& id_member) const {
  switch (format()) {
    case Format::kJson:
    case Format::kJsonl:
      return print(render_json(object, format() == Format::kJson));
    case Format::kId:
      return print_rows({}, {object}, nullptr, id_member);
    case Format::kTable:
    case Format::kWide:
      return print(render_fields(fields, style()));
  }
}

void Session::print_rows(const std::vector<Column>& columns, const std::vector<Json>& rows,
                         const Json& next_cursor, const std::string& id_member) const {
  print(render_rows(columns, rows, next_cursor, style(), id_member));
}

bool Session::can_ask() {
  return ::isatty(STDIN_FILENO) && ::isatty(STDERR_FILENO);
}

bool Session::confirm(const std::string& question) const {
  if (!can_ask()) throw Failure(kExitUsage, "--yes is needed where there is no terminal to ask on");
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

bool Session::shows_progress() const {
  return !options_.quiet && ::isatty(STDERR_FILENO);
}

}  // namespace outboxd::ctl
