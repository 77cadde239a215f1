/* Sockets that the machine outside feeds over virtio-net. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

static int accept_one(struct role *role, uint16_t port)
{
	int listener = tcp_listen(AF_INET, port, 1), fd;

	ready();
	fd = must(accept(listener, NULL, NULL), "accept");
	close(listener);
	role_holds(role, fd);
	return fd;
}

void starving(void)
{
	set_comm("starver");
	accept_one(role_add("starving", "is sent 10-byte messages and never reads"), PORT_STARVING);
}

void starving_large(void)
{
	set_comm("starver-large");
	accept_one(role_add("starving-large", "is sent segments over 128 bytes and never reads"),
		   PORT_STARVING_LARGE);
}

void healthy(void)
{
	static char bytes[4096];
	struct role *role = role_add("healthy", "reads all that it is sent");
	ssize_t got;
	int fd;

	set_comm("healthy");
	role->skbs = 0;
	role->bytes = 0;
	fd = accept_one(role, PORT_HEALTHY);
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		role->consumed += got;
}

void udp_fed(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT_UDP_FED) };
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");

	set_comm("udp-fed");
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	role_holds(role_add("udp-fed", "is sent datagrams over 128 bytes and never reads"), fd);
	ready();
}
