// The API's handlers over a real SQLite store in a folder of its own, on one thread. The delivery side is a list of the
// facts that it would hear.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/context.h"
#include "api/router.h"
#include "api/routes.h"
#include "common/json.h"
#include "store/store.h"
#include "support/fake_exchange.h"
#include "support/temporary_folder.h"

namespace outboxd::test {

struct Sent {
  int status = 0;
  std::string body;
  mutable Json json;  // of the body, discarded when it is none; mutable: reading an absent member gives null
  std::vector<HeaderField> headers;
  std::string content_type;

  std::string header(const std::string& name) const;  // "" when absent
  std::vector<std::string> pointers() const;          // of a problem's errors
  std::string problem() const;                        // its type without "/problems/"
};

struct Api {
  Api();

  using Headers = std::vector<HeaderField>;
  // Calls the handler of the route that takes this, and commits until it has answered. A body is sent as
  // application/json unless the headers say otherwise.
  Sent call(const std::string& method, const std::string& target, const std::string& body = "",
            Headers headers = {});
  // The same in two steps, for requests that are under way together. All are answered by the first answer().
  std::shared_ptr<FakeExchange> begin(const std::string& method, const std::string& target,
                                      const std::string& body = "", Headers headers = {});
  Sent answer(FakeExchange& exchange);
  // These fail the test unless they succeed.
  std::string add_endpoint(const std::string& members = "");  // beside its url; the id
  std::string add_event(
      const std::string& members = "");  // beside type order.paid and payload {"n":1.10}; the id
  std::string only_delivery(const std::string& event);  // the id
  void record(const std::string& delivery, DeliveryState state,
              std::optional<Attempt> attempt = std::nullopt);
  template <class C>
  void commit(C command) {
    bool done = false;
    commits.submit(std::move(command), [&done](const C&, const Result<typename C::Answer>& answer) {
      done = answer.has_value();
    });
    run();
    require_committed(done);
  }

  // Runs SQL as a producer would, on a connection of its own. False: the database refused it.
  bool produce(const std::string& sql) const;

  // The facts of one kind, in order.
  template <class F>
  std::vector<F> told() const {
    std::vector<F> all;
    for (const Fact& fact : facts) {
      if (const auto* one = std::get_if<F>(&fact)) all.push_back(*one);
    }
    return all;
  }
  std::vector<DeliveryKey> withdrawn() const;

  TemporaryFolder folder;
  ManualClock clock{from_unix_millis(1'790'000'000'000)};
  UuidGenerator ids{clock};
  telemetry::Metrics metrics;
  std::unique_ptr<Store> store;
  GroupCommit commits;
  EndpointDirectory directory;
  Ingest ingest;
  BatchTargets batch_targets{directory, [this] { return clock.wall() - std::chrono::days(7); }};
  api::ReaderPool readers;
  api::AttemptFeed attempts;
  const std::shared_ptr<api::AuditLog> audit = std::make_shared<api::AuditLog>(clock);
  api::Context context;
  const std::vector<api::Route> routes;
  const api::Router router;

  api::Scope scope = api::Scope::kAdmin;  // of those who call
  std::optional<std::string> tenant;      // theirs alone
  api::Transport transport = api::Transport::kUnixSocket;
  bool from_browser = false;  // let in by the session's cookie
  bool on_loop = false;       // handlers are called as on the API's loop
  Facts facts;                // of every commit
  std::vector<std::pair<EndpointPtr, Event>> tests_sent;
  std::vector<std::string> refusals;  // that handlers had logged

 private:
  void fill_context();
  void run();
  static void require_committed(bool done);
};

}  // namespace outboxd::test
