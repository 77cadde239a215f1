// Maps so many areas that no two are merged, touches each, says so, and waits to be killed.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int areas = argc > 1 ? atoi(argv[1]) : 600;
  // Not longer than who started it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < areas; i++) {
    int protection = i % 2 ? PROT_READ : PROT_READ | PROT_WRITE;
    volatile char *at = mmap(0, 8192, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return 1;
    if (i % 2) (void)*at;
    else *at = 1;
  }
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
