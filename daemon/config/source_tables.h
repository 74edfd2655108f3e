// The tables [[source]]: unlike all other keys there may be several, so they are not in the table of keys. For this
// folder.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <toml++/toml.h>

#include "config/config.h"

namespace outboxd::config {

inline constexpr std::string_view kSourceSection = "source";
inline constexpr std::size_t kMaxSources = 16;

// Called for each error, with its place and a text that begins with the key.
using ReportAt = std::function<void(const toml::source_region& where, const std::string& what)>;
// Reads what a file has under `source`, after the sources `before`. `added` is called with each good one.
void read_sources(const toml::node& node, const std::vector<Config::Source>& before, const ReportAt& report,
                  const std::function<void(const toml::source_region& where, Config::Source)>& added);

// What the documentation says of it.
struct SourceKey {
  std::string_view name, example, doc, expected;
};
inline constexpr std::string_view kSourceDoc =
    "An application's own database whose table outbox is relayed, an SQLite file or a PostgreSQL database; "
    "one "
    "[[source]] for each, at most 16, in files only. The table is made by: outboxctl source ddl | sqlite3 "
    "FILE, or: outboxctl source ddl --postgresql | psql -q -1 URL.";
inline constexpr SourceKey kSourceKeys[] = {
    {"name", "\"shop\"", "Names it in outboxctl source list, in the log and in metrics.",
     "1 to 64 of a-z 0-9 _ -, each name once"},
    {"url", "\"sqlite:///srv/shop/app.db\"",
     "The file; outboxd's user must be able to write to it and to its folder, which is on a local disk. Or "
     "the "
     "database, as in store.url, such as \"postgresql://outboxd@db.corp/shop\": of several daemons that name "
     "it "
     "one relays it at a time.",
     "a URL such as \"sqlite:///srv/shop/app.db\" or \"postgresql://outboxd@db.corp/shop\", each database "
     "once"},
};

}  // namespace outboxd::config
