// Odd processes: `odd KIND AMOUNT`. Says "ready" when it is as it should be, and ends by itself after some
// minutes, whatever happens to who started it; its children end with it.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MINUTES = 4 };

static void ready(void) {
  puts("ready");
  fflush(stdout);
}

static void rest(void) {
  for (int left = MINUTES * 60; left > 0;) left = sleep(left);
  exit(0);
}

static char *taken(size_t bytes) {
  char *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) exit(1);
  return at;
}

// The main thread ends, and another keeps the memory.
static void *keeps(void *bytes) {
  memset(taken((size_t)bytes), 1, (size_t)bytes);
  usleep(200000);
  ready();
  rest();
  return 0;
}

static void leaderless(long bytes) {
  pthread_t thread;
  if (pthread_create(&thread, 0, keeps, (void *)bytes)) exit(1);
  pthread_exit(0);
}

// Neighbours of other rights do not merge.
static void mappings(long amount) {
  char *at = taken(amount * PAGE);
  for (long page = 0; page < amount; page += 2)
    if (mprotect(at + page * PAGE, PAGE, PROT_READ)) exit(1);
  ready();
  rest();
}

static pid_t child(void) {
  pid_t pid = fork();
  if (pid < 0) exit(1);
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

static void children(long amount) {
  for (; amount > 0; amount--) {
    pid_t pid = child();
    if (pid == 0) rest();
    printf("%d ", pid);
  }
  puts("");
  ready();
  rest();
}

static void zombies(long amount) {
  for (; amount > 0; amount--)
    if (child() == 0) _exit(0);
  usleep(200000);
  ready();
  rest();
}

// They begin and end as fast as they can.
static void churn(long amount) {
  for (; amount > 0; amount--)
    if (child() == 0)
      for (;;) {
        if (child() == 0) _exit(0);
        wait(0);
      }
  ready();
  rest();
}

// A name in hex, with a NUL at its end.
static void named(const char *hex) {
  char name[16] = {0};
  for (int at = 0; at < 15 && hex[2 * at]; at++) sscanf(hex + 2 * at, "%2hhx", (unsigned char *)name + at);
  prctl(PR_SET_NAME, name);
  ready();
  rest();
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  const char *kind = arguments[1];
  long amount = atol(arguments[2]);
  if (!strcmp(kind, "leaderless")) leaderless(amount);
  if (!strcmp(kind, "mappings")) mappings(amount);
  if (!strcmp(kind, "children")) children(amount);
  if (!strcmp(kind, "zombies")) zombies(amount);
  if (!strcmp(kind, "churn")) churn(amount);
  if (!strcmp(kind, "named")) named(arguments[2]);
  return 2;
}
