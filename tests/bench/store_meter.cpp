#include "bench/store_meter.h"

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace outboxd::bench {
namespace {

constexpr std::int64_t kLogHeader = 32, kFrameHeader = 24, kPage = 4096;
constexpr std::int64_t kFrame = kFrameHeader + kPage;

sqlite3_vfs* system_vfs = nullptr;
sqlite3_vfs counting_vfs;
FileCounts counts;

// The system's file follows this one in memory.
struct CountedFile {
  sqlite3_file base;
  bool is_log;
};
sqlite3_file* below(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<CountedFile*>(file) + 1);
}

// Each frame begins with its page's number, big-endian.
void count_frames(const unsigned char* bytes, std::int64_t size, std::int64_t at) {
  const std::int64_t first = std::max<std::int64_t>(0, (at - kLogHeader + kFrame - 1) / kFrame);
  for (std::int64_t frame = kLogHeader + first * kFrame; frame + 4 <= at + size; frame += kFrame) {
    const unsigned char* const page = bytes + (frame - at);
    ++counts.frames[std::uint32_t{page[0]} << 24 | std::uint32_t{page[1]} << 16 |
                    std::uint32_t{page[2]} << 8 | std::uint32_t{page[3]}];
  }
}

int write_counted(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  const bool is_log = reinterpret_cast<CountedFile*>(file)->is_log;
  ++(is_log ? counts.log_writes : counts.database_writes);
  (is_log ? counts.log_bytes : counts.database_bytes) += size;
  if (is_log) count_frames(static_cast<const unsigned char*>(bytes), size, at);
  return below(file)->pMethods->xWrite(below(file), bytes, size, at);
}

int sync_counted(sqlite3_file* file, int flags) {
  ++(reinterpret_cast<CountedFile*>(file)->is_log ? counts.log_syncs : counts.database_syncs);
  return below(file)->pMethods->xSync(below(file), flags);
}

// Hands the call of this name on to the system's file.
template <auto Method, class... Args>
auto hand_on(sqlite3_file* file, Args... args) {
  return (below(file)->pMethods->*Method)(below(file), args...);
}
using Methods = sqlite3_io_methods;

const Methods kMethods = {
    .iVersion = 2,  // shared memory, but no memory map
    .xClose = hand_on<&Methods::xClose>,
    .xRead = hand_on<&Methods::xRead>,
    .xWrite = write_counted,
    .xTruncate = hand_on<&Methods::xTruncate>,
    .xSync = sync_counted,
    .xFileSize = hand_on<&Methods::xFileSize>,
    .xLock = hand_on<&Methods::xLock>,
    .xUnlock = hand_on<&Methods::xUnlock>,
    .xCheckReservedLock = hand_on<&Methods::xCheckReservedLock>,
    .xFileControl = hand_on<&Methods::xFileControl>,
    .xSectorSize = hand_on<&Methods::xSectorSize>,
    .xDeviceCharacteristics = hand_on<&Methods::xDeviceCharacteristics>,
    .xShmMap = hand_on<&Methods::xShmMap>,
    .xShmLock = hand_on<&Methods::xShmLock>,
    .xShmBarrier = hand_on<&Methods::xShmBarrier>,
    .xShmUnmap = hand_on<&Methods::xShmUnmap>,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_counted(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  new (file) CountedFile{.base = {}, .is_log = (flags & SQLITE_OPEN_WAL) != 0};
  const int rc = system_vfs->xOpen(system_vfs, name, below(file), flags, out_flags);
  if (below(file)->pMethods != nullptr) file->pMethods = &kMethods;
  return rc;
}

std::map<std::string, std::int64_t> statement_runs;

// "INSERT INTO event (...)" -> "insert event"; empty: it is about no table of ours.
std::string what_it_does(std::string_view sql) {
  constexpr std::pair<std::string_view, std::string_view> kVerbs[] = {
      {"INSERT INTO ", "insert "}, {"UPDATE ", "update "}, {"DELETE FROM ", "delete "}};
  for (const auto& [begin, verb] : kVerbs) {
    if (!sql.starts_with(begin)) continue;
    const std::string_view rest = sql.substr(begin.size());
    std::string what(sql.find(" DO UPDATE") == sql.npos ? verb : "upsert ");
    return what.append(rest.substr(0, rest.find(' ')));
  }
  const auto from = sql.find(" FROM ");
  if (!sql.starts_with("SELECT ") || from == sql.npos) return "";
  const std::string_view rest = sql.substr(from + 6);
  return std::string("read ").append(rest.substr(0, rest.find(' ')));
}

int count_statement(unsigned, void*, void* statement, void*) {
  const std::string what = what_it_does(sqlite3_sql(static_cast<sqlite3_stmt*>(statement)));
  if (!what.empty()) ++statement_runs[what];
  return 0;
}

int watch_statements(sqlite3* db, char**, const void*) {
  return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_statement, nullptr);
}

using Entry = void (*)();

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};

template <class OnRow>
void query(sqlite3* db, const char* sql, OnRow on_row) {
  const auto take = [](void* row, int, char** columns, char**) {
    (*static_cast<OnRow*>(row))(columns);
    return 0;
  };
  if (sqlite3_exec(db, sql, take, &on_row, nullptr) != SQLITE_OK)
    throw std::runtime_error(std::string("store_bench: ") + sqlite3_errmsg(db));
}

}  // namespace

void count_files() {
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);  // as the store does, too late after this
  sqlite3_initialize();
  system_vfs = sqlite3_vfs_find(nullptr);
  counting_vfs = *system_vfs;
  counting_vfs.zName = "counting";
  counting_vfs.szOsFile = static_cast<int>(sizeof(CountedFile)) + system_vfs->szOsFile;
  counting_vfs.xOpen = open_counted;
  sqlite3_vfs_register(&counting_vfs, 1);
}

const FileCounts& file_counts() {
  return counts;
}

void forget_counts() {
  counts = {};
}

CountsStatements::CountsStatements() {
  statement_runs.clear();
  sqlite3_auto_extension(reinterpret_cast<Entry>(watch_statements));
}

CountsStatements::~CountsStatements() {
  sqlite3_cancel_auto_extension(reinterpret_cast<Entry>(watch_statements));
}

const std::map<std::string, std::int64_t>& CountsStatements::runs() {
  return statement_runs;
}

// In an index, and in a table WITHOUT ROWID, inner pages hold entries too; in a table with rowids only keys of them.
std::map<std::string, Tree> trees(const std::string& path) {
  sqlite3* opened = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, Close> db(opened);
  if (rc != SQLITE_OK) throw std::runtime_error("store_bench: cannot open " + path);
  std::map<std::string, Tree> all;
  std::map<std::uint32_t, std::string> of_page;
  query(opened,
        "SELECT s.name, s.pageno, s.pgsize, CASE WHEN s.pagetype = 'leaf' OR s.pagetype = 'internal' AND "
        "(m.type = 'index' OR m.sql LIKE '%WITHOUT ROWID%') THEN s.ncell ELSE 0 END "
        "FROM dbstat AS s LEFT JOIN sqlite_schema AS m ON m.name = s.name",
        [&](char** row) {
          Tree& tree = all[row[0]];
          tree.bytes += std::stoll(row[2]);
          tree.entries += std::stoll(row[3]);
          of_page[static_cast<std::uint32_t>(std::stoul(row[1]))] = row[0];
        });
  for (const auto& [page, frames] : counts.frames) {
    const auto found = of_page.find(page);
    all[found == of_page.end() ? "(pointer map)" : found->second].frames += frames;
  }
  return all;
}

}  // namespace outboxd::bench
