/*
 * Makes a process whose mmap_lock cannot be taken: every read of its smaps, smaps_rollup, maps, cmdline or environ
 * blocks. Prints its pid once that is so, and keeps it so until stdin ends.
 *
 *   blocked FILE  FILE is an empty file to mount on, in a mount namespace of its own; needs root and /dev/fuse
 *
 * A file of a FUSE file system whose server never answers READ is mapped. A reader of /proc/PID/mem faults that
 * page in and holds the lock for read meanwhile (__access_remote_vm() does not let the fault drop it). A thread
 * that maps memory then waits for the lock for write, and the rwsem lets no further reader pass a waiting writer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Resident memory of the blocked process, so that it is not one of the smallest. */
#define BYTES (32 << 20)

static void check(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void answer(int fuse, uint64_t unique, int error, const void *data, size_t size) {
  char bytes[sizeof(struct fuse_out_header) + 256];
  struct fuse_out_header head = { .len = sizeof head + size, .error = -error, .unique = unique };
  memcpy(bytes, &head, sizeof head);
  if (size > 0) memcpy(bytes + sizeof head, data, size);
  if (write(fuse, bytes, head.len) < 0 && errno != ENOENT) perror("answer");
}

/* The root of the file system is its only file. */
static void serve(int fuse, int faulted) {
  static char request[1 << 20];
  while (read(fuse, request, sizeof request) > 0) {
    const struct fuse_in_header *in = (const void *)request;
    struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };
    struct fuse_open_out opened = { .fh = 1 };
    struct fuse_attr_out attributes = { .attr_valid = 1000000 };
    attributes.attr.ino = 1;
    attributes.attr.mode = S_IFREG | 0644;
    attributes.attr.nlink = 1;
    attributes.attr.size = 4096;
    switch (in->opcode) {
      case FUSE_INIT: answer(fuse, in->unique, 0, &init, sizeof init); break;
      case FUSE_GETATTR: answer(fuse, in->unique, 0, &attributes, sizeof attributes); break;
      case FUSE_OPEN: answer(fuse, in->unique, 0, &opened, sizeof opened); break;
      case FUSE_READ: check(write(faulted, "", 1) == 1, "write"); break;
      case FUSE_FORGET: break;
      default: answer(fuse, in->unique, ENOSYS, NULL, 0);
    }
  }
}

/* Waits until a thread sleeps uninterruptibly. */
static void await_sleep(pid_t pid, pid_t tid) {
  char path[64], state = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
  while (state != 'D') {
    usleep(10000);
    FILE *stat = fopen(path, "r");
    check(stat != NULL, path);
    check(fscanf(stat, "%*d (%*[^)]) %c", &state) == 1, path);
    fclose(stat);
  }
}

static void *map_on_signal(void *signals) {
  int number;
  pid_t tid = gettid();
  check(write(1, &tid, sizeof tid) == sizeof tid, "write");
  sigwait(signals, &number);
  return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv) {
  check(argc == 2, "usage: blocked FILE");
  check(unshare(CLONE_NEWNS) == 0, "unshare");
  check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount /");
  int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  check(fuse >= 0, "/dev/fuse");
  char options[64];
  snprintf(options, sizeof options, "fd=%d,rootmode=100000,user_id=0,group_id=0", fuse);
  check(mount("blocked", argv[1], "fuse", 0, options) == 0, "mount");
  int faulted[2];
  check(pipe(faulted) == 0, "pipe");
  pid_t server = fork();
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(fuse, faulted[1]);
    _exit(1);
  }
  int file = open(argv[1], O_RDONLY);
  check(file >= 0, "open");
  /* The kernel learns its size by this. */
  struct stat status;
  check(fstat(file, &status) == 0 && status.st_size == 4096, "stat");
  char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  check(page != MAP_FAILED, "mmap");

  /* It ends with its last descriptor. */
  close(fuse);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);

  int ready[2];
  check(pipe(ready) == 0, "pipe");
  pid_t blocked = fork();
  if (blocked == 0) {
    dup2(ready[1], 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "blocked");
    char *resident = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(resident != MAP_FAILED, "mmap");
    memset(resident, 1, BYTES);
    pthread_t thread;
    check(pthread_create(&thread, NULL, map_on_signal, &signals) == 0, "pthread_create");
    for (;;) pause();
  }
  pid_t writer;
  check(read(ready[0], &writer, sizeof writer) == sizeof writer, "read");
  pid_t reader = fork();
  if (reader == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/mem", blocked);
    int memory = open(path, O_RDONLY);
    check(memory >= 0, path);
    check(pread(memory, &byte, 1, (off_t)(unsigned long)page) == 1, "pread");
    _exit(0);
  }
  char byte;
  check(read(faulted[0], &byte, 1) == 1, "read");
  kill(blocked, SIGUSR1);
  await_sleep(blocked, writer);
  printf("%d\n", blocked);
  fflush(stdout);
  while (read(0, &byte, 1) > 0) continue;
  /* The connection ends with its server, and all waits with it. */
  kill(server, SIGKILL);
  kill(reader, SIGKILL);
  kill(blocked, SIGKILL);
  while (wait(NULL) > 0) continue;
  return 0;
}
