// Programs whose memory grows and that leak nothing:
//   grow cache FILE BYTES_A_SECOND   maps a file, and reads more and more of it, in both ways that there are
//   grow share BYTES CHILDREN        shares memory with children that come one after the other and all read it
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PIECE = 64 * 1024 };
static volatile long seen;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void ready(void) {
  puts("ready");
  fflush(stdout);
}

static int cache(const char *path, double bytes_a_second) {
  static char piece[PIECE];
  struct stat file;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &file)) return 1;
  char *mapped = mmap(0, file.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return 1;
  memset(piece, 1, PIECE);
  ready();
  double began = now();
  for (long done = 0; now() - began < 240; usleep(5000))
    for (; done + PIECE <= file.st_size && done < (now() - began) * bytes_a_second; done += PIECE) {
      if (pread(fd, piece, PIECE, done) != PIECE) return 1;
      for (long at = done; at < done + PIECE; at += PAGE) seen += mapped[at];
    }
  return 0;
}

static void read_all(const char *memory, long bytes) {
  for (long at = 0; at < bytes; at += PAGE) seen += memory[at];
}

static int share(long bytes, long children) {
  char *shared = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char *copied = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || copied == MAP_FAILED) return 1;
  memset(shared, 1, bytes);
  memset(copied, 1, bytes);
  ready();
  for (; children > 0; children--) {
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, 9);
      for (double began = now(); now() - began < 240; usleep(100000)) {
        read_all(shared, bytes);
        read_all(copied, bytes);
      }
      return 0;
    }
    usleep(200000);
  }
  sleep(240);
  return 0;
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  if (!strcmp(arguments[1], "cache")) return cache(arguments[2], atof(arguments[3]));
  if (!strcmp(arguments[1], "share")) return share(atol(arguments[2]), atol(arguments[3]));
  return 2;
}
