#include "ctl/run.h"
#include "runtime/standard_descriptors.h"
#include "store/copy.h"
#include "store/sqlite/source_file.h"
#include "store/sqlite/sqlite_copy.h"
#include "store/sqlite/sqlite_tools.h"
#ifdef OUTBOXD_POSTGRESQL
#include "store/postgresql/postgres_copy.h"
#include "store/postgresql/postgres_tools.h"
#include "store/postgresql/source_database.h"
#endif

namespace {

using namespace outboxd;

template <class Tool>
auto telling(Tool tool) {
  try {
    return tool();
  } catch (const std::runtime_error& error) {
    throw ctl::DatabaseFailure(error.what());
  }
}

SqliteOptions at(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  return options;
}

template <class Schema>
ctl::DatabaseSchema schema_of(const Schema& schema) {
  return {schema.current, schema.known};
}

bool is_file(const std::string& database) {
  return database.starts_with('/');
}

// What is done with a database on a server.
#ifdef OUTBOXD_POSTGRESQL
PostgresOptions on_server(const std::string& url) {
  PostgresOptions options;
  options.url = url;
  return options;
}
ctl::DatabaseSchema server_schema(const std::string& url) {
  return schema_of(postgres_schema(on_server(url)));
}
ctl::DatabaseSchema migrate_server(const std::string& url) {
  return schema_of(migrate_postgres(on_server(url)));
}
std::vector<std::string> check_server(const std::string& url, bool quick) {
  return check_postgres(on_server(url), quick);
}
bool adopt_server(const std::string& url) {
  return adopt_postgres(on_server(url));
}
std::string examine_server(const std::string& url) {
  return examine_postgres(on_server(url));
}
std::string server_source_ddl() {
  return source_database_ddl();
}
ctl::SourceCheck check_server_source(const std::string& url) {
  const SourceDatabaseReport found = check_source_database(url);
  return {found.problem, "", found.counts.waiting, found.counts.rejected};
}
Copied copy_all(const std::string& from, const std::string& to, const CopyProgress& progress) {
  const auto source = is_file(from) ? copy_from_sqlite(at(from)) : copy_from_postgres(on_server(from));
  const auto target = is_file(to) ? copy_to_sqlite(at(to)) : copy_to_postgres(on_server(to));
  return copy_store(*source, *target, progress);
}
#else
[[noreturn]] void refuse_server() {
  throw std::runtime_error("this outboxctl was built without PostgreSQL");
}
ctl::DatabaseSchema server_schema(const std::string&) {
  refuse_server();
}
ctl::DatabaseSchema migrate_server(const std::string&) {
  refuse_server();
}
std::vector<std::string> check_server(const std::string&, bool) {
  refuse_server();
}
bool adopt_server(const std::string&) {
  refuse_server();
}
std::string examine_server(const std::string&) {
  refuse_server();
}
std::string server_source_ddl() {
  refuse_server();
}
ctl::SourceCheck check_server_source(const std::string&) {
  refuse_server();
}
Copied copy_all(const std::string&, const std::string&, const CopyProgress&) {
  refuse_server();
}
#endif

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  ctl::DatabaseTools tools;
  tools.check = [](const std::string& database, bool quick) {
    return telling([&] {
      return is_file(database) ? check_sqlite(at(database), quick) : check_server(database, quick);
    });
  };
  tools.backup = [](const std::string& path, const std::string& target, const ctl::Progress& progress) {
    telling([&] { backup_sqlite(at(path), target, progress); });
  };
  tools.schema = [](const std::string& database) {
    return telling(
        [&] { return is_file(database) ? schema_of(sqlite_schema(at(database))) : server_schema(database); });
  };
  tools.migrate = [](const std::string& database) {
    return telling([&] {
      return is_file(database) ? schema_of(migrate_sqlite(at(database))) : migrate_server(database);
    });
  };
  tools.adopt = [](const std::string& url) { return telling([&] { return adopt_server(url); }); };
  tools.examine = [](const std::string& url) { return telling([&] { return examine_server(url); }); };
  tools.copy = [](const std::string& from, const std::string& to, const ctl::CopyProgress& progress) {
    const Copied copied = telling([&] { return copy_all(from, to, progress); });
    return std::to_string(copied.events) + " events, " + std::to_string(copied.deliveries) + " deliveries, " +
           std::to_string(copied.attempts) + " attempts, " + std::to_string(copied.endpoints) +
           " endpoints and " + std::to_string(copied.other) + " other rows";
  };
  tools.source_ddl = [](bool postgresql) {
    return telling([postgresql] { return postgresql ? server_source_ddl() : source_file_ddl(); });
  };
  tools.source_check = [](const std::string& database) {
    return telling([&database] {
      if (database.find("://") != std::string::npos) return check_server_source(database);
      const SourceFileReport found = check_source_file(database);
      return ctl::SourceCheck{found.problem, found.journal_mode, found.counts.waiting, found.counts.rejected};
    });
  };
  return ctl::run(argc, argv, tools);
}
