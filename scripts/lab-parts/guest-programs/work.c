/*
 * `work fork N PAUSE | work net N PAUSE`: does so much of what takes and frees memory, with pauses of so
 * many microseconds, and prints how long it took, in nanoseconds. fork: processes that touch memory and
 * end. net: MiB through a connection on loopback.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY (512UL << 10)
#define CHUNK (64UL << 10)

static char buffer[CHUNK];

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void forks(long count, long pause)
{
	while (count-- > 0) {
		pid_t child = fork();

		must(child >= 0, "fork");
		if (child == 0) {
			char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			must(memory != MAP_FAILED, "mmap");
			memset(memory, 1, MEMORY);
			_exit(0);
		}
		must(waitpid(child, NULL, 0) == child, "waitpid");
		usleep(pause);
	}
}

static void net(long mebibytes, long pause)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), writer = socket(AF_INET, SOCK_STREAM, 0);
	long left = mebibytes << 20;
	int reader;

	must(bind(listener, any, length) == 0 && getsockname(listener, any, &length) == 0, "bind");
	must(listen(listener, 1) == 0 && connect(writer, any, length) == 0, "connect");
	reader = accept(listener, NULL, NULL);
	must(reader >= 0, "accept");
	if (fork() == 0) {
		for (long done = 0; done < left; done += CHUNK) {
			must(send(writer, buffer, CHUNK, 0) == (long)CHUNK, "send");
			if (done % (1 << 20) == 0)
				usleep(pause);
		}
		_exit(0);
	}
	while (left > 0) {
		ssize_t got = recv(reader, buffer, CHUNK, 0);

		must(got > 0, "recv");
		left -= got;
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	long count = argc == 4 ? atol(argv[2]) : 0, pause = argc == 4 ? atol(argv[3]) : 0;
	struct timespec from, to;

	must(clock_gettime(CLOCK_MONOTONIC, &from) == 0, "clock_gettime");
	if (count > 0 && strcmp(argv[1], "fork") == 0)
		forks(count, pause);
	else if (count > 0 && strcmp(argv[1], "net") == 0)
		net(count, pause);
	else {
		fputs("work fork N PAUSE | work net N PAUSE\n", stderr);
		return 2;
	}
	must(clock_gettime(CLOCK_MONOTONIC, &to) == 0, "clock_gettime");
	printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
	return 0;
}
