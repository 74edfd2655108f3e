// What `top` shows of GET /v1/status and of the endpoints with their stats: sorted, filtered, laid out. Pure. Figures that
// the daemon does not give are shown as "-".
#pragma once

#include <string>
#include <vector>

#include "ctl/output.h"

namespace outboxd::ctl {

enum class TopOrder { kBacklog, kOldest, kErrors, kName };

struct TopState {
  TopOrder order = TopOrder::kBacklog;
  std::string filter;     // only endpoints whose name, id, URL, state or error has this, whatever the case
  bool typing = false;    // the filter is being written
  std::string complaint;  // why the figures are old; "": they are not
};

// The endpoints that pass the filter, the first ones worst.
std::vector<Json> arranged(std::vector<Json> endpoints, const TopState& state);

// Once, for a file or a pipe.
std::string render_top(const Json& status, const std::vector<Json>& endpoints, const Style& style);
// A screen of exactly so many lines, none wider than `columns`; the last line ends without a newline.
std::string render_top_screen(const Json& status, const std::vector<Json>& endpoints, const TopState& state,
                              const Style& style, int columns, int lines);

}  // namespace outboxd::ctl
