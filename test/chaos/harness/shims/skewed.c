/* Loaded into a process (LD_PRELOAD): its time of day is off by as many seconds as the file $SKEW says, which is read
   again and again. Its monotonic clock is left alone. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset_s(void) {
  static long long known, next_ms;
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  long long now_ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
  if (now_ms < next_ms) return known;
  next_ms = now_ms + 20;
  const char *path = getenv("SKEW");
  long file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) : -1;
  if (file < 0) return known;
  char text[32] = {0};
  if (syscall(SYS_read, file, text, sizeof text - 1) > 0) known = atoll(text);
  syscall(SYS_close, file);
  return known;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  int answer = (int)syscall(SYS_clock_gettime, clock, at);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) at->tv_sec += offset_s();
  return answer;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
