#include "ctl/run.h"
#include "runtime/standard_descriptors.h"
#include "store/sqlite/source_file.h"
#include "store/sqlite/sqlite_tools.h"

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

ctl::DatabaseSchema schema_of(const SqliteSchema& schema) {
  return {schema.current, schema.known};
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  ctl::DatabaseTools tools;
  tools.check = [](const std::string& path, bool quick) {
    return telling([&] { return check_sqlite(at(path), quick); });
  };
  tools.backup = [](const std::string& path, const std::string& target, const ctl::Progress& progress) {
    telling([&] { backup_sqlite(at(path), target, progress); });
  };
  tools.schema = [](const std::string& path) {
    return telling([&] { return schema_of(sqlite_schema(at(path))); });
  };
  tools.migrate = [](const std::string& path) {
    return telling([&] { return schema_of(migrate_sqlite(at(path))); });
  };
  tools.source_ddl = [] { return telling(source_file_ddl); };
  tools.source_check = [](const std::string& path) {
    const SourceFileReport found = check_source_file(path);
    return ctl::SourceCheck{found.problem, found.journal_mode, found.counts.waiting, found.counts.rejected};
  };
  return ctl::run(argc, argv, tools);
}
