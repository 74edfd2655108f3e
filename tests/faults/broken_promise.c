// Preloaded into the daemon as a control of outside_faults.py, which compiles it: BROKEN says which of its precautions does not work.
//   log          whoever logs writes to stderr by himself
//   descriptors  those that are closed look as if they were open
//   files        a file that was removed or replaced looks as it did when it was first looked at
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int broken(const char *what) {
  const char *named = getenv("BROKEN");
  return named != NULL && strcmp(named, what) == 0;
}

// spdlog::details::thread_pool::post_log(std::shared_ptr<spdlog::async_logger>&&, const spdlog::details::log_msg&, async_overflow_policy)
#define POST_LOG _ZN6spdlog7details11thread_pool8post_logEOSt10shared_ptrINS_12async_loggerEERKNS0_7log_msgENS_21async_overflow_policyE
void POST_LOG(void *pool, void *logger, const void *message, int policy) {
  static const char kLine[] = "a line\n";
  if (broken("log")) {
    if (write(STDERR_FILENO, kLine, sizeof kLine - 1) < 0) return;
    return;
  }
  static const char name[] =
      "_ZN6spdlog7details11thread_pool8post_logEOSt10shared_ptrINS_12async_loggerEERKNS0_7log_msgENS_21async_overflow_policyE";
  ((void (*)(void *, void *, const void *, int))dlsym(RTLD_NEXT, name))(pool, logger, message, policy);
}

static int really_fcntl(const char *name, int fd, int command, void *argument) {
  if (command == F_GETFD && fd <= STDERR_FILENO && broken("descriptors")) return 0;
  return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, name))(fd, command, argument);
}
int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  return really_fcntl("fcntl", fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  return really_fcntl("fcntl64", fd, command, argument);
}

// What stat() said of a file of the database first.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
  char path[512];
  struct stat status;
} seen[16];

static int stat_as_before(const char *path, struct stat *status) {
  int (*real)(const char *, struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, "stat");
  if (!broken("files") || strstr(path, "outbox.db") == NULL || strlen(path) >= sizeof seen[0].path) return real(path, status);
  pthread_mutex_lock(&mutex);
  int result = -1;
  for (int i = 0; i < 16; ++i) {
    if (seen[i].path[0] == '\0') {
      result = real(path, status);
      if (result == 0) {
        strcpy(seen[i].path, path);
        seen[i].status = *status;
      }
      break;
    }
    if (strcmp(seen[i].path, path) == 0) {
      *status = seen[i].status;
      result = 0;
      break;
    }
  }
  pthread_mutex_unlock(&mutex);
  return result;
}
int stat(const char *path, struct stat *status) { return stat_as_before(path, status); }
