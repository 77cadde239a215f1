/* TCP connections inside the guest. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

/* A connection whose reader has `count` messages of `size` bytes unread. */
static struct pair unread(int family, int count, int size)
{
	struct pair pair = tcp_pair(family);

	send_messages(pair.writer, count, size);
	wait_unread(pair.reader, count * size);
	return pair;
}

/* Enters both ends of a connection; the reader's entry is called `name`. */
static struct role *enter(const char *name, const char *note, struct pair pair, long bytes)
{
	struct role *role = role_add(name, note), *writer;
	char other[sizeof(role->name)];

	strcpy(other, name);
	strcat(other, "-writer");
	writer = role_add(other, "the other end; nothing sent to it");
	writer->skbs = 0;
	writer->bytes = 0;
	role->bytes = bytes;
	role_holds(role, pair.reader);
	role_holds(writer, pair.writer);
	return role;
}

void loopback(void)
{
	set_comm("loopback");
	enter("loopback", "50 messages of 1000 bytes unread", unread(AF_INET, 50, 1000), 50000);
	ready();
}

void loopback_large(void)
{
	set_comm("loopback-large");
	enter("loopback-large", "3 messages of 20000 bytes unread", unread(AF_INET, 3, 20000),
	      60000);
	ready();
}

void loopback_v6(void)
{
	set_comm("loopback-v6");
	enter("loopback-v6", "20 messages of 500 bytes unread", unread(AF_INET6, 20, 500), 10000);
	ready();
}

void stuffed(void)
{
	struct pair pair = tcp_pair(AF_INET);

	set_comm("stuffed");
	send_until_full(pair.writer, 16384);
	role_holds(role_add("stuffed-reader", "never reads"), pair.reader);
	role_holds(role_add("stuffed", "has filled its own write queue"), pair.writer);
	ready();
}

void empty(void)
{
	struct role *role;

	set_comm("empty");
	role = enter("empty", "established, nothing was ever sent", tcp_pair(AF_INET), 0);
	role->skbs = 0;
	ready();
}

void one_skb(void)
{
	struct role *role;

	set_comm("one-skb");
	role = enter("one-skb", "one message of 100 bytes unread", unread(AF_INET, 1, 100), 100);
	role->skbs = 1;
	ready();
}

void sent_file(void)
{
	struct pair pair = tcp_pair(AF_INET);
	int file = must(open("/bin/busybox", O_RDONLY), "/bin/busybox");

	set_comm("sent-file");
	if (sendfile(pair.writer, file, NULL, 60000) != 60000)
		fail("sendfile");
	wait_unread(pair.reader, 60000);
	close(file);
	enter("sent-file", "60000 bytes of the page cache unread", pair, 60000);
	ready();
}

void listener(void)
{
	struct role *role = role_add("listener", "three connections with 1000 bytes each wait");
	int fd = tcp_listen(AF_INET, 0, 8);

	set_comm("listener");
	role_holds(role, fd);
	for (int i = 0; i < 3; i++) {
		int client = tcp_connect(AF_INET, port_of(fd));

		send_messages(client, 1, 1000);
		role_holds(role_add("listener-client", "not accepted yet"), client);
	}
	ready();
}

void other_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	set_comm("other-netns");
	must(unshare(CLONE_NEWNET), "unshare");
	fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	must(ioctl(fd, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
	close(fd);
	enter("other-namespace", "30 messages of 200 bytes unread", unread(AF_INET, 30, 200), 6000);
	ready();
}
