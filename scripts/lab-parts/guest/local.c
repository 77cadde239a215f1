/* Unix sockets. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

void unix_stream(void)
{
	struct pair pair = unix_pair(SOCK_STREAM);
	struct role *role = role_add("unix-stream", "10 messages of 100 bytes, 3 of 20000, unread");

	set_comm("unix-stream");
	send_messages(pair.writer, 10, 100);
	send_messages(pair.writer, 3, 20000);
	role->bytes = 10 * 100 + 3 * 20000;
	role_holds(role, pair.reader);
	ready();
}

void unix_datagrams(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/datagrams" };
	struct role *role = role_add("unix-datagrams", "7 datagrams of 600 bytes unread, bound");
	int reader = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
	int writer = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");

	set_comm("unix-dgrams");
	must(bind(reader, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(connect(writer, (struct sockaddr *)&address, sizeof(address)), "connect");
	send_messages(writer, 7, 600);
	role->skbs = 7;
	role->bytes = 7 * 600;
	role_holds(role, reader);
	ready();
}
