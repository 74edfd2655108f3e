#include "api/handling.h"

#include <algorithm>
#include <functional>
#include <set>
#include <span>

#include "common/json_number.h"
#include "common/json_span.h"
#include "common/text.h"
#include "common/words.h"
#include "store/store.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxEchoed = 64;  // bytes of a caller's name or id that an answer repeats
constexpr std::size_t kMaxReportedErrors = 20;
// What operators send is small, and parsing takes twenty times the body's size in memory.
constexpr std::size_t kMaxJsonBody = 256u << 10;

bool is_utf8_charset(std::string_view parameter) {
  const auto equals = parameter.find('=');
  if (!ascii_iequals(trim(parameter.substr(0, equals), kHttpBlanks), "charset")) return true;
  std::string_view value =
      equals == std::string_view::npos ? "" : trim(parameter.substr(equals + 1), kHttpBlanks);
  if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"'))
    value = value.substr(1, value.size() - 2);
  return ascii_iequals(value, "utf-8") || ascii_iequals(value, "us-ascii");
}

// Is it valid, and not nested too deeply to work with?
Result<void> check_json(std::string_view body) {
  JsonScanner scanner(body);
  scanner.open_object();
  while (scanner.next_member()) scanner.value();
  if (scanner.finish()) return {};
  return problem(ProblemCode::kMalformed, "the body is not a valid JSON object: at byte " +
                                              std::to_string(scanner.fault()->offset) + ", " +
                                              std::string(scanner.fault()->what));
}

// Finds repeated member names: nlohmann's parser keeps only one of the two, and the caller may have meant the other.
class RepeatedName {
 public:
  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) names_.emplace_back();
    if (event == Json::parse_event_t::object_end) names_.pop_back();
    if (event == Json::parse_event_t::key && !names_.back().insert(parsed.get<std::string>()).second)
      found_ = parsed.get<std::string>();
    return true;
  }
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> names_;  // of the objects that are open, the innermost last
  std::optional<std::string> found_;
};

std::string what_it_takes(std::span<const std::string_view> known) {
  return known.empty() ? ", which takes none" : ", which takes " + one_of(known);
}

std::optional<Problem> refuse_parameters(const Request& request, const Parameters& known) {
  std::vector<FieldError> errors;
  const auto& query = request.query;
  for (auto it = query.begin(); it != query.end() && errors.size() < kMaxReportedErrors;
       it = query.upper_bound(it->first)) {
    const std::string name = valid_utf8(it->first.substr(0, kMaxEchoed));
    if (std::ranges::find(known, it->first) == known.end()) {
      errors.push_back({name, "is not a parameter of this request" + what_it_takes(known) +
                                  did_you_mean(it->first, known)});
    } else if (query.count(it->first) > 1) {
      errors.push_back({name, "is given more than once"});
    }
  }
  if (errors.empty()) return std::nullopt;
  return Problem{ProblemCode::kInvalidParameter, summary_of(errors), errors};
}

Handler checked(Parameters parameters, Handler handler) {
  return [parameters = std::move(parameters), handler = std::move(handler)](const ExchangePtr& exchange) {
    guarded(exchange, [&] {
      if (const auto refused = refuse_parameters(exchange->request(), parameters))
        return exchange->respond(*refused);
      handler(exchange);
    });
  };
}

}  // namespace

namespace {

void fail(const ExchangePtr& exchange, const char* what) {
  const Request& request = exchange->request();
  log::error("a request failed", {{"method", request.method}, {"path", request.path}, {"error", what}});
  exchange->respond(Problem{ProblemCode::kInternal, "the request failed inside outboxd: its log says why"});
}

}  // namespace

void guarded(const ExchangePtr& exchange, const std::function<void()>& work) {
  try {
    work();
  } catch (const StoreError& error) {
    switch (error.kind) {
      case StoreError::Kind::kBusy:
        return exchange->respond(Problem{ProblemCode::kUnavailable, "the store is busy: try again"});
      case StoreError::Kind::kFull:
        return exchange->respond(Problem{ProblemCode::kInsufficientStorage, "the store has no space left"});
      default:
        fail(exchange, error.what());
    }
  } catch (const std::exception& error) {
    fail(exchange, error.what());
  }
}

Handler answering(Context& context, Result<Answer> (*function)(Context&, const Request&),
                  Parameters parameters) {
  return checked(std::move(parameters), [&context, function](const ExchangePtr& exchange) {
    auto answer = function(context, exchange->request());
    if (!answer) return exchange->respond(answer.error());
    exchange->respond(std::move(*answer));
  });
}

Handler deferring(Context& context, void (*function)(Context&, const ExchangePtr&), Parameters parameters) {
  return checked(std::move(parameters),
                 [&context, function](const ExchangePtr& exchange) { function(context, exchange); });
}

