#include "api/exchange.h"

#include <algorithm>

#include "common/json.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

constexpr std::string_view kRetryAfterSeconds = "1";  // queues drain within a commit or a few

}  // namespace

bool only_reads(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [name](const HeaderField& h) { return ascii_iequals(h.name, name); });
  if (found == headers.end()) return std::nullopt;
  return found->value;
}

Answer json_answer(int status, std::string body) {
  Answer answer;
  answer.status = status;
  answer.body = std::move(body);
  return answer;
}

Answer problem_answer(const Problem& problem) {
  Answer answer;
  answer.status = kind_of(problem.code).status;
  answer.content_type = "application/problem+json";
  answer.body = dump(to_json(problem));
  if (answer.status == 429 || answer.status == 503)
    answer.headers.push_back({"retry-after", std::string(kRetryAfterSeconds)});
  return answer;
}

}  // namespace outboxd::api
