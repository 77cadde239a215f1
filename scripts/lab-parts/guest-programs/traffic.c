/*
 * `traffic SECONDS`: goes into the background and opens, fills, half reads and closes sockets on
 * loopback, in processes that come and go, for so long.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536];

static int any(int below)
{
	return random() % below;
}

/* Two ends of one connection, or of two sockets that are connected to each other. */
static int pair(int family, int type, int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *any_address = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	int first;

	if (family == AF_UNIX)
		return socketpair(family, type, 0, ends);
	first = socket(family, type, 0);
	ends[1] = socket(family, type, 0);
	if (bind(first, any_address, length) < 0 || getsockname(first, any_address, &length) < 0)
		return -1;
	if (type == SOCK_STREAM && listen(first, 1) < 0)
		return -1;
	if (connect(ends[1], any_address, length) < 0)
		return -1;
	ends[0] = type == SOCK_STREAM ? accept(first, NULL, NULL) : first;
	if (type == SOCK_STREAM)
		close(first);
	return ends[0] < 0 ? -1 : 0;
}

#define PAIRS 24

/* A crowd of pairs; now and then one goes and another comes in its place. */
static void churn(time_t end)
{
	static const struct {
		int family, type;
	} kinds[] = { { AF_INET, SOCK_STREAM }, { AF_INET, SOCK_DGRAM }, { AF_UNIX, SOCK_STREAM } };
	int pairs[PAIRS][2];
	int open = 0;

	/* A process lives for a while; another follows it. */
	for (int round = 0; round < 300 && time(NULL) < end; round++) {
		int *ends = pairs[open < PAIRS ? open : any(PAIRS)];
		int kind = any(3);

		if (open < PAIRS) {
			open++;
		} else {
			/* Either end can be the first to go, unread data or not. */
			int first = any(2);

			close(ends[first]);
			usleep(any(2000));
			close(ends[!first]);
		}
		if (pair(kinds[kind].family, kinds[kind].type, ends) < 0) {
			perror("traffic: pair");
			_exit(1);
		}
		for (int i = any(100); i > 0; i--) {
			int *other = pairs[any(open)];

			send(other[1], buffer, 1 + any(4000), MSG_DONTWAIT | MSG_NOSIGNAL);
			if (any(3) == 0)
				recv(other[0], buffer, 1 + any(9000), MSG_DONTWAIT);
		}
		usleep(5000 + any(20000));
	}
}

/* One connection on which data always flows. */
static void flow(time_t end)
{
	int ends[2];

	if (pair(AF_INET, SOCK_STREAM, ends) < 0)
		_exit(1);
	while (time(NULL) < end) {
		send(ends[1], buffer, 1 + any(60000), MSG_DONTWAIT);
		recv(ends[0], buffer, sizeof(buffer), MSG_DONTWAIT);
		usleep(any(1000));
	}
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc == 2 ? atoi(argv[1]) : 60);

	if (daemon(1, 1) < 0)
		return 1;
	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		prctl(PR_SET_NAME, i == 0 ? "flow" : "churn");
		srandom(i);
		while (time(NULL) < end) {
			pid_t child = fork();

			if (child == 0) {
				srandom(getpid());
				if (i == 0)
					flow(end);
				else
					churn(end);
				_exit(0);
			}
			waitpid(child, NULL, 0);
		}
		_exit(0);
	}
	return 0;
}
