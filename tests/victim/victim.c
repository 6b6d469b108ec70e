// One static binary that dies in every way a container of the tests is meant to die.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int status_on_term;

static void leave(int sig) { (void)sig; _exit(status_on_term); }
static void hold(void) { for (;;) pause(); }

// Touches `mib` MiB, one by one, and keeps them.
static void eat(long mib) {
  for (long i = 0; i < mib; i++) {
    char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) { fprintf(stderr, "victim: mmap: %s\n", strerror(errno)); _exit(12); }
    memset(p, 1, 1 << 20);
  }
}

// Lets a child eat, and gives its wait status.
static int feed_child(long mib) {
  pid_t child = fork();
  if (child < 0) { perror("victim: fork"); _exit(11); }
  if (child == 0) { eat(mib); _exit(0); }
  int status;
  while (waitpid(child, &status, 0) < 0) {}
  printf("victim: child %d ended with wait status %d\n", child, status);
  return status;
}

static void wake(int signal) { (void)signal; }

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  const char *mode = argc > 1 ? argv[1] : "";
  long n = argc > 2 ? atol(argv[2]) : 0, m = argc > 3 ? atol(argv[3]) : 0;
  if (!strcmp(mode, "sleep")) { status_on_term = (int)n; signal(SIGTERM, leave); signal(SIGINT, leave); hold(); }
  if (!strcmp(mode, "ignore-term")) { signal(SIGTERM, SIG_IGN); hold(); }
  if (!strcmp(mode, "default-term")) hold();
  if (!strcmp(mode, "exit")) return (int)n;
  if (!strcmp(mode, "eat")) { eat(n); hold(); }
  if (!strcmp(mode, "child-eat")) { feed_child(n); hold(); }
  if (!strcmp(mode, "child-eat-then-exit")) { feed_child(n); return (int)m; }
  if (!strcmp(mode, "eat-on-usr1") || !strcmp(mode, "child-eat-on-usr1")) {
    // Blocked, so that it is not lost if it comes before sigsuspend; caught, so that /proc shows when it may come: in
    // sigwait, the kernel unblocks what is waited for.
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    signal(SIGUSR1, wake);
    sigsuspend(&before);
    if (!strcmp(mode, "child-eat-on-usr1")) for (;;) { feed_child(n); sigsuspend(&before); }
    eat(n);
    hold();
  }
  if (!strcmp(mode, "child-eat-every")) {
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
      feed_child(n);
      next.tv_nsec += m * 1000000;
      for (; next.tv_nsec >= 1000000000; next.tv_nsec -= 1000000000) next.tv_sec++;
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0);
    }
  }
  if (!strcmp(mode, "segv")) *(volatile int *)0x10 = 1;
  if (!strcmp(mode, "fork")) {
    for (long i = 0; i < n; i++) {
      pid_t child = fork();
      if (child < 0) { perror("victim: fork"); return 11; }
      if (child == 0) hold();
    }
    hold();
  }
  fprintf(stderr, "victim: unknown mode '%s'\n", mode);
  return 64;
}
