#include "simulation/memory_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "faults/power_loss_disk.h"

namespace outboxd::simulation {
namespace {

using faults::Operation;
using Kind = Operation::Kind;

struct Handle;

struct File {
  std::string bytes;             // as programs see them
  std::vector<Handle*> handles;  // the handles that have it open
  std::vector<std::unique_ptr<std::byte[]>> shared_memory;
};

}  // namespace

struct MemoryDisk::Machine {
  Machine(std::string n, std::uint64_t seed, const Clock& c) : name(std::move(n)), clock(c), random(seed) {}

  bool strikes(Fault fault);
  bool power_is_cut() { return off = off || strikes(Fault::kPowerCut); }

  const std::string name;
  const Clock& clock;
  std::mt19937_64 random;
  sqlite3_vfs vfs{};
  std::map<std::string, std::shared_ptr<File>> files;  // by name, as programs see them
  faults::Disk disk{{}};                               // and as a power cut would leave them
  bool off = false;
  bool suspended = false;
  std::int64_t boots = 0;
  Counters counters;
  std::array<Injection, kFaults> injections{};
  std::array<std::int64_t, kFaults> struck{};
};

bool MemoryDisk::Machine::strikes(Fault fault) {
  if (suspended) return false;
  const auto index = static_cast<std::size_t>(fault);
  Injection& injection = injections[index];
  bool now = false;
  if (injection.nth > 1) {
    --injection.nth;
  } else if (injection.nth == 1) {
    now = true;
    if (--injection.times <= 0) injection.nth = 0;
  }
  if (!now && injection.probability > 0)
    now = static_cast<double>(random() >> 11) * 0x1p-53 < injection.probability;
  struck[index] += now;
  return now;
}

namespace {

using Machine = MemoryDisk::Machine;

// One open file of one connection. SQLite provides its memory.
struct Handle : sqlite3_file {
  Machine* machine = nullptr;
  std::int64_t boot = 0;
  std::string name;  // empty: a temporary file, which is never durable
  std::shared_ptr<File> file;
  bool syncs_folder = false;           // with its first sync, as os_unix.c does for a new log or journal
  int lock = SQLITE_LOCK_NONE;         // on the database file
  unsigned shared = 0, exclusive = 0;  // locks on the WAL index, one bit each
  bool maps = false;                   // has the WAL index mapped

