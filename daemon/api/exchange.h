// What a handler of the API sees: one request, and the means to answer it once, now or later (after a
// commit), from any thread. Handlers never see a socket or a parser.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/access.h"
#include "common/event.h"
#include "common/problem.h"

namespace outboxd::api {

bool only_reads(std::string_view method);  // GET, HEAD, OPTIONS

enum class Transport { kUnixSocket, kTcp, kTls };  // kTls: over TCP too

struct Request {
  std::string method;
  std::string path;                               // decoded, without the query
  std::vector<std::string> path_parameters;       // decoded, in the order of the route's {placeholders}
  std::multimap<std::string, std::string> query;  // decoded
  std::vector<HeaderField> headers;               // values exactly as sent, framing headers removed
  std::string body;                               // exactly as sent, chunking undone
  Scope scope = Scope::kNone;                     // what the caller may do
  std::string who;                                // for records: "token deploy", "uid 1000"
  std::optional<std::string> tenant = {};         // the only one he may see and touch; absent: all
  bool from_browser = false;                      // the session's cookie lets it in (browser_session.h)
  Transport transport = Transport::kUnixSocket;
  std::string peer;  // for logs: "unix:uid=1000,gid=1000,pid=4711" or "127.0.0.1:50712"

  std::optional<std::string_view> header(std::string_view name) const;  // case-insensitive, the first one
  // May the caller see and touch what belongs to this tenant? What he may not see is answered like what does not exist.
  bool may_see(std::string_view other) const { return !tenant || *tenant == other; }
  bool from_operator() const { return scope == Scope::kAdmin && !tenant; }
};

// The rest of an answer that goes on for as long as the client stays.
class AnswerStream {
 public:
  virtual ~AnswerStream() = default;
  // The next piece; "" when there is none yet: it is asked again in a moment. Runs on a worker, one call at a time, and
  // only when all before it has been sent: for a client that reads slowly nothing piles up.
  virtual std::string next() = 0;
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<HeaderField> headers;           // extra ones
  std::shared_ptr<AnswerStream> stream = {};  // what follows the body; null: nothing
};
Answer json_answer(int status, std::string body);
Answer problem_answer(const Problem& problem);  // application/problem+json; Retry-After with 429 and 503

class Exchange;
using ExchangePtr = std::shared_ptr<Exchange>;
using Handler = std::function<void(const ExchangePtr&)>;

using MakeAnswer = std::function<Result<Answer>(const Request&)>;

// Bodies up to this size may be handled on the API's loop. A hop to a worker costs 10 to 20 us; parsing costs 3 us a KiB
// of text, 45 of nothing but tiny numbers, and more only if there are many errors to report (4 KiB of unknown fields:
// 0.5 ms). Beyond this size the hop does not matter, and the loop would be held up.
inline constexpr std::size_t kMaxQuickBody = 4u << 10;

// One request under way. Dropping it unanswered answers 500: a request never hangs.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  // Is its handler called on the API's loop, which serves everybody? Then it may neither wait nor work for long; for
  // that it calls resume(). Only handlers of quick routes need to ask.
  virtual bool on_loop() const { return false; }
  // Continues with `rest` on a worker: for an answer that needs something from another thread, and then more work than
  // that thread should do. Any thread, before respond(), and not again until `rest` runs.
  virtual void resume(Handler rest) = 0;
  virtual void respond(Answer answer) = 0;  // the first call counts, any thread
  // The same for those who hear of a commit, on the writer's thread, which has no time to render and to log: `make` does
  // it, on the API's loop. It must be short and wait for nothing. What it throws is logged and answered with 500.
  virtual void respond_with(MakeAnswer make) = 0;
  void respond(const Problem& problem) { respond(problem_answer(problem)); }
  void respond(Result<Answer> answer) { answer ? respond(std::move(*answer)) : respond(answer.error()); }
};

struct Route {
  std::string method;
  std::string path;  // "/v1/events/{id}"
  Access access;     // no default: a route that does not declare it does not compile
  Handler handler;
  // Requests with bodies up to kMaxQuickBody may be handled on the API's loop: a hop less. For handlers that look at
  // Exchange::on_loop(). The path has no placeholder.
  bool quick = false;
};

}  // namespace outboxd::api
