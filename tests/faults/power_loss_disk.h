// What a power cut leaves of files, given what was done to them. What was synced is there. Of what came after the last sync of a file
// anything may be there: nothing, everything, some writes without those before them, sectors of a write without the others, the new size
// without the data, the data without the new size. Names appear and vanish in order, as on a journalling file system.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "faults/recording_vfs.h"

namespace outboxd::faults {

enum class Arrived { kNothing, kEverything, kSomeWrites, kSomeSectors };
inline constexpr Arrived kAllArrivals[] = {Arrived::kNothing, Arrived::kEverything, Arrived::kSomeWrites,
                                           Arrived::kSomeSectors};
std::string_view to_string(Arrived);

using Image = std::map<std::string, std::string>;  // a file's name and its bytes

// What a write or a truncation does to a file's bytes.
void carry_out(std::string& file, const Operation& operation);

class Disk {
 public:
  explicit Disk(const Image& durable);

  // Of a failed sync: what was to be synced never reaches the disk, though programs go on reading it (Linux marks such pages clean). Else
  // it is as if the sync had not been tried.
  void forget_at_failure(bool forget) { forget_at_failure_ = forget; }

  void happen(Operation operation);
  Image after_power_cut(Arrived arrived, std::mt19937_64& random) const;

 private:
  struct File {
    std::string durable;
    std::vector<Operation> pending;  // since its last sync
  };
  using Names = std::map<std::string, std::size_t>;  // to files_

  static void rename(Names& names, const std::pair<std::string, std::optional<std::size_t>>& change);

  bool forget_at_failure_ = false;
  std::vector<File> files_;
  Names names_;          // as the programs see them
  Names durable_names_;  // as they were synced
  std::vector<std::pair<std::string, std::optional<std::size_t>>> pending_names_;
};

}  // namespace outboxd::faults
