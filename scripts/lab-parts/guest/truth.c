#define _GNU_SOURCE
#include "truth.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "table.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define SO_MEMINFO_OPTION 55
#define SIOC_SOCKET_NAMESPACE 0x894C /* SIOCGSKNS */

/* Bytes above 0x7e become \u00XX: a reader gets each byte back as one character. */
static void print_string(const char *text, size_t length)
{
	putchar('"');
	for (size_t i = 0; i < length; i++) {
		unsigned char c = text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

/* A comm has at most 15 bytes; /proc adds a newline. */
static void print_comm(pid_t pid, pid_t tid)
{
	char path[64], comm[32] = "";
	int fd;
	ssize_t length = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		length = read(fd, comm, sizeof(comm));
		close(fd);
	}
	print_string(comm, length > 0 ? length - 1 : 0);
}

static void print_value(long value)
{
	if (value == UNKNOWN)
		printf("null");
	else
		printf("%ld", value);
}

static void print_number(const char *key, long value)
{
	printf(",\"%s\":", key);
	print_value(value);
}

static long ioctl_number(int fd, unsigned long request)
{
	int value = 0;

	return ioctl(fd, request, &value) < 0 ? UNKNOWN : value;
}

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t length = sizeof(value);

	return getsockopt(fd, level, name, &value, &length) < 0 ? UNKNOWN : value;
}

static void print_address(const char *key, const struct sockaddr_storage *address, socklen_t length)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	const struct sockaddr_un *local = (const void *)address;
	char text[INET6_ADDRSTRLEN];

	printf(",\"%s\":", key);
	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		printf("\"%s:%d\"", text, ntohs(v4->sin_port));
	} else if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		printf("\"[%s]:%d\"", text, ntohs(v6->sin6_port));
	} else if (length > offsetof(struct sockaddr_un, sun_path)) {
		print_string(local->sun_path, strnlen(local->sun_path, sizeof(local->sun_path)));
	} else {
		printf("null");
	}
}

static void print_addresses(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
		print_address("local", &address, length);
	length = sizeof(address);
	memset(&address, 0, sizeof(address));
	if (getpeername(fd, (struct sockaddr *)&address, &length) == 0)
		print_address("peer", &address, length);
	else
		printf(",\"peer\":null");
}

static void print_meminfo(int fd)
{
	static const char *const names[] = { "rmemAlloc",  "rcvbuf", "wmemAlloc", "sndbuf", "fwdAlloc",
					     "wmemQueued", "optmem", "backlog",	  "drops" };
	unsigned int values[9] = { 0 };
	socklen_t length = sizeof(values);

	printf(",\"meminfo\":{");
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO_OPTION, values, &length) == 0)
		for (int i = 0; i < 9; i++)
			printf("%s\"%s\":%u", i ? "," : "", names[i], values[i]);
	printf("}");
}

static long namespace_of(int fd)
{
	struct stat status;
	int namespace = ioctl(fd, SIOC_SOCKET_NAMESPACE);
	long inode = UNKNOWN;

	if (namespace >= 0) {
		if (fstat(namespace, &status) == 0)
			inode = status.st_ino;
		close(namespace);
	}
	return inode;
}

static void print_socket(int fd, int untouched)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);
	struct stat status = { 0 };

	fstat(fd, &status);
	printf(",\"socket\":{\"inode\":%lu", (unsigned long)status.st_ino);
	print_number("family", option(fd, SOL_SOCKET, SO_DOMAIN));
	print_number("type", option(fd, SOL_SOCKET, SO_TYPE));
	print_number("protocol", option(fd, SOL_SOCKET, SO_PROTOCOL));
	print_number("tcpState", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0
					 ? (long)info.tcpi_state
					 : UNKNOWN);
	print_number("netns", namespace_of(fd));
	print_addresses(fd);
	print_number("unread", untouched ? UNKNOWN : ioctl_number(fd, FIONREAD));
	print_number("unsent", ioctl_number(fd, TIOCOUTQ));
	print_meminfo(fd);
	printf("}");
}

/* The descriptor of another process, for as long as it takes to ask the kernel about it. */
static void print_socket_of(pid_t pid, int number, int untouched)
{
	int process = syscall(SYS_pidfd_open, pid, 0);
	int fd = syscall(SYS_pidfd_getfd, process, number, 0);

	if (fd < 0) {
		perror("pidfd_getfd");
		exit(1);
	}
	print_socket(fd, untouched);
	close(fd);
	close(process);
}

static void print_content(const char *key, const struct content *content)
{
	printf(",\"%s\":{\"skbs\":", key);
	print_value(content->skbs);
	print_number("bytes", content->bytes);
	printf("}");
}

static void print_role(const struct role *role)
{
	static const char *const kinds[] = { "socket", "not-a-socket", "not-open" };

	printf("{\"name\":\"%s\",\"note\":\"%s\",\"kind\":\"%s\",\"pid\":%d,\"comm\":", role->name,
	       role->note, kinds[role->kind], role->pid);
	print_comm(role->pid, role->pid);
	printf(",\"fd\":%d", role->fd);
	print_number("skbs", role->skbs);
	print_number("bytes", role->bytes);
	print_content("outOfOrder", &role->out_of_order);
	print_content("retransmit", &role->retransmit);
	print_content("error", &role->error);
	print_number("consumed", role->consumed);
	printf(",\"holders\":[");
	for (int i = 0; i < role->holders; i++) {
		const struct holder *holder = &role->holder[i];

		printf("%s{\"pid\":%d,\"tid\":%d,\"fd\":%d,\"comm\":", i ? "," : "", holder->pid,
		       holder->tid, holder->fd);
		print_comm(holder->pid, holder->tid);
		printf("}");
	}
	printf("]");
	if (role->kind == A_SOCKET)
		print_socket_of(role->pid, role->fd, role->untouched);
	printf("}");
}

static void print_inode(const char *key, unsigned long inode)
{
	print_number(key, inode == 0 ? UNKNOWN : (long)inode);
}

static void print_text(const char *key, const char *text)
{
	printf(text[0] == '\0' ? ",\"%s\":null" : ",\"%s\":\"%s\"", key, text);
}

static void print_hidden(const struct hidden *hidden)
{
	printf("{\"name\":\"%s\",\"note\":\"%s\",\"how\":\"%s\",\"pid\":%d", hidden->name,
	       hidden->note, hidden->how, hidden->pid);
	print_inode("inode", hidden->inode);
	print_inode("carrier", hidden->carrier);
	print_number("bytes", hidden->bytes);
	print_number("unsent", hidden->unsent);
	print_text("local", hidden->local);
	print_text("peer", hidden->peer);
	printf("}");
}

void print_truth(void)
{
	struct utsname name;

	uname(&name);
	printf("{\"release\":\"%s\",\"pageSize\":%ld,\"kernelThread\":{\"pid\":2,\"comm\":", name.release,
	       sysconf(_SC_PAGESIZE));
	print_comm(2, 2);
	printf("},\"roles\":[\n");
	for (int i = 0; i < table->count; i++) {
		print_role(&table->role[i]);
		printf(i + 1 < table->count ? ",\n" : "\n");
	}
	printf("],\"hidden\":[\n");
	for (int i = 0; i < table->hidden_count; i++) {
		print_hidden(&table->hidden[i]);
		printf(i + 1 < table->hidden_count ? ",\n" : "\n");
	}
	printf("]}\n");
}
