"""What drgn finds of sockets that no process has open: from unix sockets' hash table through the
messages in their queues, from listeners, from io_uring's rings and from TCP's hash table, none of it
through the slabs. JSON on stdout: [keeper, sock] pairs, and each sock's queues.
"""

import json
import os
import sys

from drgn import Object, cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.list import hlist_for_each_entry
from drgn.helpers.linux.list_nulls import hlist_nulls_for_each_entry
from drgn.helpers.linux.net import for_each_net
from drgn.helpers.linux.pid import for_each_task

sys.path.insert(0, os.environ["LAB_PARTS"])
from oracle.figures import Figures  # noqa: E402
from oracle.queues import queues_of, ring, state_of  # noqa: E402
from oracle.sockets import identity  # noqa: E402

LISTEN = 10
FIN_WAIT1 = 4
AF_UNIX = 1


def unix_sockets():
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


def sock_of(file):
    if file.f_op != prog["socket_file_ops"].address_of_():
        return None
    return cast("struct socket *", file.private_data).sk


def carried(sk):
    for skb in ring(prog, sk.sk_receive_queue):
        parms = Object(prog, "struct unix_skb_parms", address=skb.cb.address_)
        for index in range(parms.fp.count.value_() if parms.fp else 0):
            yield sock_of(parms.fp.fp[index])


def waiting(sk):
    if sk.__sk_common.skc_family.value_() == AF_UNIX:
        for skb in ring(prog, sk.sk_receive_queue):
            yield skb.sk
        return
    request = cast("struct inet_connection_sock *", sk).icsk_accept_queue.rskq_accept_head
    while request:
        yield request.sk
        request = request.dl_next


def registered(ring):
    """Files of a ring: nodes since 6.13, an array of words before (include/linux/io_uring_types.h)."""
    table = ring.file_table
    if hasattr(table, "data"):
        words = [table.data.nodes[i].file_ptr for i in range(table.data.nr) if table.data.nodes[i]]
    else:
        words = [table.files[i].file_ptr for i in range(ring.nr_user_files)]
    for word in words:
        if word & ~7:
            yield sock_of(Object(prog, "struct file *", word.value_() & ~7))


def orphans():
    table = prog["tcp_hashinfo"]
    for index in range(table.ehash_mask.value_() + 1):
        chain = table.ehash[index].chain.address_of_()
        for sk in hlist_nulls_for_each_entry("struct sock", chain, "__sk_common.skc_nulls_node"):
            if state_of(sk) == FIN_WAIT1 and not sk.sk_socket:
                yield sk


def describe(sk):
    who = identity(prog, sk)
    queues = {}
    for name, skbs in queues_of(prog, sk, who["family"], who["type"], who["protocol"]):
        figures = Figures(prog)
        for skb in skbs:
            figures.add(skb)
        queues[name] = {k: v for k, v in figures.json().items() if k != "slabSlots"}
    keys = ("family", "type", "state", "local", "peer", "netns")
    return {**{key: who[key] for key in keys}, "queues": queues}


def main():
    pairs = {"scm": [], "accept": [], "io_uring": [], "orphan": []}
    found = {}

    def note(how, keeper, sk):
        if sk:
            pairs[how].append([keeper, hex(sk.value_())])
            found[hex(sk.value_())] = sk

    for sk in unix_sockets():
        if state_of(sk) != LISTEN:
            for one in carried(sk):
                note("scm", hex(sk.value_()), one)
    for task in for_each_task(prog):
        # Threads share their leader's.
        if not task.files or task.pid != task.tgid:
            continue
        for _, file in for_each_file(task):
            sk = sock_of(file)
            if sk and state_of(sk) == LISTEN:
                for child in waiting(sk):
                    note("accept", hex(sk.value_()), child)
            if file.f_op == prog["io_uring_fops"].address_of_():
                context = cast("struct io_ring_ctx *", file.private_data)
                for one in registered(context):
                    note("io_uring", task.pid.value_(), one)
    for sk in orphans():
        note("orphan", None, sk)
    socks = {address: describe(sk) for address, sk in found.items()}
    print(json.dumps({"pairs": pairs, "socks": socks}))


main()
