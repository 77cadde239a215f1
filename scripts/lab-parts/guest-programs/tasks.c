/*
 * `tasks SECONDS`: goes into the background and, for so long, has tasks of every kind come and go: processes that fork
 * and exit, vfork, threads, threads that call exec, leaders that exit before their threads, zombies, tasks that share
 * memory or files alone, pid namespaces, user-mode helpers of the kernel, and workers of io_uring. Prints the pid of a
 * process that stays.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK (64UL << 10)

static time_t end;

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void reap(void)
{
	while (wait(NULL) > 0)
		;
}

static void forks(void)
{
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			usleep(i * 1000);
			_exit(0);
		}
	reap();
}

static void vforks(void)
{
	if (vfork() == 0) {
		usleep(20000);
		execl("/bin/busybox", "true", NULL);
		_exit(1);
	}
	reap();
}

static void *briefly(void *unused)
{
	usleep(5000);
	return unused;
}

static void threads(void)
{
	pthread_t ids[4];

	for (int i = 0; i < 4; i++)
		must(-pthread_create(&ids[i], NULL, briefly, NULL), "pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
}

static void *exec(void *unused)
{
	execl("/bin/busybox", "usleep", "2000", NULL);
	return unused;
}

static void *outlive(void *unused)
{
	usleep(50000);
	_exit(0);
	return unused;
}

/* A thread takes its leader's place, or the leader exits before its thread. */
static void leaders(void)
{
	void *(*const kinds[])(void *) = { exec, outlive };

	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			pthread_t id;

			must(-pthread_create(&id, NULL, kinds[i], NULL), "pthread_create");
			if (kinds[i] == outlive)
				pthread_exit(NULL);
			pause();
		}
	reap();
}

static void zombies(void)
{
	for (int i = 0; i < 8; i++)
		if (fork() == 0)
			_exit(0);
	usleep(100000);
	reap();
}

static int nap(void *unused)
{
	usleep(10000);
	return unused != NULL;
}

/* Tasks that share memory or files, and are no threads; and the first of a pid namespace. */
static void sharers(void)
{
	static const int kinds[] = { CLONE_VM, CLONE_FILES, CLONE_NEWPID, CLONE_VM | CLONE_FILES };
	static char stacks[4][STACK] __attribute__((aligned(16)));

	for (int i = 0; i < 4; i++)
		must(clone(nap, stacks[i] + STACK, kinds[i] | SIGCHLD, NULL), "clone");
	reap();
}

/* No module has this family: the kernel starts modprobe, which the guest lacks. */
static void helpers(void)
{
	int fd = socket(AF_MAX - 1, SOCK_STREAM, 0);

	if (fd >= 0)
		close(fd);
	usleep(10000);
}

/* A ring with a thread that polls, or with a worker that waits for a pipe; both end with the process. */
static void ring(int polls)
{
	struct io_uring_params parameters = { .flags = polls ? IORING_SETUP_SQPOLL : 0 };
	int ends[2], fd;
	struct io_uring_sqe *entries;
	char *queue, byte;

	must(pipe(ends), "pipe");
	fd = must(syscall(SYS_io_uring_setup, 4, &parameters), "io_uring_setup");
	if (polls) {
		usleep(200000);
		_exit(0);
	}
	queue = mmap(NULL, parameters.sq_off.array + 4 * sizeof(unsigned int), PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       IORING_OFF_SQES);
	if (queue == MAP_FAILED || entries == MAP_FAILED)
		_exit(1);
	entries[0] = (struct io_uring_sqe){ .opcode = IORING_OP_READ,
					    .flags = IOSQE_ASYNC,
					    .fd = ends[0],
					    .addr = (unsigned long)&byte,
					    .len = 1 };
	((unsigned int *)(queue + parameters.sq_off.array))[0] = 0;
	__atomic_store_n((unsigned int *)(queue + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0), "io_uring_enter");
	usleep(200000);
	_exit(0);
}

static void rings(void)
{
	for (int polls = 0; polls < 2; polls++)
		if (fork() == 0)
			ring(polls);
	reap();
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{ "forks", forks },	  { "vforks", vforks },   { "threads", threads }, { "leaders", leaders },
	{ "zombies", zombies }, { "sharers", sharers }, { "helpers", helpers }, { "rings", rings },
};

int main(int argc, char **argv)
{
	int out = dup(1);

	if (argc != 2) {
		fputs("tasks SECONDS\n", stderr);
		return 2;
	}
	end = time(NULL) + atoi(argv[1]);
	if (daemon(1, 0) < 0)
		return 1;
	dprintf(out, "%d\n", getpid());
	close(out);
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fork() == 0) {
			prctl(PR_SET_NAME, kinds[i].name);
			while (time(NULL) < end) {
				kinds[i].run();
				/* An emulated guest has time for others, too. */
				usleep(100000);
			}
			_exit(0);
		}
	reap();
	return 0;
}
