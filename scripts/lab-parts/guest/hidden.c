/* Sockets that lost their descriptor, or do not have one yet. */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

void unix_listener(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/listener" };
	struct role *role = role_add("unix-listener", "one connection with 5 x 100 bytes waits");
	struct hidden *waiting = hidden_add("unix-waiting", "accept", "500 bytes; not accepted yet");
	int listener = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
	int client = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");

	set_comm("unix-listener");
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(listener, 4), "listen");
	must(connect(client, (struct sockaddr *)&address, sizeof(address)), "connect");
	send_messages(client, 5, 100);
	waiting->carrier = inode_of(listener);
	waiting->bytes = 500;
	strcpy(waiting->local, address.sun_path);
	role_holds(role, listener);
	ready();
}

/* The writer closes while the reader's window is full: FIN_WAIT1, and nobody has it open. */
void orphan(void)
{
	enum { COUNT = 40, SIZE = 1000, ROOM = 4096 };
	int listener = tcp_listen(AF_INET, 0, 1), room = ROOM, writer, reader;
	struct role *role = role_add("orphan-reader", "never reads; its peer has closed with more to send");
	struct hidden *hidden = hidden_add("orphan", "orphan", "closed with data unsent: FIN_WAIT1");

	set_comm("orphan");
	must(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), "SO_RCVBUF");
	writer = tcp_connect(AF_INET, port_of(listener));
	reader = must(accept(listener, NULL, NULL), "accept");
	close(listener);
	send_messages(writer, COUNT, SIZE);
	hidden_is_peer_of(hidden, reader);
	role_holds(role, reader);
	close(writer);
	hidden->bytes = 0;
	hidden->unsent = COUNT * SIZE - settled_unread(reader);
	ready();
}

/* Registered with io_uring: the ring keeps the file, no descriptor does. */
void ring(void)
{
	struct io_uring_params parameters = { 0 };
	struct hidden *hidden;
	struct pair pair;
	int fd = syscall(SYS_io_uring_setup, 4, &parameters);

	set_comm("ring");
	/* A kernel may be without, or have it turned off. */
	if (fd >= 0) {
		hidden = hidden_add("registered", "io_uring", "30000 bytes unread; a fixed file of a ring");
		pair = tcp_pair(AF_INET);
		send_messages(pair.writer, 30, 1000);
		wait_unread(pair.reader, 30000);
		hidden->bytes = 30000;
		hidden_is(hidden, pair.reader);
		must(syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES, &pair.reader, 1),
		     "IORING_REGISTER_FILES");
		close(pair.reader);
	}
	ready();
}
