#include "api/http_answer.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "common/json.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kUsualHeadBytes = 320;
constexpr std::string_view kNoSniffing = "x-content-type-options: nosniff\r\n";
constexpr std::string_view kNoStore = "cache-control: no-store\r\n";
constexpr std::string_view kNoContent =
    "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n";

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "";  // RFC 9112, 4: may be empty
  }
}

// Problems of HTTP itself, which no handler ever answers with, so common/problem.h need not know them.
struct ProtocolProblem {
  int status;
  std::string_view type, title;
};
constexpr std::array kProtocolProblems{
    ProtocolProblem{408, "/problems/request-timeout", "The request did not arrive in time"},
    ProtocolProblem{414, "/problems/uri-too-long", "The request target is too long"},
    ProtocolProblem{417, "/problems/expectation-failed", "The expectation cannot be met"},
};

ProblemCode problem_code(int status) {
  switch (status) {
    case 401:
      return ProblemCode::kUnauthorized;
    case 413:
      return ProblemCode::kTooLarge;
    case 431:
      return ProblemCode::kHeaderTooLarge;
    case 503:
      return ProblemCode::kUnavailable;
    default:
      return ProblemCode::kMalformed;
  }
}

bool has_header(const Answer& answer, std::string_view name) {
  return std::ranges::any_of(answer.headers,
                             [name](const HeaderField& h) { return ascii_iequals(h.name, name); });
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  const auto start = out.size();
  out.append(value);
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), is_control, ' ');
  out.append("\r\n");
}

}  // namespace

std::string render_answer(const Answer& answer, const AnswerFraming& framing, std::string_view date) {
  const bool may_have_content = answer.status != 204 && answer.status != 304;  // RFC 9110, 6.4.1
  std::string out;
  out.reserve(kUsualHeadBytes + answer.body.size());
  out.append("HTTP/1.1 ")
      .append(std::to_string(answer.status))
      .append(" ")
      .append(reason_phrase(answer.status))
      .append("\r\n");
  append_header(out, "date", date);
  if (may_have_content) {
    append_header(out, "content-type", answer.content_type);
    if (!framing.open_ended) append_header(out, "content-length", std::to_string(answer.body.size()));
  }
  out.append(kNoSniffing);
  if (!has_header(answer, "cache-control")) out.append(kNoStore);
  if (framing.shown && !has_header(answer, "content-security-policy")) out.append(kNoContent);
  for (const auto& header : answer.headers) append_header(out, header.name, header.value);
  if (!framing.keep_alive) {
    append_header(out, "connection", "close");
  } else if (framing.http_1_0) {
    append_header(out, "connection", "keep-alive");
  }
  out.append("\r\n");
  if (may_have_content && !framing.head_only) out.append(answer.body);
  return out;
}

Answer refusal_answer(const HttpRefusal& refusal) {
  const auto* own = std::ranges::find(kProtocolProblems, refusal.status, &ProtocolProblem::status);
  if (own == kProtocolProblems.end()) {
    auto answer = problem_answer({problem_code(refusal.status), refusal.detail});
    if (answer.status == 401) answer.headers.push_back({"www-authenticate", "Bearer"});
    return answer;
  }
  const Json body{
      {"type", own->type}, {"title", own->title}, {"status", own->status}, {"detail", refusal.detail}};
  return {own->status, "application/problem+json", dump(body), {}};
}

std::string_view DateHeader::at(std::chrono::system_clock::time_point now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second == second_) return text_;
  second_ = second;
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(second);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 16> rest{};
  text_ = kDays.at(static_cast<std::size_t>(utc.tm_wday));
  std::strftime(rest.data(), rest.size(), ", %d ", &utc);
  text_.append(rest.data()).append(kMonths.at(static_cast<std::size_t>(utc.tm_mon)));
  std::strftime(rest.data(), rest.size(), " %Y %H:%M:%S", &utc);
  text_.append(rest.data()).append(" GMT");
  return text_;
}

}  // namespace outboxd::api
