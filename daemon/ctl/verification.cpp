#include "ctl/verification.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/json.h"
#include "common/text.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kShownAround = 12;  // bytes from the first difference on

std::string what_is_missing(const SignedMessage& message) {
  const std::array<std::pair<const char*, std::string_view>, 3> needed{
      {{"webhook-id", message.id},
       {"webhook-timestamp", message.timestamp},
       {"webhook-signature", message.signature}}};
  std::string missing;
  int count = 0;
  for (const auto& [name, value] : needed) {
    if (!value.empty()) continue;
    missing += (missing.empty() ? "" : ", ") + std::string(name);
    ++count;
  }
  if (count == 0) return missing;
  return (count == 1 ? "the header " + missing + " is" : "the headers " + missing + " are") +
         " missing or empty";
}

// Bodies that may have been signed before somebody on the way made this one of it, and what he did.
std::vector<std::pair<std::string, std::string>> likely_originals(std::string_view body) {
  std::vector<std::pair<std::string, std::string>> originals;
  const std::string text(body);
  const auto end = text.find_last_not_of("\r\n") + 1;
  if (end < text.size()) originals.emplace_back(text.substr(0, end), "a line break was added at its end");
  originals.emplace_back(text + "\n", "a line break was taken from its end");
  if (text.find("\r\n") != std::string::npos) {
    std::string unix_lines;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.compare(i, 2, "\r\n") != 0) unix_lines += text[i];
    }
    originals.emplace_back(std::move(unix_lines), "its line breaks were changed");
  }
  if (const Json json = Json::parse(text, nullptr, false); !json.is_discarded()) {
    for (const int indent : {-1, 2, 4}) {
      originals.emplace_back(json.dump(indent, ' ', false, Json::error_handler_t::replace),
                             "its JSON was parsed and written anew, with other white space");
    }
  }
  return originals;
}

bool verifies(const std::vector<std::string>& secrets, const SignedMessage& message, Time now) {
  return std::ranges::any_of(
      secrets, [&](const std::string& secret) { return verify(secret, message, now).has_value(); });
}

std::string why_no_match(const std::vector<std::string>& secrets, const SignedMessage& message, Time now,
                         const SentBody& sent) {
  const auto original = sent ? sent(std::string(message.id)) : std::nullopt;
  if (original && *original != message.body)
    return "the body was changed on its way: " + difference(message.body, *original);
  if (original) {
    return "the body is what outboxd sent, " + std::to_string(message.body.size()) +
           " bytes: it was signed with another secret than the one to verify with";
  }
  for (const auto& [body, what] : likely_originals(message.body)) {
    if (body != message.body &&
        verifies(secrets, {message.id, message.timestamp, message.signature, body}, now))
      return "the body was changed on its way: " + what + "; " + difference(message.body, body);
  }
  return "no signature matches: it was signed with another secret, or webhook-id, webhook-timestamp or the "
         "body (" +
         std::to_string(message.body.size()) + " bytes came) was changed on its way";
}

}  // namespace

std::string difference(std::string_view came, std::string_view sent) {
  const auto [at, other] = std::mismatch(came.begin(), came.end(), sent.begin(), sent.end());
  const auto position = static_cast<std::size_t>(at - came.begin());
  const auto shown = [position](std::string_view text) {
    if (position >= text.size()) return std::string("its end");
    return '"' + escape_control(text.substr(position, kShownAround)) + '"';
  };
  return std::to_string(came.size()) + " bytes came, " + std::to_string(sent.size()) +
         " were sent, and the first difference is at byte " + std::to_string(position) + ": came " +
         shown(came) + ", sent " + shown(sent);
}

std::string why_not_verified(const std::vector<std::string>& secrets, const SignedMessage& message, Time now,
                             const SentBody& sent) {
  std::string why = what_is_missing(message);
  if (!why.empty()) return why;
  for (const std::string& secret : secrets) {
    const auto verdict = verify(secret, message, now);
    if (verdict) return "";
    const Problem& refused = verdict.error();
    const bool mismatch = !refused.errors.empty() && refused.errors.front().pointer == "webhook-signature" &&
                          refused.detail.find("matches") != std::string::npos;
    why = mismatch ? "" : refused.detail;
  }
  if (!why.empty()) return why;
  return why_no_match(secrets, message, now, sent);
}

}  // namespace outboxd::ctl
