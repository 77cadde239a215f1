/*
 * `takeuser WHAT BYTES [FILE]`: takes memory for a process in one known way, prints how many bytes of
 * it there are, and keeps them until it is killed. Page tables and stacks of threads are among it: what
 * a process has them for is in its own hands.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
#define LARGE (2UL << 20)
/* THREAD_SIZE of x86_64. */
#define STACK (16UL << 10)
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static char *map(unsigned long bytes, int protection, int flags, int fd)
{
	char *at = mmap(NULL, bytes, protection, flags, fd, 0);

	must(at != MAP_FAILED, "mmap");
	return at;
}

static void touch(char *at, unsigned long bytes)
{
	for (unsigned long done = 0; done < bytes; done += PAGE)
		at[done] = 1;
}

/* Base pages or huge ones, as told; aligned, so that no huge page is cut. */
static char *anonymous(unsigned long bytes, int advice)
{
	char *at = map(bytes + LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	at = (char *)(((unsigned long)at + LARGE - 1) & ~(LARGE - 1));
	must(madvise(at, bytes, advice) == 0, "madvise");
	touch(at, bytes);
	return at;
}

/* Huge pages that this process has, in bytes. */
static unsigned long huge(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *rollup = fopen("/proc/self/smaps_rollup", "r");

	must(rollup != NULL, "smaps_rollup");
	while (fgets(line, sizeof(line), rollup))
		sscanf(line, "AnonHugePages: %lu", &kib);
	fclose(rollup);
	return kib << 10;
}

static void write_all(int fd, unsigned long bytes)
{
	static char chunk[1 << 16];

	memset(chunk, 1, sizeof(chunk));
	for (unsigned long done = 0; done < bytes; done += sizeof(chunk))
		must(write(fd, chunk, sizeof(chunk)) == sizeof(chunk), "write");
}

/* Incompressible, without the page cache. */
static void write_noise(const char *file, unsigned long bytes)
{
	unsigned long state = 88172645463325252UL;
	unsigned long *chunk = (unsigned long *)map(1 << 16, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int fd = open(file, O_WRONLY | O_DIRECT);

	must(fd >= 0, file);
	for (unsigned long done = 0; done < bytes; done += 1 << 16) {
		for (int i = 0; i < 1 << 13; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			chunk[i] = state;
		}
		must(write(fd, chunk, 1 << 16) == 1 << 16, "write");
	}
	close(fd);
}

static void read_all(const char *file, unsigned long bytes)
{
	static char chunk[1 << 16];
	int fd = open(file, O_RDONLY);

	must(fd >= 0, file);
	for (unsigned long done = 0; done < bytes; done += sizeof(chunk))
		must(read(fd, chunk, sizeof(chunk)) == sizeof(chunk), "read");
}

/* Each has a table of its own: of reads alone, so that there are no pages behind them but the zero page. */
static void tables(unsigned long bytes)
{
	unsigned long many = bytes / PAGE;
	char *at = map((many + 1) * LARGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	at = (char *)(((unsigned long)at + LARGE - 1) & ~(LARGE - 1));
	must(madvise(at, many * LARGE, MADV_NOHUGEPAGE) == 0, "madvise");
	for (unsigned long i = 0; i < many; i++)
		*(volatile char *)(at + i * LARGE);
}

/* Threads that touch no memory of a process: what they have is the kernel's. */
static void threads(unsigned long bytes)
{
	static char none[16] __attribute__((aligned(16)));
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	for (unsigned long i = 0; i < bytes / STACK; i++) {
		register long r10 asm("r10") = 0;
		register long r8 asm("r8") = 0;
		long result;

		asm volatile("syscall\n\t"
			     "test %%rax, %%rax\n\t"
			     "jnz 2f\n"
			     "1: mov %[pause], %%eax\n\t"
			     "syscall\n\t"
			     "jmp 1b\n"
			     "2:"
			     : "=a"(result)
			     : "a"((long)SYS_clone), "D"(flags), "S"(none + sizeof(none)), "d"(0L),
			       "r"(r10), "r"(r8), [pause] "i"(SYS_pause)
			     : "rcx", "r11", "memory");
		must(result > 0, "clone");
	}
}

int main(int count, char **words)
{
	const char *what = count > 2 ? words[1] : "";
	unsigned long bytes = count > 2 ? strtoul(words[2], NULL, 10) : 0;
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &all);
	if (strcmp(what, "nothing") == 0) {
	} else if (strcmp(what, "anonymous") == 0) {
		anonymous(bytes, MADV_NOHUGEPAGE);
	} else if (strcmp(what, "huge") == 0) {
		anonymous(bytes, MADV_HUGEPAGE);
		must(huge() == bytes, "huge pages");
	} else if (strcmp(what, "locked") == 0) {
		must(mlock(anonymous(bytes, MADV_NOHUGEPAGE), bytes) == 0, "mlock");
	} else if (strcmp(what, "shared") == 0) {
		write_all(memfd_create("shared", 0), bytes);
	} else if (strcmp(what, "secret") == 0) {
		int fd = syscall(SYS_memfd_secret, 0);

		must(fd >= 0 && ftruncate(fd, bytes) == 0, "memfd_secret");
		touch(map(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd), bytes);
	} else if (strcmp(what, "file") == 0 && count > 3) {
		read_all(words[3], bytes);
	} else if (strcmp(what, "noise") == 0 && count > 3) {
		write_noise(words[3], bytes);
	} else if (strcmp(what, "tables") == 0) {
		tables(bytes);
	} else if (strcmp(what, "threads") == 0) {
		threads(bytes);
	} else {
		fprintf(stderr, "takeuser: what is %s?\n", what);
		return 2;
	}
	printf("ready %lu\n", bytes);
	fflush(stdout);
	for (;;)
		pause();
}
