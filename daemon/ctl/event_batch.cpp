#include "ctl/event_batch.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "common/text.h"
#include "ctl/input.h"

namespace outboxd::ctl {
namespace {

HttpResponse post_chunk(Session& session, const BatchChunk& chunk, std::size_t accepted) try {
  return session.api().send_patiently("POST", "/v1/events", chunk.body, "application/x-ndjson",
                                      [&session](const std::string& message) { session.note(message); });
} catch (const Failure& failure) {
  throw Failure(failure.exit_code, std::to_string(accepted) + " events accepted; what became of lines " +
                                       std::to_string(chunk.lines.front()) + " to " +
                                       std::to_string(chunk.lines.back()) + " is unknown: " + failure.what());
}

Failure chunk_failure(HttpResponse response, const BatchChunk& chunk, std::size_t accepted) {
  Json problem = Json::parse(response.body, nullptr, false);
  if (problem.is_object() && problem.contains("errors") && problem["errors"].is_array()) {
    for (Json& error : problem["errors"]) {
      if (error.is_object() && error.contains("pointer") && error["pointer"].is_string()) {
        error["pointer"] = at_line(error["pointer"].get<std::string>(), chunk);
      }
    }
    response.body = dump(problem);
  }
  const Failure failure = failure_of(response);
  const std::string lines =
      "lines " + std::to_string(chunk.lines.front()) + " to " + std::to_string(chunk.lines.back());
  return Failure(accepted == 0 ? failure.exit_code : kExitFailed,
                 std::to_string(accepted) + " events accepted, then " + lines +
                     " refused as a whole: " + failure.what());
}

void print_accepted(Session& session, const std::vector<Json>& rows) {
  const Format format = session.format();
  if (format == Format::kJsonl || format == Format::kId) session.print_rows({}, rows);
}

}  // namespace

BatchChunk BatchReader::next() {
  BatchChunk chunk;
  while (chunk.lines.size() < kMaxBatchEvents) {
    std::string line = std::move(held_);
    held_.clear();
    if (line.empty()) {
      if (!std::getline(in_, line)) break;
      ++line_number_;
    }
    if (line.size() > kMaxBatchLineBytes) {
      throw Failure(kExitUsage, "--batch: line " + std::to_string(line_number_) + " is too long");
    }
    if (trim(line).empty()) continue;
    if (!chunk.lines.empty() && chunk.body.size() + line.size() >= kMaxBatchBytes) {
      held_ = std::move(line);
      break;
    }
    chunk.body.append(line).append("\n");
    chunk.lines.push_back(line_number_);
  }
  return chunk;
}

std::string at_line(const std::string& pointer, const BatchChunk& chunk) {
  if (!pointer.starts_with('/')) return pointer;
  const std::size_t end = std::min(pointer.find('/', 1), pointer.size());
  const auto index = parse_int(std::string_view(pointer).substr(1, end - 1));
  if (!index || *index < 0 || static_cast<std::size_t>(*index) >= chunk.lines.size()) return pointer;
  const std::string rest = pointer.substr(end);
  return "line " + std::to_string(chunk.lines[static_cast<std::size_t>(*index)]) +
         (rest.empty() ? "" : ": " + rest);
}

int send_batch(Session& session, const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  if (path != "-" && !file)
    throw Failure(kExitUsage, "--batch: " + escape_control(path) + ": " + std::strerror(errno));
  BatchReader reader(path == "-" ? std::cin : file);
  std::size_t accepted = 0;
  std::int64_t unmatched = 0;
  for (BatchChunk chunk = reader.next(); !chunk.lines.empty(); chunk = reader.next()) {
    HttpResponse response = post_chunk(session, chunk, accepted);
    if (exit_code_of_status(response.status) != kExitOk)
      throw chunk_failure(std::move(response), chunk, accepted);
    const Json answer = json_of(response);
    const Json data = answer.is_object() ? answer.value("data", Json::array()) : Json::array();
    const std::vector<Json> fresh(data.begin(), data.end());
    print_accepted(session, fresh);
    accepted += chunk.lines.size();
    unmatched += std::ranges::count_if(
        fresh, [](const Json& event) { return member_text(event, "deliveries") == "0"; });
    if (session.shows_progress()) std::cerr << '\r' << accepted << " events accepted" << std::flush;
  }
  if (session.shows_progress()) std::cerr << '\n';
  if (session.format() == Format::kJson) session.print(render_json({{"accepted", accepted}}, true));
  if (session.prints_table()) {
    session.print(std::to_string(accepted) + " events accepted\n");
  }
  if (unmatched > 0)
    session.warn(std::to_string(unmatched) +
                 " of them are delivered to nobody, because no endpoint wants their "
                 "type: outboxctl event types");
  return kExitOk;
}

}  // namespace outboxd::ctl
