/*
 * `ends`: makes pairs of processes that have one end each of a connection inside the guest, and a
 * process whose main thread has ended while another thread has a socket open. Prints a line for each:
 * its name, the pid of the one that is to be killed, the pid at the other end; the processes stay.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum victim { READER, WRITER, LEADERLESS_READER };

static const struct {
	const char *name;
	int family, type;
	/* Messages of 1000 bytes; 0: as many as it takes. */
	int messages;
	enum victim victim;
} pairs[] = {
	{ "tcp-reader", AF_INET, SOCK_STREAM, 40, READER },
	{ "tcp-writer", AF_INET, SOCK_STREAM, 40, WRITER },
	{ "stuffed-reader", AF_INET, SOCK_STREAM, 0, READER },
	{ "stuffed-writer", AF_INET, SOCK_STREAM, 0, WRITER },
	{ "stream-reader", AF_UNIX, SOCK_STREAM, 40, READER },
	{ "stream-writer", AF_UNIX, SOCK_STREAM, 40, WRITER },
	{ "dgram-reader", AF_UNIX, SOCK_DGRAM, 8, READER },
	{ "dgram-writer", AF_UNIX, SOCK_DGRAM, 8, WRITER },
	{ "leaderless", AF_INET, SOCK_STREAM, 40, LEADERLESS_READER },
};

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* ends[0] reads what ends[1] writes. */
static void connect_ends(int family, int type, int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	int listener;

	if (family == AF_UNIX) {
		must(socketpair(family, type, 0, ends) == 0, "socketpair");
		return;
	}
	listener = socket(family, type, 0);
	must(bind(listener, any, length) == 0 && getsockname(listener, any, &length) == 0, "bind");
	must(listen(listener, 1) == 0, "listen");
	ends[1] = socket(family, type, 0);
	must(connect(ends[1], any, length) == 0, "connect");
	ends[0] = accept(listener, NULL, NULL);
	must(ends[0] >= 0, "accept");
	close(listener);
}

static void fill(int fd, int messages)
{
	static char bytes[16384];

	memset(bytes, 'e', sizeof(bytes));
	for (int i = 0; i < messages; i++)
		must(send(fd, bytes, 1000, MSG_NOSIGNAL) == 1000, "send");
	if (messages > 0)
		return;
	for (int refused = 0; refused < 20; refused++) {
		while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			refused = 0;
		usleep(10000);
	}
}

static void *sleeper(void *ignored)
{
	for (;;)
		pause();
	return ignored;
}

/* A process that has all that is open but `other`. */
static pid_t keeper(const char *name, int other, int leaderless)
{
	pid_t pid = fork();
	pthread_t thread;

	must(pid >= 0, "fork");
	if (pid != 0)
		return pid;
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, name);
	close(other);
	if (!leaderless)
		sleeper(NULL);
	must(pthread_create(&thread, NULL, sleeper, NULL) == 0, "pthread_create");
	pthread_setname_np(thread, "outlives");
	pthread_exit(NULL);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		int ends[2];
		pid_t reader, writer;

		connect_ends(pairs[i].family, pairs[i].type, ends);
		fill(ends[1], pairs[i].messages);
		reader = keeper(pairs[i].name, ends[1],
				pairs[i].victim == LEADERLESS_READER);
		writer = keeper(pairs[i].name, ends[0], 0);
		close(ends[0]);
		close(ends[1]);
		if (pairs[i].victim == WRITER)
			printf("%s %d %d\n", pairs[i].name, writer, reader);
		else
			printf("%s %d %d\n", pairs[i].name, reader, writer);
		fflush(stdout);
	}
	/* Each has closed what is not its own, and what was sent has been acknowledged. */
	sleep(2);
	return 0;
}
