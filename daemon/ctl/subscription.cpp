#include "ctl/subscription.h"

#include <memory>

#include "common/id.h"
#include "common/mutex.h"
#include "common/openssl.h"
#include "common/text.h"
#include "ctl/json_text.h"
#include "ctl/output.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kNameBytes = 4;

}  // namespace

Subscription subscribe(ApiClient& api, int port, const std::vector<std::string>& types,
                       const std::optional<std::string>& tenant) {
  Subscription made;
  made.name = "listen-" + hex_encode(random_bytes(kNameBytes));
  ObjectText body;
  body.add("url", "http://127.0.0.1:" + std::to_string(port) + "/")
      .add("name", made.name)
      .add("types", types);
  body.add_if("tenant", tenant);
  // Should we be killed, what is left behind soon gives up.
  body.add("retry_schedule", Json{"0s", "1s", "5s", "30s"});
  try {
    const Json endpoint = api.post("/v1/endpoints", body.text());
    made.id = member_text(endpoint, "id");
    made.secret = member_text(endpoint, "secret");
  } catch (const Failure& failure) {
    if (failure.exit_code != kExitRefused) throw;
    throw Failure(failure.exit_code,
                  std::string(failure.what()) +
                      "\nFor this the daemon must be on this machine and have [policy] allow_http = true, "
                      "allow_networks = [\"127.0.0.0/8\"], ports = []; outboxctl dev starts one that does.");
  }
  return made;
}

bool unsubscribe(ApiClient& api, const Subscription& subscription, std::string& why) {
  try {
    api.remove(path_of_endpoint(subscription.id));
    return true;
  } catch (const Failure& failure) {
    why = failure.what();
    return false;
  }
}

SentBody body_known_to(ApiClient::Options daemon) {
  struct Client {
    explicit Client(ApiClient::Options options) : api(std::move(options)) {}
    Mutex mutex;
    ApiClient api OUTBOXD_GUARDED_BY(mutex);
  };
  return [client = std::make_shared<Client>(std::move(daemon))](
             const std::string& event) -> std::optional<std::string> {
    if (!EventId::parse(event)) return std::nullopt;
    const MutexLock lock(client->mutex);
    try {
      return client->api.get_bytes("/v1/events/" + event + "/payload");
    } catch (const Failure&) {
      return std::nullopt;  // a test event, which is not stored; or the daemon is gone
    }
  };
}

}  // namespace outboxd::ctl