  // False: the machine on which it was opened is off.
  bool is_alive() const { return boot == machine->boots && !machine->off; }
  void log(Operation operation) const {
    const auto found = machine->files.find(name);
    if (found != machine->files.end() && found->second == file) machine->disk.happen(std::move(operation));
  }
};

Handle& handle_of(sqlite3_file* file) {
  return *static_cast<Handle*>(file);
}

Machine& machine_of(sqlite3_vfs* vfs) {
  return *static_cast<Machine*>(vfs->pAppData);
}

int close_file(sqlite3_file* file) {
  Handle& h = handle_of(file);
  std::erase(h.file->handles, &h);
  --h.machine->counters.open_files;
  h.~Handle();
  file->pMethods = nullptr;
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  const Handle& h = handle_of(file);
  if (!h.is_alive() || h.machine->strikes(Fault::kReadError)) return SQLITE_IOERR_READ;
  const std::string& bytes = h.file->bytes;
  const auto wanted = static_cast<std::size_t>(size);
  const auto from = std::min(static_cast<std::size_t>(offset), bytes.size());
  const auto there = std::min(wanted, bytes.size() - from);
  std::memcpy(to, bytes.data() + from, there);
  std::memset(static_cast<char*>(to) + there, 0, wanted - there);
  return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int fault_of_write(Handle& h, bool grows) {
  Machine& m = *h.machine;
  if (m.power_is_cut() || m.strikes(Fault::kWriteError)) return SQLITE_IOERR_WRITE;
  if (grows && m.strikes(Fault::kFull)) return SQLITE_FULL;
  m.strikes(Fault::kSlow);
  return SQLITE_OK;
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  Handle& h = handle_of(file);
  if (!h.is_alive()) return SQLITE_IOERR_WRITE;
  auto written = static_cast<std::size_t>(size);
  const bool grows = static_cast<std::size_t>(offset) + written > h.file->bytes.size();
  const int rc = fault_of_write(h, grows);
  if (rc != SQLITE_OK) written = h.machine->random() % written;
  if (written > 0) {
    Operation write{Kind::kWrite, h.name, offset, std::string(static_cast<const char*>(from), written)};
    faults::carry_out(h.file->bytes, write);
    h.log(std::move(write));
  }
  ++h.machine->counters.writes;
  return rc;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  Handle& h = handle_of(file);
  if (!h.is_alive() || h.machine->power_is_cut()) return SQLITE_IOERR_TRUNCATE;
  Operation truncate{Kind::kTruncate, h.name, size, {}};
  faults::carry_out(h.file->bytes, truncate);
  h.log(std::move(truncate));
  return SQLITE_OK;
}

int sync_file(sqlite3_file* file, int) {
  Handle& h = handle_of(file);
  Machine& m = *h.machine;
  if (!h.is_alive() || m.power_is_cut()) return SQLITE_IOERR_FSYNC;
  if (m.strikes(Fault::kSyncError)) {
    m.disk.forget_at_failure(m.random() % 2 == 0);
    h.log({Kind::kFailedSync, h.name});
    return SQLITE_IOERR_FSYNC;
  }
  m.strikes(Fault::kSlow);
  ++m.counters.syncs;
  h.log({Kind::kSync, h.name});
  if (std::exchange(h.syncs_folder, false)) m.disk.happen({Kind::kSyncFolder});
  return SQLITE_OK;
}

int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  const Handle& h = handle_of(file);
  *size = static_cast<sqlite3_int64>(h.file->bytes.size());
  return h.is_alive() ? SQLITE_OK : SQLITE_IOERR_FSTAT;
}

// The highest lock of any other connection.
int others_lock(const Handle& h) {
  int highest = SQLITE_LOCK_NONE;
  for (const Handle* other : h.file->handles) {
    if (other != &h) highest = std::max(highest, other->lock);
  }
  return highest;
}

// The five levels of https://www.sqlite.org/lockingv3.html
int lock_file(sqlite3_file* file, int wanted) {
  Handle& h = handle_of(file);
  if (!h.is_alive()) return SQLITE_IOERR_LOCK;
  if (wanted <= h.lock) return SQLITE_OK;
  if (wanted >= SQLITE_LOCK_RESERVED && h.machine->strikes(Fault::kBusy)) return SQLITE_BUSY;
  const int others = others_lock(h);
  const int refused_from = wanted == SQLITE_LOCK_SHARED ? SQLITE_LOCK_PENDING : SQLITE_LOCK_RESERVED;
  if (others >= refused_from) return SQLITE_BUSY;
  if (wanted == SQLITE_LOCK_EXCLUSIVE && others >= SQLITE_LOCK_SHARED) {
    h.lock = SQLITE_LOCK_PENDING;  // lets no new reader in while this one waits
    return SQLITE_BUSY;
  }
  h.lock = wanted;
  return SQLITE_OK;
}

int unlock_file(sqlite3_file* file, int level) {
  Handle& h = handle_of(file);
  h.lock = std::min(h.lock, level);
  return SQLITE_OK;
}

int check_reserved_lock(sqlite3_file* file, int* held) {
  const Handle& h = handle_of(file);
  *held = std::max(h.lock, others_lock(h)) >= SQLITE_LOCK_RESERVED;
  return h.is_alive() ? SQLITE_OK : SQLITE_IOERR_CHECKRESERVEDLOCK;
}

int map_shared_memory(sqlite3_file* file, int region, int size, int extend, void volatile** at) {
  Handle& h = handle_of(file);
  *at = nullptr;
  if (!h.is_alive()) return SQLITE_IOERR_SHMMAP;
  h.maps = true;
  auto& regions = h.file->shared_memory;
  const auto index = static_cast<std::size_t>(region);
  while (extend != 0 && regions.size() <= index)
    regions.push_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(size)));
  if (index < regions.size()) *at = regions[index].get();
  return SQLITE_OK;
}

// Another process takes these locks of the WAL index to write (WAL_WRITE_LOCK in wal.c) or checkpoint (WAL_CKPT_LOCK).
constexpr unsigned kOtherProcessSlots = 0b11;

int lock_shared_memory(sqlite3_file* file, int offset, int n, int flags) {
  Handle& h = handle_of(file);
  const unsigned slots = ((1u << n) - 1) << offset;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    h.shared &= ~slots;
    h.exclusive &= ~slots;
    return SQLITE_OK;
  }
  if (!h.is_alive()) return SQLITE_IOERR_SHMLOCK;
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  if (exclusive && (slots & kOtherProcessSlots) != 0 && h.machine->strikes(Fault::kBusy)) return SQLITE_BUSY;
  for (const Handle* other : h.file->handles) {
    const unsigned in_the_way = exclusive ? other->exclusive | other->shared : other->exclusive;
    if (other != &h && (in_the_way & slots) != 0) return SQLITE_BUSY;
  }
  (exclusive ? h.exclusive : h.shared) |= slots;
  return SQLITE_OK;
}

