/* UDP on loopback: one skb a datagram. */
#define _GNU_SOURCE
#include <linux/net_tstamp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

/* On loopback a datagram is in the receiver's queue when send() returns. */
static void hold(const char *name, const char *note, int count, int size)
{
	struct pair pair = udp_pair();
	struct role *role = role_add(name, note);

	send_messages(pair.writer, count, size);
	role->untouched = 1;
	role->skbs = count;
	role->bytes = (long)count * size;
	role_holds(role, pair.reader);
	ready();
}

void linear(void)
{
	set_comm("linear");
	hold("linear", "12 datagrams of 64 bytes, all in linear heads", 12, 64);
}

void udp(void)
{
	set_comm("udp");
	hold("udp", "5 datagrams of 20000 bytes", 5, 20000);
}

void errors(void)
{
	int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	struct role *role = role_add("errors", "3 timestamps of sent datagrams wait in the error queue");
	struct pair pair = udp_pair();

	set_comm("errors");
	must(setsockopt(pair.writer, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)),
	     "SO_TIMESTAMPING");
	send_messages(pair.writer, 3, 300);
	role->skbs = 0;
	role->bytes = 0;
	role->error.skbs = 3;
	role_holds(role, pair.writer);
	ready();
}
