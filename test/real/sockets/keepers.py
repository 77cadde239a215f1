"""What keeps sockets that no process has open, as drgn finds it: from unix sockets' hash table through
the messages in their queues, from listeners, from io_uring's rings and from TCP's hash table.
"""

from drgn import Object, cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.list import hlist_for_each_entry
from drgn.helpers.linux.list_nulls import hlist_nulls_for_each_entry
from drgn.helpers.linux.net import for_each_net
from drgn.helpers.linux.pid import for_each_task
from oracle.queues import ring, state_of

LISTEN = 10
FIN_WAIT1 = 4
AF_UNIX = 1


def keepers(prog):
    """(how, keeper, sock): the keeper is a sock, a pid (of a ring's process) or None."""
    for sk in unix_sockets(prog):
        if state_of(sk) != LISTEN:
            for one in carried(prog, sk):
                yield "scm", hex(sk.value_()), one
    for task, file in open_files(prog):
        sk = sock_of(prog, file)
        if sk and state_of(sk) == LISTEN:
            for child in waiting(prog, sk):
                yield "accept", hex(sk.value_()), child
        if file.f_op == prog["io_uring_fops"].address_of_():
            for one in registered(prog, cast("struct io_ring_ctx *", file.private_data)):
                yield "io_uring", task.pid.value_(), one
    for sk in orphans(prog):
        yield "orphan", None, sk


def open_files(prog):
    """(process, file): a process is told by its first thread, which may have ended and have no table."""
    tables = set()
    for task in for_each_task(prog):
        # Threads share their process's.
        table = task.tgid.value_(), task.files.value_()
        if task.files and table not in tables:
            tables.add(table)
            for _, file in for_each_file(task):
                yield task.group_leader, file


def unix_sockets(prog):
    """Global up to 5.18, then a table in each namespace (net/unix/af_unix.c)."""
    try:
        tables = [(prog["unix_socket_table"], len(prog["unix_socket_table"]))]
    except KeyError:
        tables = [(net.unx.table.buckets, 512) for net in for_each_net(prog)]
    for table, size in tables:
        for index in range(size):
            yield from hlist_for_each_entry(
                "struct sock", table[index].address_of_(), "__sk_common.skc_node"
            )


def sock_of(prog, file):
    if file.f_op != prog["socket_file_ops"].address_of_():
        return None
    return cast("struct socket *", file.private_data).sk


def carried(prog, sk):
    for skb in ring(prog, sk.sk_receive_queue):
        parms = Object(prog, "struct unix_skb_parms", address=skb.cb.address_)
        for index in range(parms.fp.count.value_() if parms.fp else 0):
            sock = sock_of(prog, parms.fp.fp[index])
            if sock:
                yield sock


def waiting(prog, sk):
    if sk.__sk_common.skc_family.value_() == AF_UNIX:
        for skb in ring(prog, sk.sk_receive_queue):
            if skb.sk:
                yield skb.sk
        return
    request = cast("struct inet_connection_sock *", sk).icsk_accept_queue.rskq_accept_head
    while request:
        yield request.sk
        request = request.dl_next


def registered(prog, context):
    """Files of a ring: nodes since 6.13, an array of words before (include/linux/io_uring_types.h)."""
    table = context.file_table
    if hasattr(table, "data"):
        words = [table.data.nodes[i].file_ptr for i in range(table.data.nr) if table.data.nodes[i]]
    else:
        words = [table.files[i].file_ptr for i in range(context.nr_user_files)]
    for word in words:
        if word & ~7:
            sock = sock_of(prog, Object(prog, "struct file *", word.value_() & ~7))
            if sock:
                yield sock


def orphans(prog):
    table = prog["tcp_hashinfo"]
    for index in range(table.ehash_mask.value_() + 1):
        chain = table.ehash[index].chain.address_of_()
        for sk in hlist_nulls_for_each_entry("struct sock", chain, "__sk_common.skc_nulls_node"):
            if state_of(sk) == FIN_WAIT1 and not sk.sk_socket:
                yield sk
