#include "ctl/socket_access.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace outboxd::ctl {
namespace {

std::string name_of_user(uid_t uid) {
  const passwd* user = getpwuid(uid);
  return user ? user->pw_name : std::to_string(uid);
}

std::string name_of_group(gid_t gid) {
  const ::group* group = getgrgid(gid);
  return group ? group->gr_name : std::to_string(gid);
}

// As the system's list of groups says; who is already logged in has the groups of then.
bool is_listed_in(const std::string& user, gid_t gid) {
  const ::group* group = getgrgid(gid);
  for (char** member = group ? group->gr_mem : nullptr; member && *member; ++member)
    if (user == *member) return true;
  return false;
}

// `needed`: the bit of the mode that would let the group in.
std::optional<SocketDenied> denied_at(const std::string& place, mode_t needed) {
  struct stat file {};
  if (stat(place.c_str(), &file) != 0) return std::nullopt;
  const std::string user = name_of_user(geteuid()), group = name_of_group(file.st_gid);
  const std::string found = user + " may not open " + place;
  if ((file.st_mode & needed) == 0 || file.st_gid == 0)
    return SocketDenied{found + ", which is for " + name_of_user(file.st_uid) + " alone",
                        "run this as " + name_of_user(file.st_uid) +
                            ", or give it a group: [listen] admin_group, ingest_group"};
  return SocketDenied{
      found + ", which is for group " + group,
      is_listed_in(user, file.st_gid)
          ? "log in again: " + user + " is in group " + group + ", but this session began before"
          : "usermod -aG " + group + ' ' + user + ", as root; then log in again"};
}

}  // namespace

std::optional<SocketDenied> why_socket_denied(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
  if (!whole.is_absolute()) return std::nullopt;
  std::filesystem::path place;
  for (const auto& part : whole) {
    place /= part;
    const bool is_socket = place == whole;
    if (faccessat(AT_FDCWD, place.c_str(), is_socket ? W_OK : X_OK, AT_EACCESS) == 0) continue;
    if (errno != EACCES) return std::nullopt;
    return denied_at(place.string(), is_socket ? mode_t{S_IWGRP} : mode_t{S_IXGRP});
  }
  return std::nullopt;
}

}  // namespace outboxd::ctl
