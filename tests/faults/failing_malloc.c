// Preloaded into the daemon: after FAIL_AFTER allocations, one in FAIL_EVERY fails, at irregular intervals. Compiled by resource_faults.py.
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static atomic_ulong allocations;
static unsigned long after = ~0ul, every = 1;

__attribute__((constructor)) static void read_environment(void) {
  const char *a = getenv("FAIL_AFTER"), *e = getenv("FAIL_EVERY");
  if (e) every = strtoul(e, NULL, 10);
  if (a) after = strtoul(a, NULL, 10);
}

static int fails(void) {
  unsigned long n = atomic_fetch_add(&allocations, 1);
  if (n < after) return 0;
  n *= 0x9E3779B97F4A7C15ul;  // the count, scattered
  if ((n >> 32) % every != 0) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
