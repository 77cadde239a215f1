/*
 * A TCP peer made by hand behind a tun device: it can leave gaps and withhold acknowledgements, which
 * no peer that runs a kernel does when asked.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

struct wire {
	int tun;
	uint16_t peer_port, port;
	uint32_t next; /* the peer's next sequence number */
	uint32_t acknowledged;
};

/* Makes the device; this machine is 10.9.0.1 on it, the peer 10.9.0.2. Returns its descriptor. */
int wire_up(void);

/* Connects the peer to a port of this machine that listens. */
struct wire wire_connect(int tun, uint16_t peer_port, uint16_t port);

/* Sends `size` bytes that begin `gap` bytes after what was sent before. */
void wire_send(struct wire *wire, uint32_t gap, uint32_t size);

#endif
