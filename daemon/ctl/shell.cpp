#include "ctl/shell.h"

#include <algorithm>

#include "common/text.h"
#include "ctl/failure.h"
#include "ctl/output.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxArgument = 64u << 10;  // Linux takes 128 KiB
constexpr std::size_t kBase64Line = 76;
constexpr std::string_view kNextOption = " \\\n  ";

// Can it stand between quotes: text that neither acts on a terminal nor is too long for an argument?
bool is_plain(std::string_view body) {
  if (body.size() > kMaxArgument || !is_valid_utf8(body)) return false;
  while (!body.empty()) {
    const std::string_view sequence = body.substr(0, utf8_sequence_length(body));
    const char first = sequence.front();
    const bool control = static_cast<unsigned char>(first) < 0x20 && first != '\n' && first != '\t';
    if (control || acts_on_terminal(sequence)) return false;
    body.remove_prefix(sequence.size());
  }
  return true;
}

std::string in_lines(std::string_view text) {
  std::string lines;
  for (; !text.empty(); text.remove_prefix(std::min(kBase64Line, text.size())))
    lines.append(text.substr(0, kBase64Line)).append("\n");
  return lines;
}

void add_file(std::string& command, std::string_view option, const Json& tls, const char* name) {
  if (const std::string file = member_text(tls, name); file != "-")
    command.append(kNextOption).append(option).append(" ").append(shell_quoted(file));
}

}  // namespace

std::string shell_quoted(std::string_view text) {
  constexpr std::string_view kSafe =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:@%+=,";
  if (!text.empty() && text.find_first_not_of(kSafe) == std::string_view::npos) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string curl_command(const Json& request) {
  const Json headers = request.is_object() ? request.value("headers", Json()) : Json();
  const auto body =
      base64_decode(member_text(request, "body_base64") == "-" ? "" : member_text(request, "body_base64"));
  if (!headers.is_array() || !body)
    throw Failure(kExitFailed, "the answer is no request; is it outboxd that listens there?");
  const bool plain = is_plain(*body);
  std::string command = plain ? "curl" : "base64 -d <<'END' | curl";
  command += " --globoff --include --http1.1";
  for (const Json& header : headers) {
    const Json value = header.is_object() ? header.value("value", Json()) : Json();
    const std::string text = value.is_string() ? value.get<std::string>() : std::string(kNotShown);
    command.append(kNextOption)
        .append("--header ")
        .append(shell_quoted(escape_control(member_text(header, "name") + ": " + text)));
  }
  const Json tls = request.value("tls", Json());
  add_file(command, "--cacert", tls, "ca_file");
  add_file(command, "--cert", tls, "client_cert");
  add_file(command, "--key", tls, "client_key");
  // --data-raw takes a leading @ as it is; --data-binary keeps the line breaks of what it reads.
  command.append(kNextOption).append(plain ? "--data-raw " + shell_quoted(*body) : "--data-binary @-");
  command.append(kNextOption).append(shell_quoted(escape_control(member_text(request, "url")))).append("\n");
  return plain ? command : command + in_lines(base64_encode(*body)) + "END\n";
}

}  // namespace outboxd::ctl