Result<std::string> media_type(const Request& request) {
  const auto header = request.header("content-type");
  if (!header) {
    return problem(ProblemCode::kUnsupportedMediaType,
                   "the request has no Content-Type; application/json is expected");
  }
  std::string_view rest = *header;
  const auto next = [&rest] {
    const auto end = std::min(rest.find(';'), rest.size());
    const auto part = trim(rest.substr(0, end), kHttpBlanks);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
  };
  std::string type = ascii_lower(next());
  while (!rest.empty()) {
    const auto parameter = next();
    if (!is_utf8_charset(parameter))
      return problem(ProblemCode::kUnsupportedMediaType,
                     "the Content-Type's charset must be UTF-8; got " + in_quotes(parameter));
  }
  return type;
}

Result<Json> json_body(const Request& request) {
  const auto type = media_type(request);
  if (!type) return tl::unexpected(type.error());
  if (*type != "application/json") {
    return problem(ProblemCode::kUnsupportedMediaType,
                   "the Content-Type must be application/json; got " + in_quotes(*type));
  }
  if (request.body.empty())
    return problem(ProblemCode::kMalformed, "the body is empty: a JSON object is expected");
  if (request.body.size() > kMaxJsonBody) {
    return problem(ProblemCode::kTooLarge, "the body is larger than the " + std::to_string(kMaxJsonBody) +
                                               " bytes that this request may have");
  }
  if (const auto checked = check_json(request.body); !checked) return tl::unexpected(checked.error());
  RepeatedName repeated;
  Json body = Json::parse(request.body, std::ref(repeated), false);
  if (repeated.found()) {
    return problem(ProblemCode::kMalformed, "the body has the member \"" +
                                                valid_utf8(repeated.found()->substr(0, kMaxEchoed)) +
                                                "\" more than once in one object");
  }
  if (body.is_discarded()) {
    return problem(ProblemCode::kMalformed, "the body holds a lone surrogate or a number beyond a double");
  }
  if (const auto changed = first_changed_number(request.body)) {
    return problem(ProblemCode::kMalformed, "the number " + std::string(changed->substr(0, kMaxEchoed)) +
                                                " has more digits than outboxd keeps: write it as a string");
  }
  return body;
}

Result<Json> action_body(const Request& request, std::initializer_list<std::string_view> members) {
  if (request.body.empty()) return Json::object();
  auto body = json_body(request);
  if (!body) return body;
  std::vector<FieldError> errors;
  for (const auto& [name, value] : body->items()) {
    if (std::ranges::find(members, name) == members.end()) {
      errors.push_back(
          {pointer_to(valid_utf8(name.substr(0, kMaxEchoed))),
           "is not a field of this request" + what_it_takes(members) + did_you_mean(name, members)});
    }
    if (errors.size() == kMaxReportedErrors) break;
  }
  if (errors.empty()) return body;
  std::string detail = summary_of(errors);
  return problem(ProblemCode::kInvalidParameter, std::move(detail), std::move(errors));
}

Result<std::optional<std::string>> text_member(const Json& body, std::string_view name) {
  const auto member = body.find(name);
  if (member == body.end()) return std::nullopt;
  if (!member->is_string())
    return invalid_parameter('/' + std::string(name), "must be a string" + got(*member));
  return member->get<std::string>();
}

Answer json_answer(int status, const Json& json) {
  return json_answer(status, dump(json));
}

Answer list_answer(Json data, const std::optional<std::string>& next) {
  Json list = {{"data", std::move(data)}, {"next_cursor", nullptr}};
  if (next) list["next_cursor"] = *next;
  return json_answer(200, list);
}

Json name_of(const EndpointDirectory& directory, const EndpointId& endpoint) {
  const EndpointPtr known = directory.find(endpoint);
  return known && !known->name.empty() ? Json(known->name) : Json(nullptr);
}

Result<void> check_payload_shown(const Context& context, const Request& request) {
  if (context.dashboard_payloads || !request.from_browser) return {};
  return problem(ProblemCode::kForbidden,
                 "the dashboard shows no payloads here: [dashboard] payloads is false in the daemon's "
                 "configuration");
}

tl::unexpected<Problem> not_found(std::string_view what, std::string_view id) {
  return problem(ProblemCode::kNotFound,
                 "there is no " + std::string(what) + " \"" + valid_utf8(id.substr(0, kMaxEchoed)) + '"');
}

tl::unexpected<Problem> invalid_parameter(std::string pointer, std::string detail) {
  std::string text = pointer + ' ' + detail;
  return problem(ProblemCode::kInvalidParameter, std::move(text), {{std::move(pointer), std::move(detail)}});
}

}  // namespace outboxd::api
