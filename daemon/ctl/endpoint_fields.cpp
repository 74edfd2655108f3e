#include "ctl/endpoint_fields.h"

#include <string_view>

#include "common/endpoint.h"
#include "ctl/input.h"
#include "ctl/json_text.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

Json or_none(const std::string& argument) {
  return argument == "none" ? Json(nullptr) : Json(argument);
}

// Not JSON until values stand in it, so it is the daemon that judges it.
Json template_argument(const std::string& argument) {
  if (!argument.starts_with('@')) return or_none(argument);
  return Json(read_file(argument.substr(1), kMaxInputBytes, "--body-template"));
}

// What it holds is secret, so it is never an argument itself.
std::string json_file(const std::string& file, std::string_view option) {
  return file == "none" ? "null" : json_argument("@" + file, option);
}

}  // namespace

void add_field_options(CLI::App* command, EndpointFields& f) {
  command->add_option("--name", f.name, "A name for people")->check(has_length(0, 255));
  command
      ->add_option("--types", f.types,
                   "Patterns of the event types it wants: order.paid,order.*,invoice.** (default **)")
      ->check(is_patterns());
  command
      ->add_option("--filter", f.filter,
                   "What it asks of an event's payload: {\"/amount\": {\"gte\": 100}} (JSON Pointers; eq, "
                   "ne, lt, lte, "
                   "gt, gte, in, exists, prefix), @FILE, or none")
      ->type_name("JSON|@FILE");
  command->add_option("--secret-file", f.secret_file,
                      "A file with its signing secret, whsec_… or whsk_… (default: a new one is made)");
  command->add_option("--format", f.format, "raw, standard or cloudevents")
      ->check(CLI::IsMember({"raw", "standard", "cloudevents"}));
  command
      ->add_option("--body-template", f.body_template,
                   "The body instead of the payload: JSON in which {{/customer/name}} stands for a value of "
                   "the payload; @FILE, or none")
      ->type_name("JSON|@FILE");
  command->add_option("--content-type", f.content_type, "The request's content-type; or none: the body's own")
      ->check(has_length(1, 255));
  command
      ->add_option("--auth-file", f.auth_file,
                   "A file with credentials for each request: {\"bearer\": …}, {\"basic\": {\"user\", "
                   "\"password\"}} or {\"header\": {\"name\", \"value\"}}; or none")
      ->type_name("FILE");
  command
      ->add_option("--signatures-file", f.signatures_file,
                   "A file with signatures that existing receivers know, beside its own: [{\"scheme\": "
                   "\"github\", \"secret\": …}] (github, stripe, hmac); or none")
      ->type_name("FILE");
  command->add_option("--disable-after", f.disable_after,
                      "Disable it when every attempt has failed for so long: 5d, never");
  command->add_option("--timeout", f.timeout, "For one attempt")->check(is_duration());
  command->add_option("--retry-schedule", f.retry_schedule, "The waits before each attempt: 0s,5s,5m")
      ->check(is_retry_schedule());
  command->add_option("--max-in-flight", f.max_in_flight, "Requests to it at a time")
      ->check(CLI::Range(1, 1000));
  command
      ->add_option("--rate-limit", f.rate_limit,
                   "Requests to it in a second, minute, hour or day: 100/s; or none")
      ->check(is_rate_limit());
  command
      ->add_option("--ordering", f.ordering,
                   "What goes one at a time: none, key (events with the same ordering key) or endpoint (all)")
      ->check(CLI::IsMember({"none", "key", "endpoint"}));
  command
      ->add_option("--on-failure-in-order", f.on_failure_in_order,
                   "What those behind a failing one do: block (wait) or skip (go on without it)")
      ->check(CLI::IsMember({"block", "skip"}));
  command->add_option("--header", f.headers, "A header for each request, name:value; may be repeated")
      ->check(is_header())
      ->allow_extra_args(false);
  command->add_option(
      "--ca-file", f.ca_file,
      "Authorities (PEM, on the daemon's machine, or credential:NAME) to trust instead of the system's");
  command->add_option("--client-cert", f.client_cert, "Certificate (PEM) to show it, with --client-key");
  command->add_option("--client-key", f.client_key, "Its private key (PEM)");
  command->add_option("--metadata", f.metadata, "A JSON object of your own")->check(is_json_object());
}

std::string endpoint_body(const EndpointFields& f) {
  ObjectText body;
  body.add_if("url", f.url).add_if("name", f.name).add_if("tenant", f.tenant);
  if (f.types) body.add("types", split_list(*f.types));
  if (f.secret_file) body.add("secret", read_secret(*f.secret_file, "--secret-file"));
  if (!f.headers.empty()) {
    Json headers = Json::object();
    for (const std::string& text : f.headers) {
      const HeaderField field = split_header(text);
      headers[field.name] = field.value;
    }
    body.add("headers", headers);
  }
  body.add_if("format", f.format).add_if("timeout", f.timeout);
  if (f.retry_schedule) body.add("retry_schedule", split_list(*f.retry_schedule));
  body.add_if("max_in_flight", f.max_in_flight);
  if (f.rate_limit) body.add("rate_limit", or_none(*f.rate_limit));
  body.add_if("ordering", f.ordering).add_if("on_failure_in_order", f.on_failure_in_order);
  if (f.no_tls) body.add("tls", Json(nullptr));
  if (f.ca_file || f.client_cert || f.client_key) {
    Json tls = Json::object();
    if (f.ca_file) tls["ca_file"] = *f.ca_file;
    if (f.client_cert) tls["client_cert"] = *f.client_cert;
    if (f.client_key) tls["client_key"] = *f.client_key;
    body.add("tls", tls);
  }
  if (f.filter) body.add_raw("filter", *f.filter == "none" ? "null" : json_argument(*f.filter, "--filter"));
  if (f.body_template) body.add("body_template", template_argument(*f.body_template));
  if (f.content_type) body.add("content_type", or_none(*f.content_type));
  if (f.auth_file) body.add_raw("auth", json_file(*f.auth_file, "--auth-file"));
  if (f.signatures_file) body.add_raw("signatures", json_file(*f.signatures_file, "--signatures-file"));
  body.add_if("disable_after", f.disable_after);
  if (f.metadata) body.add_raw("metadata", *f.metadata);
  return body.empty() ? std::string() : body.text();
}

}  // namespace outboxd::ctl
