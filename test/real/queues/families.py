# What the sockets of the lab's families hold beside the queues of `struct sock`, by drgn: for each
# descriptor of the process, the addresses of what is in it. Prints {fd: {queue: …}} as JSON.
import json
import os
import sys

from drgn import Object, cast, container_of
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.list import list_count_nodes, list_for_each_entry
from drgn.helpers.linux.mm import PageCompound, compound_head, compound_order, virt_to_page
from drgn.helpers.linux.pid import find_task
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry

sys.path[:0] = [os.environ["LAB_PARTS"]]

from oracle.figures import Figures  # noqa: E402

pid = int(sys.argv[1])


def pages(found):
    """Unique allocations, as {order: how many}."""
    heads = {}
    for page in found:
        head = compound_head(page)
        heads[head.value_()] = compound_order(head).value_() if PageCompound(head) else 0
    orders = {}
    for order in heads.values():
        orders[str(order)] = orders.get(str(order), 0) + 1
    return orders


def ring(head):
    skb, found = head.next, []
    while skb.value_() != head.address_of_().value_():
        found.append(skb)
        skb = skb.next
    return found


def skbs(found):
    return {"skbs": len(found), "bytes": sum(skb.len.value_() for skb in found)}


def packet(sk):
    po = cast("struct packet_sock *", sk)
    for name, one in ("rxRing", po.rx_ring), ("txRing", po.tx_ring):
        blocks = [one.pg_vec[i].buffer for i in range(one.pg_vec_len.value_() if one.pg_vec else 0)]
        yield name, {
            "orders": pages(virt_to_page(prog, block.value_()) for block in blocks),
            "bytes": len(blocks) * (4096 << one.pg_vec_order.value_()),
        }


def mptcp(sk):
    msk = cast("struct mptcp_sock *", sk)
    if hasattr(msk, "receive_queue"):
        yield "reader", skbs(ring(msk.receive_queue))
    yield (
        "outOfOrder",
        skbs(
            list(
                rbtree_inorder_for_each_entry(
                    "struct sk_buff", msk.out_of_order_queue.address_of_(), "rbnode"
                )
            )
        ),
    )
    frags = list(
        list_for_each_entry("struct mptcp_data_frag", msk.rtx_queue.address_of_(), "list")
    )
    yield (
        "retransmit",
        {
            "orders": pages(frag.page for frag in frags),
            "bytes": sum(frag.data_len.value_() for frag in frags),
        },
    )
    if hasattr(msk, "backlog_list"):
        yield (
            "subflowBacklog",
            skbs(list(list_for_each_entry("struct sk_buff", msk.backlog_list.address_of_(), "list"))),
        )
    subflows = []
    node = msk.conn_list.next
    while node.value_() != msk.conn_list.address_of_().value_():
        context = container_of(node, "struct mptcp_subflow_context", "node")
        subflows.append(hex(context.tcp_sock.value_()))
        node = node.next
    yield "subflows", subflows


def backlog(sk):
    skb, found = sk.sk_backlog.head, []
    while skb:
        found.append(skb)
        skb = skb.next
    yield "backlog", {**skbs(found), "charged": sk.sk_backlog.len.value_()}


def tls(sk):
    icsk = cast("struct inet_connection_sock *", sk)
    if not icsk.icsk_ulp_ops or icsk.icsk_ulp_ops.name.string_() != b"tls":
        return
    context = cast("struct tls_context *", icsk.icsk_ulp_data)
    if context.rx_conf.value_():
        rx = cast("struct tls_sw_context_rx *", context.priv_ctx_rx)
        yield "tlsReceive", skbs(ring(rx.rx_list))
    if context.tx_conf.value_():
        tx = cast("struct tls_sw_context_tx *", context.priv_ctx_tx)
        yield "tlsOpen", bool(tx.open_rec)


def sg_pages(msg):
    """Entries of a message's ring: (page, bytes)."""
    slots = len(msg.sg.data) - 1
    index = msg.sg.start.value_()
    while index != msg.sg.end.value_():
        entry = msg.sg.data[index]
        link = entry.page_link.value_() & ~3
        yield cast("struct page *", Object(prog, "unsigned long", link)), entry.length.value_()
        index = (index + 1) % slots


def messages(found):
    """Messages that came as skbs, and those that have pages of their own."""
    own = [piece for msg in found if not msg.skb for piece in sg_pages(msg)]
    carried = {msg.skb.value_(): msg.skb for msg in found if msg.skb}
    return {
        "skbs": len(carried),
        "orders": pages(page for page, _ in own),
        "bytes": sum(size for _, size in own) + sum(skb.len.value_() for skb in carried.values()),
    }


def sockmap(sk):
    data = cast("unsigned long", sk.sk_user_data)
    psock = cast("struct sk_psock *", data & ~7)
    # SK_USER_DATA_PSOCK: what KCM has there points back at the sock too.
    if not data & 4 or psock.sk != sk:
        return
    found = list(
        list_for_each_entry("struct sk_msg", psock.ingress_msg.address_of_(), "list")
    )
    yield "ingressMessages", messages(found)
    yield "cork", messages([psock.cork] if psock.cork else [])
    part = psock.strp.skb_head
    yield "ingressPart", skbs([part] if part else [])


def sctp(sk):
    """What the kernel charges the socket, and counts as not sent and as not acknowledged."""
    waiting = 0
    for asoc in list_for_each_entry(
        "struct sctp_association",
        cast("struct sctp_sock *", sk).ep.asocs.address_of_(),
        "asocs",
    ):
        queue = asoc.outqueue
        waiting += queue.out_qlen.value_() + queue.outstanding_bytes.value_()
        # What is not sent counts with the 16 bytes that each chunk begins with.
        waiting -= 16 * list_count_nodes(queue.out_chunk_list.address_of_())
    charged = {"charged": sk.sk_wmem_queued.value_(), "waiting": waiting}
    yield "sctpSend", {**charged, "chunkBytes": prog.type("struct sctp_chunk").size}


def xdp(sk):
    umem = cast("struct xdp_sock *", sk).umem
    count = umem.npgs.value_() if umem else 0
    yield "umem", {"orders": pages(umem.pgs[i] for i in range(count)), "count": count}


def datagrams(sk):
    """The slots of slabs that all lie in: skbs, those of their frag_lists, their heads."""
    figures = Figures(prog)
    for skb in ring(sk.sk_receive_queue):
        figures.add(skb)
    yield "slots", {hex(address): size for address, size in figures.slots.items()}


answer = {}
for fd, file in for_each_file(find_task(prog, pid)):
    if file.f_op.value_() != prog["socket_file_ops"].address_of_().value_():
        continue
    sk = cast("struct socket *", file.private_data).sk
    family = sk.__sk_common.skc_family.value_()
    queues = []
    if family == 17:
        queues = packet(sk)
    elif family == 44:
        queues = xdp(sk)
    elif family == 2 and int(sk.sk_protocol) == 262:
        queues = mptcp(sk)
    elif family == 2 and int(sk.sk_protocol) == 132:
        queues = sctp(sk)
    elif family == 2 and int(sk.sk_protocol) == 6:
        queues = [*backlog(sk), *tls(sk), *sockmap(sk)]
    elif family == 2 and int(sk.sk_protocol) == 17:
        queues = datagrams(sk)
    answer[fd] = dict(queues)
print(json.dumps(answer))
