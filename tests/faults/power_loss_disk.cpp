#include "faults/power_loss_disk.h"

#include <algorithm>

namespace outboxd::faults {
namespace {

using Kind = Operation::Kind;

constexpr std::int64_t kSector = 512;

void place(std::string& file, std::int64_t offset, std::string_view bytes) {
  const auto at = static_cast<std::size_t>(offset);
  if (file.size() < at + bytes.size()) file.resize(at + bytes.size(), '\0');
  file.replace(at, bytes.size(), bytes);
}

// Decides what arrives, in one power cut.
class Luck {
 public:
  explicit Luck(std::mt19937_64& random)
      : random_(random), percent_(kPercents[random() % std::size(kPercents)]) {}
  bool arrives() { return random_() % 100 < percent_; }
  bool rarely() { return random_() % 4 == 0; }

 private:
  static constexpr std::uint64_t kPercents[] = {2, 10, 50, 90, 98};
  std::mt19937_64& random_;
  std::uint64_t percent_;
};

// The write in parts that end where a sector does, or whole.
void write_parts(std::string& file, const Operation& write, bool sectors, Luck& luck) {
  const auto end = write.offset + static_cast<std::int64_t>(write.bytes.size());
  for (std::int64_t at = write.offset; at < end;) {
    const auto next = sectors ? std::min(end, (at / kSector + 1) * kSector) : end;
    const auto part =
        std::string_view(write.bytes)
            .substr(static_cast<std::size_t>(at - write.offset), static_cast<std::size_t>(next - at));
    if (luck.arrives()) {
      place(file, at, part);
    } else if (luck.rarely()) {
      place(file, std::max(next, static_cast<std::int64_t>(file.size())), "");  // the size alone
    }
    at = next;
  }
}

std::string left_of(const std::string& durable, const std::vector<Operation>& pending, Arrived arrived,
                    Luck& luck) {
  std::string file = durable;
  if (arrived == Arrived::kNothing) return file;
  const bool all = arrived == Arrived::kEverything;
  for (const Operation& operation : pending) {
    if (operation.kind == Kind::kWrite && !all) {
      write_parts(file, operation, arrived == Arrived::kSomeSectors, luck);
    } else if (all || luck.arrives()) {
      carry_out(file, operation);
    }
  }
  if (!all && luck.rarely()) file.resize(std::min(file.size(), durable.size()));  // the data without the size
  return file;
}

}  // namespace

std::string_view to_string(Arrived arrived) {
  constexpr std::string_view kWords[] = {"nothing", "everything", "some writes", "some sectors"};
  return kWords[static_cast<std::size_t>(arrived)];
}

void carry_out(std::string& file, const Operation& operation) {
  if (operation.kind == Kind::kWrite) place(file, operation.offset, operation.bytes);
  if (operation.kind == Kind::kTruncate) file.resize(static_cast<std::size_t>(operation.offset), '\0');
}

Disk::Disk(const Image& durable) {
  for (const auto& [name, bytes] : durable) {
    names_[name] = files_.size();
    files_.push_back({bytes, {}});
  }
  durable_names_ = names_;
}

void Disk::rename(Names& names, const std::pair<std::string, std::optional<std::size_t>>& change) {
  if (change.second) {
    names[change.first] = *change.second;
  } else {
    names.erase(change.first);
  }
}

void Disk::happen(Operation operation) {
  const auto found = names_.find(operation.name);
  switch (operation.kind) {
    case Kind::kCreate:
      pending_names_.emplace_back(operation.name, files_.size());
      rename(names_, pending_names_.back());
      files_.emplace_back();
      break;
    case Kind::kDelete:
      pending_names_.emplace_back(operation.name, std::nullopt);
      rename(names_, pending_names_.back());
      break;
    case Kind::kWrite:
    case Kind::kTruncate:
      if (found != names_.end()) files_[found->second].pending.push_back(std::move(operation));
      break;
    case Kind::kSync:
      if (found == names_.end()) break;
      for (const Operation& pending : files_[found->second].pending)
        carry_out(files_[found->second].durable, pending);
      files_[found->second].pending.clear();
      break;
    case Kind::kFailedSync:
      if (found != names_.end() && forget_at_failure_) files_[found->second].pending.clear();
      break;
    case Kind::kSyncFolder:
      for (const auto& change : pending_names_) rename(durable_names_, change);
      pending_names_.clear();
      break;
    case Kind::kStep:
      break;
  }
}

Image Disk::after_power_cut(Arrived arrived, std::mt19937_64& random) const {
  std::size_t changes = random() % (pending_names_.size() + 1);
  if (arrived == Arrived::kNothing) changes = 0;
  if (arrived == Arrived::kEverything) changes = pending_names_.size();
  Names names = durable_names_;
  for (std::size_t i = 0; i < changes; ++i) rename(names, pending_names_[i]);

  Luck luck(random);
  Image image;
  for (const auto& [name, file] : names)
    image[name] = left_of(files_[file].durable, files_[file].pending, arrived, luck);
  return image;
}

}  // namespace outboxd::faults
