"""What sockets hold, piece by piece, and whose they are: `drgn … held.py`. JSON on stdout.

Each socket that a process has open or keeps (in a message, a ring, an accept queue) is told with its
owners' pids and with pieces: [key, bytes, [[physical address, length, hash]…]]. A piece is an
allocation or a slab slot, its ranges are bytes in it that nobody changes while it is held: payload
and the skb's own pointer to its head.
"""

import hashlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../sockets"), os.environ["LAB_PARTS"]]

from drgn import cast, offsetof  # noqa: E402
from drgn.helpers.linux.mm import (  # noqa: E402
    PageCompound,
    compound_head,
    compound_order,
    page_to_phys,
    virt_to_page,
    virt_to_phys,
)
from drgn.helpers.linux.net import skb_shinfo  # noqa: E402
from drgn.helpers.linux.slab import slab_object_info  # noqa: E402
from keepers import keepers, open_files, sock_of  # noqa: E402
from oracle.queues import queues_of  # noqa: E402
from oracle.sockets import identity  # noqa: E402


class Pieces:
    def __init__(self, prog):
        self.prog = prog
        self.page_size = prog["PAGE_SIZE"].value_()
        self.found = {}  # key → (bytes, {(address, length)})
        self.infos = set()

    def note(self, key, size, start, length):
        piece = self.found.setdefault(key, (size, set()))
        if length > 0:
            piece[1].add((start, length))

    def slot(self, address, start, length):
        """`start` is a virtual address inside of it."""
        info = slab_object_info(self.prog, address)
        if info is None:
            return False
        key = f"slot {info.address:#x}"
        self.note(key, info.slab_cache.size.value_(), virt_to_phys(self.prog, start).value_(), length)
        return True

    def page(self, page, offset, length):
        head = compound_head(page)
        order = compound_order(head).value_() if PageCompound(head) else 0
        key = f"page {page_to_phys(head).value_() // self.page_size} {order}"
        self.note(key, self.page_size << order, page_to_phys(page).value_() + offset, length)

    def skb(self, skb, received):
        self.slot(skb.value_(), skb.value_() + offsetof(skb.type_.type, "head"), 8)
        head, data = skb.head.value_(), skb.data.value_()
        # Before the data lie headers: taken off what was received, written anew into what is sent.
        start = head if received else data
        length = head + skb.tail.value_() - start
        if not self.slot(head, start, length):
            self.page(virt_to_page(self.prog, start), start % self.page_size, length)
        info = skb_shinfo(skb)
        if info.value_() in self.infos:
            return
        self.infos.add(info.value_())
        for i in range(info.nr_frags.value_()):
            frag = info.frags[i]
            if hasattr(frag, "netmem"):
                page = cast("struct page *", cast("unsigned long", frag.netmem))
                self.page(page, frag.offset.value_(), frag.len.value_())
            else:
                self.page(frag.bv_page, frag.bv_offset.value_(), frag.bv_len.value_())
        child = info.frag_list
        while child:
            self.skb(child, received)
            child = child.next

    def json(self):
        return [
            [key, size, [[start, length, self.hash(start, length)] for start, length in ranges]]
            for key, (size, ranges) in self.found.items()
        ]

    def hash(self, start, length):
        """None for zeros: what is wiped could not be told from what is not."""
        data = self.prog.read(start, length, physical=True)
        return hashlib.md5(data).hexdigest() if any(data) else None


def main(prog):
    owners, socks = {}, {}

    def own(sk, pids):
        socks[sk.value_()] = sk
        known = owners.setdefault(sk.value_(), set())
        new = pids - known
        known |= new
        return bool(new)

    for task, file in open_files(prog):
        sk = sock_of(prog, file)
        if sk:
            own(sk, {task.pid.value_()})
    kept = [(how, keeper, sk) for how, keeper, sk in keepers(prog) if how != "orphan"]
    changed = True
    while changed:
        changed = False
        for how, keeper, sk in kept:
            pids = {keeper} if how == "io_uring" else owners.get(int(keeper, 16), set())
            changed |= own(sk, set(pids))
    answer = []
    for address, sk in socks.items():
        who = identity(prog, sk)
        pieces = Pieces(prog)
        for name, skbs in queues_of(prog, sk, who["family"], who["type"], who["protocol"]):
            for skb in skbs:
                pieces.skb(skb, name not in ("write", "retransmit"))
        answer.append({"sock": hex(address), "pids": sorted(owners[address]), "pieces": pieces.json()})
    print(json.dumps(answer))


main(prog)  # noqa: F821 - drgn's
