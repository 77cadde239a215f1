/*
 * The scenario's processes. Each function runs in a process of its own, adds its entries to the
 * table, calls ready() and then keeps what it holds until it is killed.
 */
#ifndef ROLES_H
#define ROLES_H

/* This process' sockets are in the state that its entries tell. */
void ready(void);

/* Ports that the machine outside feeds. */
#define PORT_STARVING 9001
#define PORT_STARVING_LARGE 9002
#define PORT_HEALTHY 9003
#define PORT_UDP_FED 9004

/* fed.c */
void starving(void);
void starving_large(void);
void healthy(void);
void udp_fed(void);

/* loopback.c */
void loopback(void);
void loopback_large(void);
void loopback_v6(void);
void stuffed(void);
void empty(void);
void one_skb(void);
void sent_file(void);
void listener(void);
void other_namespace(void);

/* lossy.c */
void lossy(void);

/* datagrams.c */
void linear(void);
void udp(void);
void errors(void);

/* local.c */
void unix_stream(void);
void unix_datagrams(void);

/* shared.c */
void forked(void);
void duplicated(void);
void threaded(void);

/* rights.c */
void rights(void);
void nested_rights(void);
void own_rights(void);

/* hidden.c */
void unix_listener(void);
void orphan(void);
void ring(void);

/* odd.c */
void hostile_escape(void);
void hostile_newline(void);
void hostile_bytes(void);
void without_sockets(void);

#endif
