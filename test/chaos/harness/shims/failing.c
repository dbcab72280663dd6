/*
 * Loaded into a process (LD_PRELOAD): while the file $FAIL_WHILE is there, each fsync of a file under $FAIL_OF fails with EIO;
 * while $HANG_WHILE is there, it does not come back.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *sign) { return sign && access(sign, F_OK) == 0; }

static int synced(long call, int fd) {
  const char *of = getenv("FAIL_OF"), *fails = getenv("FAIL_WHILE"), *hangs = getenv("HANG_WHILE");
  char link[64], path[PATH_MAX];
  if (of && (is_there(fails) || is_there(hangs))) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0 && (path[length] = 0, strncmp(path, of, strlen(of)) == 0)) {
      while (is_there(hangs)) usleep(10000);
      if (is_there(fails)) {
        errno = EIO;
        return -1;
      }
    }
  }
  return (int)syscall(call, fd);
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
