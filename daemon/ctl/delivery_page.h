// `delivery show`: all that is known of one delivery, for a person who has to act on it. Pure.
#pragma once

#include <string>
#include <vector>

#include "ctl/output.h"

namespace outboxd::ctl {

struct DeliveryPage {
  Json delivery;  // as GET /v1/deliveries/{id} answers
  Json event;     // null: it is gone
  Json endpoint;  // null: it was removed
  Json stats;     // of the endpoint
  Json request;   // what an attempt would be now; null: there would be none
};
std::string render_delivery(const DeliveryPage& page, const Style& style);

// The attempts of a delivery, and how a table shows them.
std::vector<Column> attempt_columns();
std::vector<Json> attempts_of(const Json& delivery);

}  // namespace outboxd::ctl
