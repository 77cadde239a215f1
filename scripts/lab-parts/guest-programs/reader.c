/*
 * `reader PORT [starving]`: goes into the background and reads whatever comes on that port of TCP; or
 * takes the connections and never reads.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 64

static char buffer[65536];

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct pollfd ends[MOST] = { { .events = POLLIN } };
	int listener = socket(AF_INET, SOCK_STREAM, 0), count = 1, on = 1;

	if (argc < 2) {
		fputs("reader PORT [starving]\n", stderr);
		return 2;
	}
	address.sin_port = htons(atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, MOST) < 0) {
		perror("reader");
		return 1;
	}
	if (daemon(1, 1) < 0)
		return 1;
	ends[0].fd = listener;
	for (;;) {
		if (poll(ends, argc > 2 ? 1 : count, -1) < 0)
			return 1;
		for (int i = 1; i < count; i++)
			if (ends[i].revents && read(ends[i].fd, buffer, sizeof(buffer)) <= 0) {
				close(ends[i].fd);
				ends[i--] = ends[--count];
			}
		if (ends[0].revents && count < MOST) {
			ends[count].fd = accept(listener, NULL, NULL);
			ends[count].events = POLLIN;
			ends[count].revents = 0;
			if (ends[count].fd >= 0)
				count++;
		}
	}
}