// The index goes with its last user, as in os_unix.c: whoever comes next starts it anew.
int unmap_shared_memory(sqlite3_file* file, int) {
  Handle& h = handle_of(file);
  h.maps = false;
  h.shared = h.exclusive = 0;
  if (std::ranges::none_of(h.file->handles, &Handle::maps)) h.file->shared_memory.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,  // no xFetch: memory-mapped writes would bypass us
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
    .xSectorSize = [](sqlite3_file*) { return 4096; },
    // The same as os_unix.c says of every disk, so that the log is written as in production. The power cut keeps to it:
    // it tears a write, but leaves what is beside it alone.
    .xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; },
    .xShmMap = map_shared_memory,
    .xShmLock = lock_shared_memory,
    .xShmBarrier = [](sqlite3_file*) {},  // one thread
    .xShmUnmap = unmap_shared_memory,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  Machine& m = machine_of(vfs);
  file->pMethods = nullptr;  // then xClose is not called
  if (m.off) return SQLITE_CANTOPEN;
  const std::string name = path == nullptr ? "" : path;
  std::shared_ptr<File> opened;
  if (const auto found = m.files.find(name); found != m.files.end()) {
    opened = found->second;
  } else if ((flags & SQLITE_OPEN_CREATE) == 0) {
    return SQLITE_CANTOPEN;
  } else {
    opened = std::make_shared<File>();
    if (!name.empty()) {
      m.files[name] = opened;
      m.disk.happen({Kind::kCreate, name});
    }
  }
  const bool syncs_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & SQLITE_OPEN_MAIN_DB) == 0;
  opened->handles.push_back(new (file) Handle{{}, &m, m.boots, name, opened, syncs_folder});
  ++m.counters.open_files;
  file->pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  Machine& m = machine_of(vfs);
  if (m.power_is_cut()) return SQLITE_IOERR_DELETE;
  if (m.files.erase(name) == 0) return SQLITE_IOERR_DELETE_NOENT;
  m.disk.happen({Kind::kDelete, name});
  if (sync_folder != 0) m.disk.happen({Kind::kSyncFolder});
  return SQLITE_OK;
}

// As in os_unix.c, an empty file does not exist.
int look_for_file(sqlite3_vfs* vfs, const char* name, int, int* found) {
  const Machine& m = machine_of(vfs);
  const auto at = m.files.find(name);
  *found = at != m.files.end() && !at->second->bytes.empty();
  return m.off ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

int random_bytes(sqlite3_vfs* vfs, int size, char* out) {
  std::generate_n(out, size, [&] { return static_cast<char>(machine_of(vfs).random()); });
  return size;
}

int current_time(sqlite3_vfs* vfs, sqlite3_int64* julian_millis) {
  constexpr sqlite3_int64 kUnixEpoch = 210'866'760'000'000;
  *julian_millis = kUnixEpoch + unix_millis(machine_of(vfs).clock.wall());
  return SQLITE_OK;
}

sqlite3_vfs vfs_of(Machine& machine) {
  sqlite3_vfs vfs{};
  vfs.iVersion = 2;
  vfs.szOsFile = static_cast<int>(sizeof(Handle));
  vfs.mxPathname = 512;
  vfs.zName = machine.name.c_str();
  vfs.pAppData = &machine;
  vfs.xOpen = open_file;
  vfs.xDelete = delete_file;
  vfs.xAccess = look_for_file;
  vfs.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  };
  vfs.xRandomness = random_bytes;
  vfs.xSleep = [](sqlite3_vfs*, int micros) { return micros; };
  vfs.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
  vfs.xCurrentTimeInt64 = current_time;
  return vfs;
}

}  // namespace

MemoryDisk::MemoryDisk(const std::string& name, std::uint64_t seed, const Clock& clock)
    : machine_(std::make_unique<Machine>(name, seed, clock)) {
  machine_->vfs = vfs_of(*machine_);
  if (sqlite3_vfs_find(name.c_str()) != nullptr || sqlite3_vfs_register(&machine_->vfs, 0) != SQLITE_OK)
    throw std::runtime_error("the VFS " + name + " is refused");
  // SQLite has one random generator per process (used for a log's salts, for one), seeded from the default VFS.
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed % 0x7fffffff) + 1, nullptr);
}

MemoryDisk::~MemoryDisk() {
  sqlite3_vfs_unregister(&machine_->vfs);
  if (machine_->counters.open_files > 0) std::abort();  // a connection would go on using freed memory
}

void MemoryDisk::inject(Fault fault, Injection injection) {
  machine_->injections[static_cast<std::size_t>(fault)] = injection;
}

void MemoryDisk::heal() {
  machine_->injections = {};
}

bool MemoryDisk::is_off() const {
  return machine_->off;
}

void MemoryDisk::suspend_faults(bool suspended) const {
  machine_->suspended = suspended;
}

std::int64_t MemoryDisk::struck(Fault fault) const {
  return machine_->struck[static_cast<std::size_t>(fault)];
}

void MemoryDisk::crash(std::mt19937_64& random) {
  Machine& m = *machine_;
  const auto image =
      m.disk.after_power_cut(faults::kAllArrivals[random() % std::size(faults::kAllArrivals)], random);
  m.disk = faults::Disk(image);
  m.files.clear();
  for (const auto& [name, bytes] : image) m.files[name] = std::make_shared<File>(File{bytes, {}, {}});
  ++m.boots;
  m.off = false;
}

const MemoryDisk::Counters& MemoryDisk::counters() const {
  return machine_->counters;
}

}  // namespace outboxd::simulation
