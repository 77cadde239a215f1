/*
 * `stall MODE PATH [N]`: goes into the background, and waits for a block device or file system that does not answer.
 * Prints `MODE PID` of each process first.
 *
 *   read: the second page of a file      sync: a page of it, written      metadata: a new directory, and its parent's fsync
 *   direct: N processes read past the page cache      zero: writes zeros (submit_bio_wait)      freeze: the file system
 *   create: a new file      namespace: a tmpfs that only this process sees
 *   deadline: N processes of SCHED_DEADLINE, which use all of their run time
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr, which not every C library declares. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int fail(const char *what)
{
	fprintf(stderr, "stall: %s: %s\n", what, strerror(errno));
	return 1;
}

static int does(const char *mode, const char *path)
{
	uint64_t range[2] = { 0, 4096 };
	char name[256], *page;
	int fd;

	if (posix_memalign((void **)&page, 4096, 4096))
		return fail("memory");
	snprintf(name, sizeof(name), "%s/new", path);
	if (!strcmp(mode, "create"))
		return open(name, O_CREAT | O_WRONLY, 0600) < 0 ? fail(name) : 0;
	if (!strcmp(mode, "namespace")) {
		if (unshare(CLONE_NEWNS) || mount("only-here", path, "tmpfs", 0, NULL))
			return fail("mount");
		for (;;)
			pause();
	}
	if (!strcmp(mode, "deadline")) {
		struct attributes with = { .size = sizeof(with), .policy = 6, .runtime = 2000000,
					   .deadline = 100000000, .period = 100000000 };

		if (syscall(SYS_sched_setattr, 0, &with, 0))
			return fail("sched_setattr");
		for (;;)
			;
	}
	if (!strcmp(mode, "metadata") && mkdir(name, 0700))
		return fail(name);
	fd = open(path, !strcmp(mode, "direct") ? O_RDONLY | O_DIRECT
			: !strcmp(mode, "sync") || !strcmp(mode, "zero") ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return fail(path);
	if (!strcmp(mode, "read") || !strcmp(mode, "direct"))
		return pread(fd, page, 4096, 4096) < 0 ? fail("pread") : 0;
	if (!strcmp(mode, "sync"))
		return pwrite(fd, memset(page, 1, 4096), 4096, 0) < 0 || fsync(fd) ? fail("fsync") : 0;
	if (!strcmp(mode, "metadata"))
		return fsync(fd) ? fail("fsync") : 0;
	return ioctl(fd, BLKZEROOUT, range) ? fail("BLKZEROOUT") : 0;
}

int main(int count, char **words)
{
	int fd, all = count > 3 ? atoi(words[3]) : 1;

	if (count < 3)
		return 2;
	if (!strcmp(words[1], "freeze")) {
		fd = open(words[2], O_RDONLY);
		return fd < 0 || ioctl(fd, FIFREEZE, 0) ? fail("FIFREEZE") : 0;
	}
	for (int i = 0; i < all; i++)
		if (fork() == 0) {
			setsid();
			printf("%s %d\n", words[1], getpid());
			fflush(stdout);
			return does(words[1], words[2]);
		}
	usleep(500000);
	return 0;
}
