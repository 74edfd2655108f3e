// A server that several members share, without a server: locks, rows and lost sessions as variables.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "store/errors.h"
#include "store/postgresql/participant.h"

namespace outboxd::postgresql {

class FakeCluster {
 public:
  struct Row {
    bool fenced = false;
    bool is_writing = false;  // a transaction of its writer has the row locked
    int session = 0;          // that its lock belongs to
  };
  std::map<std::string, Row> members;            // by token
  std::array<std::string, kPartitions> owner{};  // token; "": given back
  std::array<int, kPartitions> lock{};           // session; 0: free
  std::set<int> sessions;                        // that live
  bool is_away = false;
  int tokens = 0, next_session = 0;

  void end_session(int session) {
    sessions.erase(session);
    for (int& holder : lock) {
      if (holder == session) holder = 0;
    }
  }
  bool is_writing(const std::string& token) const {
    const auto row = members.find(token);
    return row != members.end() && row->second.is_writing;
  }
  PartitionSet owned_by(const std::string& token) const {
    PartitionSet owned;
    for (std::size_t i = 0; i < owner.size(); ++i) owned.set(i, owner[i] == token);
    return owned;
  }

  OpenSession opener() {
    return [this]() -> std::unique_ptr<MemberSession> {
      check(true);
      sessions.insert(++next_session);
      return std::make_unique<Session>(*this, next_session);
    };
  }

 private:
  void check(bool lives) const {
    if (is_away || !lives) throw StoreError(StoreError::Kind::kBusy, "the connection is lost");
  }

  class Session final : public MemberSession {
   public:
    Session(FakeCluster& cluster, int number) : cluster_(cluster), number_(number) {}
    ~Session() override { cluster_.end_session(number_); }

    Joined join(const std::string& former, const PartitionSet& unsettled) override {
      check();
      if (!former.empty()) {
        if (cluster_.is_writing(former)) throw StoreError(StoreError::Kind::kBusy, "its row is locked");
        cluster_.members[former].fenced = true;
        free(former, unsettled);
      }
      token_ = "token-" + std::to_string(++cluster_.tokens);
      cluster_.members[token_] = {.session = number_};
      return {token_, cluster_.tokens};
    }
    Heartbeat heartbeat() override {
      check();
      const Row& row = cluster_.members.at(token_);
      if (row.is_writing) return Heartbeat::kNotNow;
      return row.fenced ? Heartbeat::kFenced : Heartbeat::kProven;
    }
    std::vector<MemberView> look() override {
      check();
      std::map<std::string_view, PartitionSet> owned;
      for (std::size_t p = 0; p < kPartitions; ++p) owned[cluster_.owner.at(p)].set(p);
      std::vector<MemberView> views;
      views.reserve(cluster_.members.size());
      for (const auto& [token, row] : cluster_.members) {
        if (!row.fenced && cluster_.sessions.contains(row.session))
          views.push_back({token, owned[token], false});
      }
      return views;
    }
    Taken take(const std::vector<Partition>& wanted) override {
      check();
      Taken taken;
      for (const Partition partition : wanted) {
        const auto p = static_cast<std::size_t>(partition);
        const std::string& before = cluster_.owner.at(p);
        if (cluster_.lock.at(p) != 0 || cluster_.is_writing(before)) continue;
        cluster_.lock.at(p) = number_;
        (before.empty() ? taken.cleanly : taken.uncleanly).set(p);
        if (!before.empty()) cluster_.members[before].fenced = true;
        cluster_.owner.at(p) = token_;
      }
      if (cluster_.members.at(token_).fenced) throw StoreError(StoreError::Kind::kFenced, "fenced");
      return taken;
    }
    void give_back(const PartitionSet& partitions) override {
      check();
      for (std::size_t p = 0; p < kPartitions; ++p) {
        if (!partitions.test(p)) continue;
        cluster_.owner.at(p).clear();
        cluster_.lock.at(p) = 0;
      }
    }
    void leave(const PartitionSet& unsettled) override {
      check();
      free(token_, unsettled);
      cluster_.members.erase(token_);
    }

   private:
    void check() const { cluster_.check(cluster_.sessions.contains(number_)); }
    void free(const std::string& token, const PartitionSet& unsettled) {
      for (std::size_t p = 0; p < kPartitions; ++p) {
        if (cluster_.owner.at(p) == token && !unsettled.test(p)) cluster_.owner.at(p).clear();
      }
    }

    FakeCluster& cluster_;
    const int number_;
    std::string token_;
  };
};

}  // namespace outboxd::postgresql
