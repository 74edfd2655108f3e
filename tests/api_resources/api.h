// The API's handlers over a real SQLite store in a folder of its own; the delivery loop is a set of notes on
// what it was told.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/context.h"
#include "api/routes.h"
#include "common/json.h"
#include "store/store.h"

namespace outboxd::test {

class SettableClock final : public Clock {
 public:
  Time wall() const override { return Time(Millis(wall_.load())); }
  MonotonicTime monotonic() const override { return std::chrono::steady_clock::now(); }
  void advance(Millis by) { wall_ += by.count(); }

 private:
  std::atomic<std::int64_t> wall_{1'790'000'000'000};
};

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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
  ~Api();

  using Headers = std::vector<HeaderField>;
  // Calls the handler of the route that takes this. `target` may have a query, without percent-encoding. A
  // body is sent as application/json unless the headers say otherwise.
  Sent call(const std::string& method, const std::string& target, const std::string& body = "",
            Headers headers = {});
  // These fail the test unless they succeed.
  std::string add_endpoint(const std::string& members = "");  // beside its url; the id
  std::string add_event(
      const std::string& members = "");  // beside type order.paid and payload {"n":1.10}; the id
  std::string only_delivery(const std::string& event);  // the id
  void record(const std::string& delivery, DeliveryState state,
              std::optional<Attempt> attempt = std::nullopt);

  void take(std::vector<DueDelivery> deliveries);  // as the delivery loop would

  TemporaryFolder folder;
  SettableClock clock;
  UuidGenerator ids{clock};
  telemetry::Metrics metrics;
  std::unique_ptr<Store> store;
  GroupCommit commits;
  EndpointDirectory directory{commits};
  FanOut fan_out;
  Ingest ingest;
  api::ReaderPool readers;
  api::AttemptFeed attempts;
  api::Context context;
  std::vector<api::Route> routes;

  api::Scope scope = api::Scope::kAdmin;  // of those who call

  std::mutex mutex;
  std::vector<std::pair<EndpointSeq, Time>> woken;  // guarded by mutex, like all below
  std::vector<DeliveryKey> forgotten;
  std::vector<DueDelivery> fresh;
  std::vector<std::pair<EndpointPtr, Event>> tests_sent;
};

}  // namespace outboxd::test
