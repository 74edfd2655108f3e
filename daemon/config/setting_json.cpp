#include "config/setting_json.h"

namespace outboxd::config {

Json value_of(const Setting& setting) {
  Json value = Json::parse(setting.value, nullptr, false);
  return value.is_discarded() ? Json(setting.value) : value;
}

}  // namespace outboxd::config
