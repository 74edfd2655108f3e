// How a store fails, told apart by what follows from it. A command that is refused is no failure: see commands.h.
#pragma once

#include <stdexcept>
#include <string>

namespace outboxd {

struct StoreError : std::runtime_error {
  enum class Kind {
    // The transaction was undone and may be tried again.
    kBusy,  // another process holds the write lock
    kFull,  // no space is left for it
    // The transaction was committed or undone, and nobody knows which (a connection was lost during COMMIT). It is
    // applied again, as a repeat, until that is certain.
    kUnknown,
    // This daemon owns nothing any more: another one has taken over. It drops everything and joins anew.
    kFenced,
    // Final: nothing may be acknowledged after it. The process exits and recovers at its next start (fail stop).
    kFailed,
    // The store cannot be served; mostly met while opening.
    kCorrupt,      // damaged, or not a database of ours
    kLocked,       // another outboxd serves it
    kCannotOpen,   // missing folder, permissions, network file system
    kNewerSchema,  // than this binary knows
    kMissingKey,   // secrets are encrypted with a key that was not given
  };

  StoreError(Kind k, const std::string& what) : std::runtime_error(what), kind(k) {}

  bool may_try_again() const { return kind == Kind::kBusy || kind == Kind::kFull || kind == Kind::kUnknown; }

  Kind kind;
};

}  // namespace outboxd
