"""What `kdump-mem sockets` answers, asked of drgn with the kernel's debug information.

Every socket that a descriptor leads to, all skbs of its queues, and what they pin: pages and slab
slots, each once for the socket and once in the total. Prints JSON.
"""

import json

from drgn import cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.mm import (
    PageCompound,
    PageSlab,
    compound_head,
    compound_order,
    page_to_virt,
    virt_to_page,
)
from drgn.helpers.linux.net import skb_shinfo
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry

COUNTS = ("skbs", "payloadBytes", "truesizeBytes", "frags")


class Census:
    def __init__(self, prog):
        self.prog = prog
        self.page_size = prog["PAGE_SIZE"].value_()
        self.blocks = {}  # address of a struct page → what it belongs to
        self.pages, self.slots = {}, {}

    def block(self, page):
        """(head, order, None, 0), or for a slab (head, 0, its first byte, bytes of a slot)."""
        found = self.blocks.get(page.value_())
        if found is None:
            head = compound_head(page)
            if PageSlab(head):
                cache = cast("struct slab *", head).slab_cache
                found = (head.value_(), 0, page_to_virt(head).value_(), cache.size.value_())
            else:
                order = compound_order(head).value_() if PageCompound(head) else 0
                found = (head.value_(), order, None, 0)
            self.blocks[page.value_()] = found
        return found

    def memory(self, address, pages, slots):
        head, order, start, size = self.block(virt_to_page(self.prog, address))
        if start is None:
            pages[head] = order
        else:
            slots[address - (address - start) % size] = size

    def skb(self, skb, count, pages, slots, shared):
        self.memory(skb.value_(), pages, slots)
        self.memory(skb.head.value_(), pages, slots)
        info = skb_shinfo(skb)
        if info.value_() in shared:
            return
        shared.add(info.value_())
        frags = info.nr_frags.value_()
        count["frags"] += frags
        for index in range(frags):
            frag = info.frags[index]
            page = frag.bv_page if hasattr(frag, "bv_page") else frag.page.p
            head, order, _, _ = self.block(page)
            pages[head] = order
        child = info.frag_list
        while child:
            self.skb(child, count, pages, slots, shared)
            child = child.next

    def socket(self, sk):
        pages, slots, shared = {}, {}, set()
        count = dict.fromkeys(COUNTS, 0)
        for skb in queues(sk):
            count["skbs"] += 1
            count["payloadBytes"] += skb.len.value_()
            count["truesizeBytes"] += skb.truesize.value_()
            self.skb(skb, count, pages, slots, shared)
        self.pages.update(pages)
        self.slots.update(slots)
        return {**count, **self.sizes(pages, slots)}

    def sizes(self, pages, slots):
        orders = {}
        for order in pages.values():
            orders[order] = orders.get(order, 0) + 1
        return {
            "pages": len(pages),
            "orders": orders,
            "pageBytes": sum(self.page_size << order for order in pages.values()),
            "slabBytes": sum(slots.values()),
        }


def ring(head):
    start = head.address_of_().value_()
    skb = head.next
    while skb.value_() != start:
        yield skb
        skb = skb.next


def queues(sk):
    yield from ring(sk.sk_receive_queue)
    yield from ring(sk.sk_error_queue)
    yield from ring(sk.sk_write_queue)
    skb = sk.sk_backlog.head
    while skb:
        yield skb
        skb = skb.next
    inet = sk.__sk_common.skc_family.value_() in (2, 10)
    protocol = sk.sk_protocol.value_()
    if inet and protocol == 6 and sk.__sk_common.skc_state.value_() != 10:
        tcp = cast("struct tcp_sock *", sk)
        for root in (tcp.out_of_order_queue, sk.tcp_rtx_queue):
            yield from rbtree_inorder_for_each_entry("struct sk_buff", root.address_of_(), "rbnode")
    if inet and protocol == 17:
        yield from ring(cast("struct udp_sock *", sk).reader_queue)


def main(prog):
    operations = prog["socket_file_ops"].address_of_()
    holders, tables = {}, set()
    for task in for_each_task(prog):
        if not task.files or task.files.value_() in tables:
            continue
        tables.add(task.files.value_())
        for fd, file in for_each_file(task):
            if file.f_op == operations:
                who = [task.tgid.value_(), task.comm.string_().decode("latin-1"), fd]
                holders.setdefault(file.value_(), (file, []))[1].append(who)
    census, sockets = Census(prog), []
    totals = dict.fromkeys(COUNTS, 0)
    for file, who in holders.values():
        sk = cast("struct socket *", file.private_data).sk
        figures = census.socket(sk)
        for key in COUNTS:
            totals[key] += figures[key]
        sockets.append({"sock": hex(sk.value_()), "holders": who, **figures})
    totals.update(census.sizes(census.pages, census.slots))
    print(json.dumps({"sockets": sockets, "totals": totals}))


main(prog)  # noqa: F821 - drgn's
