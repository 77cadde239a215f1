#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table.h"

#define HERE "10.9.0.1"
#define PEER "10.9.0.2"
#define WINDOW 65535

struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
	char data[1400];
} __attribute__((packed));

int wire_up(void)
{
	struct ifreq request = { .ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd;

	mkdir("/dev/net", 0755);
	fd = must(open("/dev/net/tun", O_RDWR), "/dev/net/tun");
	must(ioctl(fd, TUNSETIFF, &request), "TUNSETIFF");
	if (system("ip addr add " HERE "/24 dev tun0 && ip link set tun0 up") != 0)
		fail("ip");
	return fd;
}

static uint32_t sum(uint32_t total, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		total += i & 1 ? bytes[i] : bytes[i] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total & 0xffff);
}

static void transmit(struct wire *wire, uint32_t sequence, int syn, uint32_t size)
{
	struct packet packet = { 0 };
	size_t length = sizeof(packet.tcp) + size;

	packet.ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(packet.ip) + length),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.saddr = inet_addr(PEER),
		.daddr = inet_addr(HERE),
	};
	packet.ip.check = fold(sum(0, &packet.ip, sizeof(packet.ip)));
	packet.tcp = (struct tcphdr){
		.source = htons(wire->peer_port),
		.dest = htons(wire->port),
		.seq = htonl(sequence),
		.ack_seq = htonl(wire->acknowledged),
		.doff = 5,
		.syn = syn,
		.ack = !syn,
		.window = htons(WINDOW),
	};
	memset(packet.data, 'w', size);
	/* The pseudo-header: addresses, protocol, length. */
	packet.tcp.check = fold(sum(sum(IPPROTO_TCP + length, &packet.ip.saddr, 8), &packet.tcp, length));
	if (write(wire->tun, &packet, sizeof(packet.ip) + length) < 0)
		fail("write to tun0");
}

/* The kernel's SYN-ACK, past whatever else it sends on a new device. */
static uint32_t answer(struct wire *wire)
{
	struct packet packet;

	for (int tries = 0; tries < 100; tries++) {
		ssize_t got = read(wire->tun, &packet, sizeof(packet));

		if (got >= (ssize_t)(sizeof(packet.ip) + sizeof(packet.tcp)) && packet.ip.version == 4 &&
		    packet.ip.protocol == IPPROTO_TCP && packet.tcp.syn && packet.tcp.ack &&
		    packet.tcp.dest == htons(wire->peer_port))
			return ntohl(packet.tcp.seq);
	}
	fail("no SYN-ACK");
}

struct wire wire_connect(int tun, uint16_t peer_port, uint16_t port)
{
	struct wire wire = { .tun = tun, .peer_port = peer_port, .port = port, .next = 1000 };

	transmit(&wire, wire.next, 1, 0);
	wire.acknowledged = answer(&wire) + 1;
	wire.next++;
	transmit(&wire, wire.next, 0, 0);
	return wire;
}

void wire_send(struct wire *wire, uint32_t gap, uint32_t size)
{
	wire->next += gap;
	transmit(wire, wire->next, 0, size);
	wire->next += size;
}
