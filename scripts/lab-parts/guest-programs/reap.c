/* `reap PID...`: kills processes and waits until each has ended and let go of all it had. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/*
 * A packet on each CPU: what one CPU frees and another had allocated waits there for the next one
 * (skb_attempt_defer_free).
 */
static void touch_cpus(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (int cpu = 0; cpu < cpus; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) == 0)
			sendto(fd, "", 1, 0, (struct sockaddr *)&address, sizeof(address));
	}
	close(fd);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct pollfd end = { .events = POLLIN };
		pid_t pid = atoi(argv[i]);

		end.fd = syscall(SYS_pidfd_open, pid, 0);
		if (end.fd < 0 || kill(pid, SIGKILL) < 0 || poll(&end, 1, 20000) != 1) {
			perror(argv[i]);
			return 1;
		}
		close(end.fd);
	}
	/* Files of io_uring, cycles of messages and what RCU delays go a little later. */
	for (int i = 0; i < 3; i++) {
		/* Where a unix socket is closed, cycles of messages are looked for. */
		close(socket(AF_UNIX, SOCK_STREAM, 0));
		sleep(1);
		touch_cpus();
	}
	return 0;
}
