// Files of the source tree compiled into the binary, in the order of their names (embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace outboxd::embedded {

struct File {
  std::string_view name;  // "0001_outbox.sql"
  std::string_view text;
};
std::span<const File> sqlite_migrations();
std::span<const File> postgresql_migrations();
std::span<const File> openapi();    // one file: openapi.json
std::span<const File> dashboard();  // the dashboard's pages, and the chart library of a Debian package

}  // namespace outboxd::embedded
