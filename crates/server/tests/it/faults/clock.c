/* Preloaded into the server by faults/clock.rs: the wall clock, moved by as many seconds as the file says that
   SYNAPSCALE_TEST_CLOCK names. The monotonic clock is left alone, as when an administrator sets the time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *out) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(id, out);
  const char *path = getenv("SYNAPSCALE_TEST_CLOCK");
  if (failed || id != CLOCK_REALTIME || !path) return failed;
  FILE *file = fopen(path, "r");
  long seconds = 0;
  if (file) {
    if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
    fclose(file);
  }
  out->tv_sec += seconds;
  return 0;
}
