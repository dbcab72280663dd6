/* Loaded into a process (LD_PRELOAD): what is fsynced under $KEPT_OF is copied to $KEPT_IN, files with their bytes and
   directories as lists of names (".names"). So a power cut can be told apart from kill -9: all else was in memory alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void make_parents(char *path) {
  for (char *at = path + 1; *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    mkdir(path, 0700);
    *at = '/';
  }
}

/* Whole, under another name first: whoever is killed meanwhile leaves the last copy. A file is read by the descriptor that
   there is: to close another one would end the process's locks on it. */
static void keep(int fd, const char *to, int directory) {
  char part[PATH_MAX + 8];
  snprintf(part, sizeof part, "%s.part", to);
  make_parents(part);
  int out = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out < 0) return;
  if (directory) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    DIR *names = opendir(self);
    for (struct dirent *entry; names && (entry = readdir(names));)
      if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) dprintf(out, "%s\n", entry->d_name);
    if (names) closedir(names);
  } else {
    off_t at = 0;
    while (sendfile(out, fd, &at, 1 << 30) > 0) {
    }
  }
  close(out);
  rename(part, to);
}

static int synced(long call, int fd) {
  int answer = (int)syscall(call, fd), before = errno;
  const char *of = getenv("KEPT_OF"), *in = getenv("KEPT_IN");
  char link[64], path[PATH_MAX], to[PATH_MAX];
  struct stat file;
  if (answer == 0 && of && in && fstat(fd, &file) == 0 && (S_ISREG(file.st_mode) || S_ISDIR(file.st_mode))) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t base = strlen(of);
    if (length > 0 && (path[length] = 0, strncmp(path, of, base) == 0) && (path[base] == '/' || path[base] == 0)) {
      snprintf(to, sizeof to, "%s%s%s", in, path + base, S_ISDIR(file.st_mode) ? "/.names" : "");
      keep(fd, to, S_ISDIR(file.st_mode));
    }
  }
  errno = before;
  return answer;
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
