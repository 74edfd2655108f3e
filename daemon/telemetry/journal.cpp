#include "telemetry/journal.h"

#include <sys/uio.h>
#include <syslog.h>

#define SD_JOURNAL_SUPPRESS_LOCATION  // else CODE_FILE would be this file for every entry
#include <systemd/sd-journal.h>

namespace outboxd::log {
namespace {

constexpr std::size_t kMaxJournalFieldName = 64;  // the journal drops entries with longer names

int priority(Level level) {
  switch (level) {
    case Level::kDebug:
      return LOG_DEBUG;
    case Level::kInfo:
      return LOG_INFO;
    case Level::kWarn:
      return LOG_WARNING;
    case Level::kError:
      break;
  }
  return LOG_ERR;
}

// Field names consist of A-Z, 0-9 and underscores.
std::string field_name(std::string_view key) {
  std::string name = "OUTBOXD_";
  for (const char c : key.substr(0, kMaxJournalFieldName - name.size())) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name.push_back(lower ? static_cast<char>(c - 'a' + 'A') : kept ? c : '_');
  }
  return name;
}

}  // namespace

std::vector<std::string> journal_fields(Level level, std::string_view message, Fields fields) {
  std::vector<std::string> entries;
  entries.reserve(3 + fields.size());
  entries.push_back("MESSAGE=" + std::string(message));
  entries.push_back("PRIORITY=" + std::to_string(priority(level)));
  entries.emplace_back("SYSLOG_IDENTIFIER=outboxd");
  for (const auto& field : fields) entries.push_back(field_name(field.key) + "=" + field.value);
  return entries;
}

bool send_to_journal(std::vector<std::string> entry) {
  std::vector<iovec> parts;
  parts.reserve(entry.size());
  for (auto& field : entry) parts.push_back({field.data(), field.size()});
  return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) >= 0;
}

}  // namespace outboxd::log
