/* Sockets whose peer loses packets or never acknowledges: queues that loopback never fills. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"
#include "wire.h"

#define PORT_OUT_OF_ORDER 9101
#define PORT_UNACKNOWLEDGED 9102

/* 200 bytes arrive, then five segments of 300 bytes with a gap before each. */
static void out_of_order(int tun)
{
	struct role *role = role_add("out-of-order", "200 bytes unread, 5 x 300 wait for what is lost");
	int listener = tcp_listen(AF_INET, PORT_OUT_OF_ORDER, 1);
	struct wire wire = wire_connect(tun, 4001, PORT_OUT_OF_ORDER);
	int fd = must(accept(listener, NULL, NULL), "accept");

	close(listener);
	wire_send(&wire, 0, 200);
	for (int i = 0; i < 5; i++)
		wire_send(&wire, 50, 300);
	wait_unread(fd, 200);
	role->bytes = 200;
	role->out_of_order.skbs = 5;
	role->out_of_order.bytes = 5 * 300;
	role_holds(role, fd);
}

/* 3000 bytes are sent, and sent again by the kernel's timer, and never acknowledged. */
static void unacknowledged(int tun)
{
	struct role *role = role_add("unacknowledged", "3000 bytes sent; nobody acknowledges them");
	int listener = tcp_listen(AF_INET, PORT_UNACKNOWLEDGED, 1), fd;

	wire_connect(tun, 4002, PORT_UNACKNOWLEDGED);
	fd = must(accept(listener, NULL, NULL), "accept");
	close(listener);
	role->skbs = 0;
	role->bytes = 0;
	role->retransmit.bytes = 3000;
	send_messages(fd, 1, 3000);
	role_holds(role, fd);
}

void lossy(void)
{
	static char ignored[2048];
	int tun = wire_up();

	set_comm("lossy");
	out_of_order(tun);
	unacknowledged(tun);
	ready();
	/* What the kernel sends must not pile up in the device: it would count as unsent. */
	while (read(tun, ignored, sizeof(ignored)) >= 0)
		continue;
	fail("tun0");
}
