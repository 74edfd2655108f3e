// The HTTP API as commands see it: paths in, JSON out. Any answer but a 2xx is thrown as a Failure with the exit status
// of failure.h and the daemon's own explanation; no answer at all is exit status 5. Used by one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/json.h"
#include "ctl/failure.h"
#include "ctl/http_client.h"

namespace outboxd::ctl {

// A path with its query; values are percent-encoded here and nowhere else.
class Path {
 public:
  explicit Path(std::string path) : text_(std::move(path)) {}
  Path& with(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool has_query_ = false;
};
std::string percent_encode(std::string_view text);
// Of an endpoint as an operator calls it: by its name, its id, or the beginning of its id.
std::string path_of_endpoint(std::string_view name_or_id);

class ApiClient {
 public:
  struct Options {
    std::string socket;  // either this
    std::string url;     // or this, without a trailing slash
    std::string token;
    std::string ca_file;  // for https://; empty: the system's
  };
  explicit ApiClient(Options options) : options_(std::move(options)) {}
  const Options& options() const { return options_; }

  // Returns an answer of any status; throws only when there was none.
  HttpResponse send(std::string_view method, const std::string& path, std::string_view body,
                    std::string_view content_type, Millis timeout = kRequestTimeout);

  // The same, but asks again for some minutes while the daemon is busy (429, 503: it kept nothing of the request).
  // `waiting` is called each time with a message for the user.
  using Waiting = std::function<void(const std::string& message)>;
  HttpResponse send_patiently(std::string_view method, const std::string& path, std::string_view body,
                              std::string_view content_type, const Waiting& waiting);

  // Follows a stream of server-sent events until it ends or is stopped; throws unless it began. `last_event_id`: of the
  // last event seen, to go on behind it; "": of none.
  void stream(const std::string& path, const std::string& last_event_id, const AnswerReceiver& receiver);

  // For a proxy: somebody else's request, sent as it is but for the token, and the answer whatever it is. An answer that
  // goes on is received as HttpClient::receive() does. Throw only when there was no answer.
  struct Forwarded {
    std::string method, path;  // `path` with its query
    std::vector<HeaderField> headers;
    std::string body;
  };
  HttpResponse forward(const Forwarded& request);
  HttpResponse forward(const Forwarded& request, const AnswerReceiver& receiver);

  std::string get_bytes(const std::string& path);
  Json get(const std::string& path);
  // `body` is JSON text, sent as it is.
  Json post(const std::string& path, std::string_view body, Millis timeout = kRequestTimeout);
  Json post_patiently(const std::string& path, std::string_view body, const Waiting& waiting);
  Json patch(const std::string& path, std::string_view body);
  void remove(const std::string& path);

 private:
  std::string where() const;
  HttpRequest request_for(std::string_view method, const std::string& path) const;
  HttpRequest request_for(const Forwarded& forwarded) const;
  Failure unreachable(const std::string& why) const;

  Options options_;
  HttpClient http_;
};

// What a refusal means to the user: `<title>: <detail>`, then a line for each field error. Reads problem+json, and
// copes with less.
Failure failure_of(const HttpResponse& response);
// Text that something sent as JSON. Discarded when it is none, or is nested deeper than the daemon ever answers: writing
// JSON out recurses, and something else than outboxd may be answering.
Json parse_answer(const std::string& text);
// The body of a 2xx as JSON.
Json json_of(const HttpResponse& response);

}  // namespace outboxd::ctl
