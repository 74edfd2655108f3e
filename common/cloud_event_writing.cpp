#include "common/cloud_event.h"
#include "common/json.h"
#include "common/media_type.h"
#include "common/text.h"
#include "common/time.h"

namespace outboxd {
namespace {

// The name before the data, and what closes the object: so that the data is not copied again for that.
constexpr std::size_t kAroundData = 20;

void add_text(std::string& json, std::string_view name, std::string_view value) {
  json.append("\"").append(name).append("\":").append(dump(Json(std::string(value)))).append(",");
}

// What stands between the braces of an object that has members; "" otherwise.
std::string_view members_of(std::string_view object) {
  JsonScanner scanner(object);
  bool any = false;
  scanner.open_object();
  while (scanner.next_member()) any = scanner.value().has_value();
  if (!scanner.finish() || !any) return "";
  object = trim(object);
  return object.substr(1, object.size() - 2);
}

}  // namespace

std::string write_cloud_event(const Event& event) {
  std::string json = "{";
  const auto given = event.cloud_event ? members_of(*event.cloud_event) : "";
  if (!given.empty()) {
    json.append(given).append(",");
  } else {
    add_text(json, "specversion", "1.0");
    add_text(json, "id", event.id.to_string());
    add_text(json, "source", event.tenant.empty() ? "/outboxd" : "/outboxd/" + event.tenant);
    add_text(json, "type", event.type);
    add_text(json, "time", format_time(event.created_at));
  }
  add_text(json, "datacontenttype", event.content_type);
  append_data(json, event);
  json += '}';
  return json;
}

void append_data(std::string& json, const Event& event) {
  const bool checked = event.json_checked && is_json_type(event.content_type);
  if (declares_json(event.content_type) && (checked || is_json(event.payload))) {
    json.reserve(json.size() + event.payload.size() + kAroundData);
    json.append("\"data\":").append(event.payload);
  } else {
    json.reserve(json.size() + (event.payload.size() + 2) / 3 * 4 + kAroundData);
    json.append("\"data_base64\":\"");
    append_base64(json, event.payload);
    json.append("\"");
  }
}

}  // namespace outboxd
