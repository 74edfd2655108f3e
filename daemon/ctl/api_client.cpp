#include "ctl/api_client.h"

#include <algorithm>
#include <thread>

#include "common/text.h"
#include "ctl/socket_access.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kShownBodyBytes = 200;
constexpr int kMaxBusyTries = 10;
constexpr std::int64_t kMaxBusyWaitSeconds = 30;

std::string member(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? escape_control(it->get_ref<const std::string&>())
                                               : std::string();
}

}  // namespace

Json parse_answer(const std::string& text) {
  constexpr int kMaxDepth = 256;
  bool too_deep = false;
  Json json = Json::parse(
      text,
      [&too_deep](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kMaxDepth;
        return !too_deep;
      },
      false);
  return too_deep ? Json(Json::value_t::discarded) : json;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";  // RFC 3986 2.3
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    if (kUnreserved.find(static_cast<char>(c)) != std::string_view::npos) {
      encoded += static_cast<char>(c);
    } else {
      encoded += '%';
      encoded += kDigits[c >> 4];
      encoded += kDigits[c & 15];
    }
  }
  return encoded;
}

std::string path_of_endpoint(std::string_view name_or_id) {
  return "/v1/endpoints/" + percent_encode(name_or_id);
}

Path& Path::with(std::string_view name, std::string_view value) {
  text_ += has_query_ ? '&' : '?';
  text_ += percent_encode(name) + '=' + percent_encode(value);
  has_query_ = true;
  return *this;
}

std::string ApiClient::where() const {
  return options_.socket.empty() ? options_.url : "unix:" + options_.socket;
}

HttpRequest ApiClient::request_for(std::string_view method, const std::string& path) const {
  HttpRequest request;
  request.method = method;
  request.url = (options_.socket.empty() ? options_.url : "http://localhost") + path;
  request.unix_socket = options_.socket;
  request.ca_file = options_.ca_file;
  request.headers.push_back({"User-Agent", "outboxctl"});
  if (!options_.token.empty()) request.headers.push_back({"Authorization", "Bearer " + options_.token});
  return request;
}

Failure ApiClient::unreachable(const std::string& why) const {
  const std::string what = "cannot reach outboxd at " + escape_control(where()) + ": ";
  if (const auto denied = why_socket_denied(options_.socket))
    return Failure(kExitUnreachable,
                   what + escape_control(denied->found) + "; " + escape_control(denied->mend));
  return Failure(kExitUnreachable, what + why + "; is it running, and is this the right --socket or --url?");
}

HttpResponse ApiClient::send(std::string_view method, const std::string& path, std::string_view body,
                             std::string_view content_type, Millis timeout) {
  HttpRequest request = request_for(method, path);
  request.body = body;
  request.timeout = timeout;
  request.headers.push_back({"Accept", "application/json, application/problem+json, */*"});
  if (!body.empty()) request.headers.push_back({"Content-Type", std::string(content_type)});
  auto response = http_.send(request);
  if (!response) throw unreachable(response.error());
  return std::move(*response);
}

void ApiClient::stream(const std::string& path, const std::string& last_event_id,
                       const AnswerReceiver& receiver) {
  HttpRequest request = request_for("GET", path);
  request.headers.push_back({"Accept", "text/event-stream, application/problem+json"});
  if (!last_event_id.empty()) request.headers.push_back({"Last-Event-ID", last_event_id});
  const auto response = http_.receive(request, receiver);
  if (!response) throw unreachable(response.error());
  if (exit_code_of_status(response->status) != kExitOk) throw failure_of(*response);
}

HttpRequest ApiClient::request_for(const Forwarded& forwarded) const {
  HttpRequest request = request_for(forwarded.method, forwarded.path);
  request.path_as_is = true;
  request.body = forwarded.body;
  request.headers.insert(request.headers.end(), forwarded.headers.begin(), forwarded.headers.end());
  return request;
}

HttpResponse ApiClient::forward(const Forwarded& request) {
  auto response = http_.send(request_for(request));
  if (!response) throw unreachable(response.error());
  return std::move(*response);
}

HttpResponse ApiClient::forward(const Forwarded& request, const AnswerReceiver& receiver) {
  auto response = http_.receive(request_for(request), receiver);
  if (!response) throw unreachable(response.error());
  return std::move(*response);
}

HttpResponse ApiClient::send_patiently(std::string_view method, const std::string& path,
                                       std::string_view body, std::string_view content_type,
                                       const Waiting& waiting) {
  for (int tries = 1;; ++tries) {
    HttpResponse response = send(method, path, body, content_type);
    const bool busy = response.status == 429 || response.status == 503;
    if (!busy || tries == kMaxBusyTries) return response;
    const std::int64_t wait = std::clamp<std::int64_t>(response.retry_after, 1, kMaxBusyWaitSeconds);
    waiting("the daemon is busy, going on in " + std::to_string(wait) + "s");
    std::this_thread::sleep_for(std::chrono::seconds(wait));
  }
}

Json json_of(const HttpResponse& response) {
  Json json = parse_answer(response.body);
  if (json.is_discarded())
    throw Failure(kExitFailed, "the answer is not JSON; is it outboxd that listens there?");
  return json;
}

Failure failure_of(const HttpResponse& response) {
  const int code =
      exit_code_of_status(response.status) == kExitOk ? kExitFailed : exit_code_of_status(response.status);
  const Json body = parse_answer(response.body);
  const std::string title = body.is_object() ? member(body, "title") : "";
  if (title.empty()) {
    std::string shown = escape_control(std::string_view(response.body).substr(0, kShownBodyBytes));
    return Failure(code, "outboxd answered HTTP " + std::to_string(response.status) +
                             (shown.empty() ? "" : ": " + shown));
  }
  std::string text = title;
  if (const std::string detail = member(body, "detail"); !detail.empty()) text += ": " + detail;
  const auto errors = body.find("errors");
  if (errors != body.end() && errors->is_array()) {
    for (const Json& error : *errors) {
      if (error.is_object()) text += "\n  " + member(error, "pointer") + ": " + member(error, "detail");
    }
  }
  return Failure(code, text);
}

namespace {

Json object_of(const HttpResponse& response) {
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  return response.body.empty() ? Json::object() : json_of(response);
}

}  // namespace

std::string ApiClient::get_bytes(const std::string& path) {
  HttpResponse response = send("GET", path, {}, {});
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  return std::move(response.body);
}

Json ApiClient::get(const std::string& path) {
  const HttpResponse response = send("GET", path, {}, {});
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  return json_of(response);
}

Json ApiClient::post(const std::string& path, std::string_view body, Millis timeout) {
  return object_of(send("POST", path, body, "application/json", timeout));
}

Json ApiClient::post_patiently(const std::string& path, std::string_view body, const Waiting& waiting) {
  return object_of(send_patiently("POST", path, body, "application/json", waiting));
}

Json ApiClient::patch(const std::string& path, std::string_view body) {
  const HttpResponse response = send("PATCH", path, body, "application/json");
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
  return json_of(response);
}

void ApiClient::remove(const std::string& path) {
  const HttpResponse response = send("DELETE", path, {}, {});
  if (exit_code_of_status(response.status) != kExitOk) throw failure_of(response);
}

}  // namespace outboxd::ctl
