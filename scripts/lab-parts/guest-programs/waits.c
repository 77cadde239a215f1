/*
 * `waits`: goes into the background, and has processes that wait for each other: a parent in vfork, threads in futexes
 * (with and without priority inheritance), a traced child; and one that maps pages of /dev/lost, if that exists. Prints
 * `NAME PID` of each, and the user-space address of the futexes and the pages.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes of the pages of a driver. */
#define MAPPED (48 * 4096)

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, inheriting;

static void report(const char *name)
{
	printf("%s %ld\n", name, syscall(SYS_gettid));
	fflush(stdout);
}

static void stay(void)
{
	for (;;)
		pause();
}

static void *holds(void *unused)
{
	pthread_mutex_lock(&plain);
	pthread_mutex_lock(&inheriting);
	report("futex-owner");
	stay();
	return unused;
}

static void *waits_plain(void *unused)
{
	report("futex-waiter");
	pthread_mutex_lock(&plain);
	return unused;
}

static void *waits_inheriting(void *unused)
{
	report("pi-waiter");
	pthread_mutex_lock(&inheriting);
	return unused;
}

static void futexes(void)
{
	void *(*const threads[])(void *) = { holds, waits_plain, waits_plain, waits_inheriting };
	pthread_mutexattr_t attributes;
	pthread_t id;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&inheriting, &attributes);
	printf("plain %p\ninheriting %p\n", (void *)&plain, (void *)&inheriting);
	for (int i = 0; i < 4; i++) {
		if (pthread_create(&id, NULL, threads[i], NULL))
			exit(1);
		usleep(300000);
	}
	stay();
}

static void child_of_vfork(void)
{
	report("vfork-parent");
	if (vfork() == 0) {
		report("vfork-child");
		stay();
	}
}

static void traced(void)
{
	report("tracer");
	if (fork() == 0) {
		report("traced");
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGUSR1);
	}
	stay();
}

static void mapper(void)
{
	int fd = open("/dev/lost", O_RDWR);

	report("mapper");
	if (fd >= 0)
		printf("mapped %p\n", mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	fflush(stdout);
}

int main(void)
{
	void (*const kinds[])(void) = { futexes, child_of_vfork, traced, mapper };

	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			setsid();
			kinds[i]();
			stay();
		}
	usleep(3000000);
	return 0;
}
