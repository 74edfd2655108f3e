// /v1/outbox/{row}: rows of the SQL outbox that were rejected. They belong to no tenant yet.
#include "api/handling.h"
#include "api/outbox_rows.h"
#include "api/routes.h"
#include "common/text.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxShownPayload = 64u << 10;

Json text_or_null(const std::optional<std::string>& value) {
  return value ? Json(valid_utf8(*value)) : Json(nullptr);
}

Result<std::int64_t> row_number(const Request& request) {
  const std::string& text = request.path_parameters.at(0);
  if (const auto number = parse_int(text); number && *number > 0) return *number;
  return not_found("row of the outbox", text);
}

Result<Answer> show_row(Context& context, const Request& request) {
  if (const auto shown = check_payload_shown(context, request); !shown) return tl::unexpected(shown.error());
  const auto number = row_number(request);
  if (!number) return tl::unexpected(number.error());
  const auto row = context.readers.lend()->rejected_row(*number);
  if (!row) return not_found("rejected row of the outbox", request.path_parameters.at(0));
  Json json = json_of_rejected(*row);
  json["content_type"] = text_or_null(row->content_type);
  json["priority"] = row->priority ? Json(*row->priority) : Json(nullptr);
  json["headers"] = text_or_null(row->headers);
  json["deliver_at"] = text_or_null(row->deliver_at);
  json["expires_at"] = text_or_null(row->expires_at);
  json["traceparent"] = text_or_null(row->traceparent);
  json["payload"] = valid_utf8(std::string_view(row->payload).substr(0, kMaxShownPayload));
  json["payload_cut"] = row->payload.size() > kMaxShownPayload;
  return json_answer(200, json);
}

void resolve_row(Context& context, const ExchangePtr& exchange, bool drop) {
  const auto number = row_number(exchange->request());
  if (!number) return exchange->respond(number.error());
  context.commits.submit(ResolveOutboxRow{*number, drop},
                         [exchange](const ResolveOutboxRow& command, const Result<Nothing>& done) {
                           exchange->respond_with([done, command](const Request& request) -> Result<Answer> {
                             if (!done) return tl::unexpected(done.error());
                             log::info(command.drop ? "outbox row dropped" : "outbox row retried",
                                       {{"row", command.row}, {"by", request.peer}});
                             if (command.drop) return Answer{204, "", "", {}};
                             return json_answer(202, Json{{"row", command.row}});
                           });
                         });
}

void retry_row(Context& context, const ExchangePtr& exchange) {
  if (const auto body = action_body(exchange->request(), {}); !body) return exchange->respond(body.error());
  resolve_row(context, exchange, false);
}

void drop_row(Context& context, const ExchangePtr& exchange) {
  resolve_row(context, exchange, true);
}

}  // namespace

Json json_of_rejected(const OutboxRow& row) {
  return {{"row", row.row},
          {"type", valid_utf8(row.type)},
          {"tenant", text_or_null(row.tenant)},
          {"ordering_key", text_or_null(row.ordering_key)},
          {"idempotency_key", text_or_null(row.idempotency_key)},
          {"payload_bytes", row.payload.size()},
          {"reason", text_or_null(row.rejected)},
          {"rejected_at", row.rejected_at ? Json(format_time(*row.rejected_at)) : Json(nullptr)}};
}

std::vector<Route> outbox_routes(Context& context) {
  return {
      {"GET", "/v1/outbox/{row}", Access::kViewAll, answering(context, show_row)},
      {"POST", "/v1/outbox/{row}/retry", Access::kAdminAll, deferring(context, retry_row)},
      {"DELETE", "/v1/outbox/{row}", Access::kAdminAll, deferring(context, drop_row)},
  };
}

}  // namespace outboxd::api
