/* What a tool must not stumble over: names that attack a terminal, descriptors without a socket. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

static void hold(const char *name, const char *note)
{
	struct pair pair = tcp_pair(AF_INET);
	struct role *role = role_add(name, note);

	send_messages(pair.writer, 1, 700);
	wait_unread(pair.reader, 700);
	role->bytes = 700;
	role_holds(role, pair.reader);
	ready();
}

void hostile_escape(void)
{
	set_comm("\033[31m\033]0;x\007");
	hold("hostile-escape", "its name is terminal control sequences");
}

void hostile_newline(void)
{
	set_comm("a)\nb 1 (\t\"\\ '");
	hold("hostile-newline", "its name has a newline, parentheses, quotes");
}

void hostile_bytes(void)
{
	set_comm("\xff\xfe\xc3 \xe2\x80\xae");
	hold("hostile-bytes", "its name is not UTF-8");
}

static void enter(const char *name, const char *note, int fd, enum kind kind)
{
	struct role *role = role_add(name, note);

	role->kind = kind;
	role_holds(role, fd);
}

void without_sockets(void)
{
	int ends[2];

	set_comm("no-sockets");
	must(pipe(ends), "pipe");
	enter("file", "a regular file", must(open("/init", O_RDONLY), "/init"), NOT_A_SOCKET);
	enter("pipe", "the reading end of a pipe", ends[0], NOT_A_SOCKET);
	enter("epoll", "an epoll instance", must(epoll_create1(0), "epoll"), NOT_A_SOCKET);
	enter("closed", "a descriptor inside the table that is not open", 60, NOT_OPEN);
	enter("beyond", "a descriptor beyond the table", 100000, NOT_OPEN);
	ready();
}
