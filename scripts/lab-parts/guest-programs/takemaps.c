/*
 * `takemaps FOLDER [DISK]`: a process with mappings of all kinds, and a child that shares some of them. FOLDER is
 * where it may make files. With a DISK some of it is mapped, and some memory is put into swap. Prints its pid and
 * the child's, and keeps all until it is killed. What it maps is said by nobody but the kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static unsigned long page;
static unsigned long large;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* So many pages, of which the first `used` are written to. */
static char *take(unsigned long pages, unsigned long used, int flags, int fd)
{
	char *at = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, flags, fd, 0);

	must(at != MAP_FAILED, "mmap");
	/* Of files the kernel decides alone. */
	if (flags & MAP_ANONYMOUS)
		must(madvise(at, pages * page, MADV_NOHUGEPAGE) == 0, "madvise");
	for (unsigned long i = 0; i < used; i++)
		at[i * page] = 1;
	/* Neighbours of one kind would become one mapping. */
	must(mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	return at;
}

static char *anonymous(unsigned long pages, unsigned long used)
{
	return take(pages, used, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* As many bytes as two huge pages, aligned to one. */
static char *two_large(void)
{
	char *at = mmap(NULL, 3 * large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(at != MAP_FAILED, "mmap");
	at = (char *)(((unsigned long)at + large - 1) & ~(large - 1));
	must(madvise(at, 2 * large, MADV_HUGEPAGE) == 0, "madvise");
	return at;
}

/* A huge page, if the machine has any set aside. */
static char *hugetlb(int flags)
{
	char *at = mmap(NULL, large, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	at[0] = 1;
	return at;
}

static int file(const char *folder, const char *name, unsigned long pages)
{
	char path[256];
	char *bytes = calloc(1, page);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0, path);
	for (unsigned long i = 0; i < pages; i++)
		must(write(fd, bytes, page) == (long)page, "write");
	free(bytes);
	return fd;
}

static void *idle(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

/* Whether a page of this process is in swap (Documentation/admin-guide/mm/pagemap.rst). */
static int swapped(const char *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	must(fd >= 0 && pread(fd, &entry, 8, (unsigned long)at / page * 8) == 8, "pagemap");
	close(fd);
	return entry >> 62 & 1;
}

int main(int count, char **words)
{
	const char *folder = count > 1 ? words[1] : "/tmp";
	const char *disk = count > 2 ? words[2] : NULL;
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char path[256];
	char *at, *both, *out, *own, *told, *clean = NULL;
	pthread_t thread;
	int fd, pipes[2];
	long child;
	volatile char sum = 0;

	setrlimit(RLIMIT_MEMLOCK, &all);
	page = sysconf(_SC_PAGESIZE);
	/* A table of entries of 8 bytes for pages. */
	large = page / 8 * page;

	anonymous(40, 25);
	/* Nobody may touch them any more, and they stay. */
	at = anonymous(30, 20);
	must(mprotect(at, 10 * page, PROT_NONE) == 0, "mprotect");
	/* Read alone: the zero page. */
	at = anonymous(16, 4);
	for (int i = 8; i < 16; i++)
		sum += at[i * page];
	/* Moved, with its pages. */
	at = anonymous(8, 8);
	must(mremap(at, 8 * page, 12 * page, MREMAP_MAYMOVE) != MAP_FAILED, "mremap");
	must(mlock(anonymous(24, 0), 24 * page) == 0, "mlock");

	if (page == 4096) {
		/* One huge page, one that is mapped page by page, and one that was only read. */
		at = two_large();
		memset(at, 1, 2 * large);
		must(mprotect(at + large + 7 * page, page, PROT_READ) == 0, "mprotect");
		at = two_large();
		sum += *at;
		/* A huge page of shared memory, where it may have such. */
		fd = memfd_create("large", 0);
		must(fd >= 0 && ftruncate(fd, large) == 0, "memfd_create");
		at = two_large();
		at = mmap(at, large, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
		must(at != MAP_FAILED && madvise(at, large, MADV_HUGEPAGE) == 0, "mmap");
		at[5] = 1;
	}

	fd = file(folder, "shared-file", 20);
	take(20, 6, MAP_SHARED, fd);
	at = take(20, 0, MAP_PRIVATE, fd);
	for (int i = 0; i < 9; i++)
		sum += at[i * page];
	at[2 * page] = 1;
	at[15 * page] = 1;
	fd = file(folder, "deleted-file", 10);
	snprintf(path, sizeof(path), "%s/deleted-file", folder);
	unlink(path);
	mmap(NULL, 10 * page, PROT_READ, MAP_SHARED, fd, 4 * page);
	take(10, 3, MAP_SHARED, fd);
	fd = open("/dev/zero", O_RDWR);
	must(fd >= 0, "/dev/zero");
	take(6, 2, MAP_PRIVATE, fd);

	fd = memfd_create("a memfd", 0);
	must(fd >= 0 && ftruncate(fd, 32 * page) == 0, "memfd_create");
	take(32, 11, MAP_SHARED, fd);
	/* The same once more: its pages have two mappings of one process. */
	at = take(32, 5, MAP_SHARED, fd);
	fd = memfd_create("closed", 0);
	must(fd >= 0 && ftruncate(fd, 16 * page) == 0, "memfd_create");
	out = take(16, 16, MAP_SHARED, fd);
	at = shmat(shmget(IPC_PRIVATE, 12 * page, 0600), NULL, 0);
	must(at != (void *)-1, "shmat");
	memset(at, 1, 7 * page);

	own = hugetlb(MAP_PRIVATE);
	told = hugetlb(MAP_SHARED);
	at = take(14, 9, MAP_SHARED | MAP_ANONYMOUS, -1);

	memset(malloc(300000), 1, 300000);
	must(pthread_create(&thread, NULL, idle, NULL) == 0, "pthread_create");

	if (disk) {
		cpu_set_t cpu;
		char *gone;

		/* New pages wait for the LRU lists in a batch of their CPU; MADV_PAGEOUT drains that of its own alone. */
		CPU_ZERO(&cpu);
		CPU_SET(sched_getcpu(), &cpu);
		must(sched_setaffinity(0, sizeof(cpu), &cpu) == 0, "sched_setaffinity");
		gone = anonymous(22, 22);
		fd = open(disk, O_RDONLY);
		must(fd >= 0, disk);
		clean = mmap(NULL, 18 * page, PROT_READ, MAP_SHARED, fd, 0);
		must(clean != MAP_FAILED, "mmap");
		for (int i = 0; i < 18; i++)
			sum += clean[i * page];
		memset(gone, 7, 22 * page);
		must(madvise(gone, 13 * page, MADV_PAGEOUT) == 0, "pageout");
		must(madvise(out, 16 * page, MADV_PAGEOUT) == 0, "pageout");
		must(swapped(gone), "MADV_PAGEOUT left a page in memory");
	}

	both = anonymous(50, 50);
	must(pipe(pipes) == 0, "pipe");
	child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		for (int i = 0; i < 17; i++)
			both[i * page] = 2;
		at[0] = 1;
		if (told)
			told[0] = 2;
		if (own)
			munmap(own, large);
		at[3 * page] = 2;
		if (clean)
			sum += clean[0];
		must(write(pipes[1], "x", 1) == 1, "write");
		for (;;)
			pause();
	}
	must(read(pipes[0], path, 1) == 1, "read");
	printf("ready %d %ld\n", getpid(), child);
	fflush(stdout);
	for (;;)
		pause();
	return sum;
}
