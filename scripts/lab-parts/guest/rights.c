/* Files on their way in SCM_RIGHTS messages: sockets that no process has open. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

/* Sends one byte that carries `file`. */
static void send_file(int fd, int file)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 'r';
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &file, sizeof(int));
	if (sendmsg(fd, &message, 0) != 1)
		fail("SCM_RIGHTS");
}

/* Puts `file` into the queue of `pair.reader` and gives up its descriptor. */
static void carry(struct pair pair, int file, struct hidden *hidden)
{
	hidden_is(hidden, file);
	hidden->carrier = inode_of(pair.reader);
	send_file(pair.writer, file);
	close(file);
}

/* A TCP reader with `count` messages of 1000 bytes unread, about to lose its descriptor. */
static int full_reader(struct hidden *hidden, int count)
{
	struct pair pair = tcp_pair(AF_INET);

	send_messages(pair.writer, count, 1000);
	wait_unread(pair.reader, count * 1000);
	hidden->bytes = count * 1000;
	return pair.reader;
}

static struct role *enter(const char *name, const char *note, int fd)
{
	struct role *role = role_add(name, note);

	role->skbs = 1;
	role->bytes = 1;
	role_holds(role, fd);
	return role;
}

void rights(void)
{
	struct pair pair = unix_pair(SOCK_STREAM);
	struct hidden *hidden = hidden_add("in-flight", "scm", "60000 bytes unread; in one message");

	set_comm("rights");
	enter("rights", "one message that carries a TCP socket", pair.reader);
	carry(pair, full_reader(hidden, 60), hidden);
	ready();
}

/* A message carries a unix socket, in whose queue a message carries a TCP socket. */
void nested_rights(void)
{
	struct pair outer = unix_pair(SOCK_DGRAM), inner = unix_pair(SOCK_STREAM);
	struct hidden *socket = hidden_add("nested-socket", "scm", "50000 bytes unread; in a message");
	struct hidden *carrier = hidden_add("nested-carrier", "scm", "on its way itself");

	set_comm("nested-rights");
	enter("nested-rights", "a datagram that carries a unix socket that carries", outer.reader);
	carry(inner, full_reader(socket, 50), socket);
	carrier->bytes = 1;
	carry(outer, inner.reader, carrier);
	close(inner.writer);
	close(outer.writer);
	ready();
}

/* A socket in its own queue, beside a TCP socket: what the kernel's garbage collector is for. */
void own_rights(void)
{
	struct pair pair = unix_pair(SOCK_STREAM);
	struct hidden *hidden = hidden_add("in-own-flight", "scm", "40000 bytes unread; in one message");
	struct role *role = enter("own-rights", "two messages; one carries the socket itself", pair.reader);

	set_comm("own-rights");
	role->skbs = 2;
	role->bytes = 2;
	send_file(pair.writer, pair.reader);
	carry(pair, full_reader(hidden, 40), hidden);
	close(pair.writer);
	ready();
}
