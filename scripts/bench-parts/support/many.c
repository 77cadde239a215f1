/*
 * A host with many objects: processes that sleep, and sockets of a few of them that hold unread datagrams. Prints a line
 * when all exist, and ends with its stdin.
 *
 *   many PROCESSES SOCKETS HOLDERS
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *what)
{
	perror(what);
	return 1;
}

/* Pairs of unix sockets, some with an unread datagram, and UDP sockets of both families. */
static int hold(int sockets)
{
	prctl(PR_SET_NAME, "holder");
	for (int each = 0; each < sockets; each += 2) {
		int pair[2];
		if (each % 4 == 0) {
			if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
				return failed("socketpair");
			if (each % 200 == 0 && write(pair[0], "unread", 6) != 6)
				return failed("write");
		} else if ((pair[0] = socket(AF_INET, SOCK_DGRAM, 0)) < 0 || (pair[1] = socket(AF_INET6, SOCK_DGRAM, 0)) < 0)
			return failed("socket");
		else {
			struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
			struct sockaddr_in6 own6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
			int only = 1;
			if (setsockopt(pair[1], IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) != 0 ||
			    bind(pair[0], (struct sockaddr *)&own, sizeof(own)) != 0 ||
			    bind(pair[1], (struct sockaddr *)&own6, sizeof(own6)) != 0)
				return failed("bind");
		}
	}
	return 0;
}

int main(int count, char **words)
{
	if (count != 4)
		return 2;
	int processes = atoi(words[1]), sockets = atoi(words[2]), holders = atoi(words[3]), ready[2];
	signal(SIGCHLD, SIG_IGN);
	if (pipe(ready) != 0)
		return failed("pipe");
	for (int each = 0; each < processes + holders; each++) {
		pid_t child = fork();
		if (child < 0)
			return failed("fork");
		if (child > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (each < processes)
			prctl(PR_SET_NAME, "sleeper");
		else if (hold(sockets / holders) != 0 || write(ready[1], "", 1) != 1)
			return 1;
		for (;;)
			pause();
	}
	char byte;
	for (int each = 0; each < holders; each++)
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	kill(0, SIGKILL);
	return 0;
}
