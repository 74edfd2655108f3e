// Facts about outcomes, as a commit would produce them.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "store/facts.h"

namespace outboxd::test {

inline OutcomeRecorded outcome_recorded(const EndpointId& endpoint, Attempt attempt, Recorded now = {},
                                        Time at = {}, std::string tenant = {}) {
  auto receiver = std::make_shared<Endpoint>();
  receiver->id = endpoint;
  receiver->tenant = std::move(tenant);
  return {.key = {},
          .now = now,
          .at = at,
          .attempt = std::make_shared<const Attempt>(std::move(attempt)),
          .subject = std::make_shared<const OutcomeSubject>(OutcomeSubject{
              .delivery = {}, .event = {}, .endpoint = std::move(receiver), .type = "order.paid"})};
}

}  // namespace outboxd::test
