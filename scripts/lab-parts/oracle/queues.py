"""The queues of a sock, by the names of DESIGN.md, each as an iterable of its skbs."""

from drgn import cast
from drgn.helpers.linux.llist import llist_for_each_entry
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry


def queues_of(prog, sk, family, kind, protocol):
    yield "receive", ring(prog, sk.sk_receive_queue)
    yield "backlog", chain(sk.sk_backlog.head)
    yield "error", ring(prog, sk.sk_error_queue)
    yield "write", ring(prog, sk.sk_write_queue)
    inet = family in ("AF_INET", "AF_INET6")
    if inet and kind == "SOCK_STREAM" and protocol == "TCP" and state_of(sk) != 10:
        tcp = cast("struct tcp_sock *", sk)
        yield "outOfOrder", tree(tcp.out_of_order_queue)
        if hasattr(sk, "tcp_rtx_queue"):
            yield "retransmit", tree(sk.tcp_rtx_queue)
    if inet and kind == "SOCK_DGRAM" and protocol == "UDP":
        udp = cast("struct udp_sock *", sk)
        if hasattr(udp, "reader_queue"):
            yield "reader", ring(prog, udp.reader_queue)
        if hasattr(udp, "udp_prod_queue"):
            yield "producing", producing(prog, udp.udp_prod_queue)


def state_of(sk):
    return sk.__sk_common.skc_state.value_()


def ring(prog, head):
    """A sk_buff_head: its length is the kernel's own count, which must agree."""
    start = head.address_of_().value_()
    found = []
    skb = head.next
    while skb.value_() != start:
        found.append(skb)
        skb = skb.next
        if len(found) > 1_000_000:
            raise ValueError(f"the queue at {start:#x} has no end")
    if len(found) != head.qlen.value_():
        raise ValueError(f"the queue at {start:#x} counts {head.qlen.value_()}, has {len(found)}")
    return found


def producing(prog, queues):
    """One lock-less list for each NUMA node."""
    nodes = prog["nr_node_ids"].value_() if queues else 0
    return [
        skb
        for node in range(nodes)
        for skb in llist_for_each_entry("struct sk_buff", queues[node].ll_root.first, "ll_node")
    ]


def chain(skb):
    found = []
    while skb:
        found.append(skb)
        skb = skb.next
    return found


def tree(root):
    return list(rbtree_inorder_for_each_entry("struct sk_buff", root.address_of_(), "rbnode"))
