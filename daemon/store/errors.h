// How a store fails, classified by what must happen next. A refused command is not a failure: see commands.h.
#pragma once

#include <stdexcept>
#include <string>

namespace outboxd {

struct StoreError : std::runtime_error {
  enum class Kind {
    // The transaction was rolled back and may be tried again.
    kBusy,  // another process holds the write lock
    kFull,  // the disk has no space left for it
    // It is unknown whether the transaction was committed (the connection was lost during COMMIT). It is applied again,
    // as a repeat, until that is certain.
    kUnknown,
    // Another daemon has taken over, so this one owns nothing any more: it drops everything and joins anew.
    kFenced,
    // Final: nothing may be acknowledged after it. The process exits and recovers at its next start (fail stop).
    kFailed,
    // The store cannot be served; mostly found while opening it.
    kCorrupt,      // damaged, or not a database of ours
    kLocked,       // another outboxd serves it
    kCannotOpen,   // missing folder, permissions, network file system
    kNewerSchema,  // the schema is newer than this binary knows
    kMissingKey,   // secrets are encrypted with a key that was not given
  };

  StoreError(Kind k, const std::string& what) : std::runtime_error(what), kind(k) {}

  bool may_try_again() const { return kind == Kind::kBusy || kind == Kind::kFull || kind == Kind::kUnknown; }

  Kind kind;
};
// A value that the database can read but outboxd never wrote.
struct CorruptValue : StoreError {
  explicit CorruptValue(const std::string& what) : StoreError(Kind::kCorrupt, what) {}
};

}  // namespace outboxd
