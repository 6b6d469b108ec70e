// What makes the faults of a machine that no command of its shell makes: a FUSE file system that does not answer, and so
// little memory that the kernel drops the pages of programs and reads them again, over and over.
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PART ((off_t)16 << 20)

static void check(int failed, const char *what) {
  if (failed) { fprintf(stderr, "fault: %s: %s\n", what, strerror(errno)); exit(1); }
}

// Takes every request and answers none but the first, by which the kernel learns that it is there.
static void serve(const char *directory) {
  static char request[FUSE_MIN_READ_BUFFER + (1 << 17)];
  char options[64];
  int device = open("/dev/fuse", O_RDWR);
  check(device < 0, "/dev/fuse");
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
  check(mount("silent", directory, "fuse", 0, options), "mount");
  for (;;) {
    struct fuse_in_header in;
    ssize_t length = read(device, request, sizeof request);
    check(length < (ssize_t)sizeof in, "read");
    memcpy(&in, request, sizeof in);
    if (in.opcode != FUSE_INIT) continue;
    struct { struct fuse_out_header header; struct fuse_init_out init; } out = {
      .header = {.len = sizeof out, .unique = in.unique},
      .init = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096},
    };
    check(write(device, &out, sizeof out) != sizeof out, "write");
  }
}

static long available(void) {
  char line[128];
  long kib = -1;
  FILE *meminfo = fopen("/proc/meminfo", "r");
  check(!meminfo, "/proc/meminfo");
  while (fgets(line, sizeof line, meminfo)) if (sscanf(line, "MemAvailable: %ld", &kib) == 1) break;
  fclose(meminfo);
  return kib >> 10;
}

// Takes all memory but so many MiB, and keeps it.
static void eat(long mib) {
  for (;;) {
    if (available() <= mib) { usleep(100000); continue; }
    char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(p == MAP_FAILED, "mmap");
    memset(p, 1, 1 << 20);
  }
}

static void *status(void *path) {
  struct stat status;
  stat(path, &status);
  return NULL;
}

// Asks for the attributes of a file in a thread of its own.
static void ask(char *path) {
  pthread_t thread;
  check(pthread_create(&thread, NULL, status, path), "pthread_create");
  pthread_join(thread, NULL);
  exit(0);
}

// Keeps a file in memory.
static void hold(const char *path) {
  int file = open(path, O_RDONLY);
  check(file < 0, path);
  off_t length = lseek(file, 0, SEEK_END);
  void *p = mmap(0, length, PROT_READ, MAP_SHARED, file, 0);
  check(p == MAP_FAILED || mlock(p, length), "mlock");
  for (;;) pause();
}

// Reads a part of a file through memory, page by page, without end. The kernel may end it for its memory.
static void reread_part(const char *path, off_t from) {
  FILE *score = fopen("/proc/self/oom_score_adj", "w");
  check(!score || fputs("1000", score) < 0 || fclose(score), "oom_score_adj");
  int file = open(path, O_RDONLY);
  check(file < 0, path);
  volatile char *p = mmap(0, PART, PROT_READ, MAP_SHARED, file, from);
  check(p == MAP_FAILED, "mmap");
  for (;;) for (off_t at = 0; at < PART; at += 4096) (void)p[at];
}

// Has processes read parts of a file, each little more than is left in memory, so that they take it from each other.
static void reread(const char *path) {
  pid_t readers[4] = {0}, ended = 0;
  for (;;) {
    for (int i = 0; i < 4; i++) {
      if (readers[i] != ended) continue;
      readers[i] = fork();
      check(readers[i] < 0, "fork");
      if (readers[i] == 0) reread_part(path, i * PART);
    }
    ended = wait(NULL);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  if (!strcmp(what, "fuse")) serve(argv[2]);
  if (!strcmp(what, "eat")) eat(atol(argv[2]));
  if (!strcmp(what, "ask")) ask(argv[2]);
  if (!strcmp(what, "hold")) hold(argv[2]);
  if (!strcmp(what, "reread")) reread(argv[2]);
  if (!strcmp(what, "mount") && argc == 6) { check(mount(argv[2], argv[3], argv[4], 0, argv[5]), "mount"); return 0; }
  fprintf(stderr, "fault: unknown: %s\n", what);
  return 64;
}
