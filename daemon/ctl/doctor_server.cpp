#include "ctl/doctor_server.h"

#include <chrono>
#include <optional>
#include <string>

#include "ctl/doctor_setup.h"
#include "ctl/output.h"
#include "ctl/status.h"

namespace outboxd::ctl {
namespace {

constexpr std::int64_t kPartitions = 256;
constexpr std::int64_t kOldSnapshotSeconds = 600;
constexpr std::int64_t kManyDeadRows = 1'000'000;
const char* const kGuide = "docs/several-machines.md";

std::optional<std::int64_t> figure(const Json& status, const char* name) {
  const Json store = status.is_object() ? status.value("store", Json::object()) : Json::object();
  const Json value = store.is_object() ? store.value(name, Json()) : Json();
  return value.is_number() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

void add_over(std::vector<Finding>& findings, const Json& status, const char* name, std::int64_t limit,
              const std::string& found, const std::string& mend) {
  const auto value = figure(status, name);
  if (value && *value > limit) findings.push_back({false, "server", std::to_string(*value) + found, mend});
}

}  // namespace

std::vector<Finding> findings_of_members(const Json& status) {
  std::vector<Finding> findings;
  const std::vector<Json> members = list(status, "members");
  std::int64_t owned = 0;
  for (const Json& member : members) {
    owned += number(member, "partitions");
    const Json age = member.is_object() ? member.value("heartbeat_age_seconds", Json(0)) : Json(0);
    if (!age.is_number() || age.get<double>() < static_cast<double>(kSilentSeconds)) continue;
    const std::chrono::duration<double> silent(age.get<double>());
    findings.push_back({false, "members",
                        member_text(member, "name") + " has not been heard of for " +
                            coarse_duration(std::chrono::floor<Millis>(silent)),
                        "look whether it runs and reaches the database; the others do its work meanwhile"});
  }
  if (!members.empty() && owned < kPartitions)
    findings.push_back({false, "members",
                        std::to_string(kPartitions - owned) + " partitions belong to nobody",
                        "wait for 15 s, for they may be changing hands; then look at the daemons' logs"});
  if (findings.empty() && !members.empty())
    findings.push_back({true, "members",
                        std::to_string(members.size()) +
                            (members.size() == 1 ? " daemon uses the store" : " daemons share the store"),
                        ""});
  return findings;
}

std::vector<Finding> findings_of_server(const Json& status) {
  std::vector<Finding> findings;
  const auto standbys = figure(status, "synchronous_standbys");
  if (!standbys) return findings;
  if (*standbys == 0)
    findings.push_back(
        {false, "server",
         "there is no synchronous standby: when another server takes over, events that were "
         "acknowledged just before may be lost",
         std::string("set synchronous_standby_names, unless its disks are replicated (") + kGuide + ")"});
  const auto oldest = figure(status, "oldest_snapshot_seconds");
  if (oldest && *oldest > kOldSnapshotSeconds)
    findings.push_back({false, "server",
                        "somebody has kept a transaction open for " +
                            coarse_duration(std::chrono::seconds(*oldest)) +
                            ": nothing that was deleted since can be cleaned up",
                        "SELECT pid, usename, xact_start, query FROM pg_stat_activity ORDER BY xact_start"});
  add_over(findings, status, "pending_dead_rows", kManyDeadRows,
           " dead rows in the table pending: autovacuum does not keep up",
           "look for old transactions and for autovacuum settings of that table that were changed");
  add_over(findings, status, "prepared_transactions", 0, " prepared transactions are open",
           "SELECT * FROM pg_prepared_xacts; then COMMIT PREPARED or ROLLBACK PREPARED");
  add_over(findings, status, "inactive_slots", 0,
           " replication slots are used by nobody, and keep the write-ahead log",
           "SELECT * FROM pg_replication_slots WHERE NOT active; then pg_drop_replication_slot()");
  if (findings.empty())
    findings.push_back({true, "server", std::to_string(*standbys) + " synchronous standbys", ""});
  return findings;
}

}  // namespace outboxd::ctl
