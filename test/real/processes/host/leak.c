// Leaks: 12 pages by malloc and 4 by mmap each time, so many times a second, in so many threads, each of
// which catches up when it was late.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };
static char *volatile kept;
static long times_a_second;

__attribute__((noinline)) void leaks_by_malloc(void) {
  char *taken = malloc(12 * PAGE);
  memset(taken, 1, 12 * PAGE);
  kept = taken;
}

__attribute__((noinline)) void leaks_by_mmap(void) {
  char *taken = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(taken, 1, 4 * PAGE);
  kept = taken;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void *leak(void *unused) {
  (void)unused;
  double began = now();
  for (long done = 0;;) {
    for (long due = (now() - began) * times_a_second; done < due; done++) {
      leaks_by_malloc();
      leaks_by_mmap();
    }
    usleep(5000);
  }
  return 0;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  times_a_second = atol(arguments[1]);
  for (long threads = atol(arguments[2]); threads > 0; threads--) {
    pthread_t thread;
    if (pthread_create(&thread, 0, leak, 0)) return 1;
  }
  puts("ready");
  fflush(stdout);
  // Whatever happens to who started it.
  sleep(240);
  return 0;
}
