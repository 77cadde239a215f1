"""The page memory of the network without a walk of any socket: which page frames are held by an skb
that the slabs have given out, and which frames nobody accounts for who isn't the network.

Prints [first frame, frames] for each allocation of those asked for: skbs, rest. Asked for others, it
prints how many frames are given out that the kernel counts as nobody's.
"""

import json
import sys

from drgn import FaultError, Object, cast, sizeof
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import PageCompound, compound_head, compound_order, page_to_pfn, virt_to_page
from drgn.helpers.linux.net import skb_shinfo
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
from drgn.helpers.linux.slab import slab_object_info
from skbs_in_use import skbs_in_use

PAGES_AT_ONCE = 4096


def allocation(page):
    head = compound_head(page)
    order = compound_order(head).value_() if PageCompound(head) else 0
    return page_to_pfn(head).value_(), 1 << order


def pages_of_skbs(prog):
    found = {}
    for skb in skbs_in_use(prog):
        try:
            head = skb.head
            info = slab_object_info(head)
            if info is not None and not info.allocated:
                continue
            if info is None:
                page = virt_to_page(head)
                if compound_head(page)._refcount.counter.value_() <= 0:
                    continue
                first, count = allocation(page)
                found[first] = count
            shared = skb_shinfo(skb)
            for i in range(shared.nr_frags.value_()):
                frag = shared.frags[i]
                netmem = hasattr(frag, "netmem")
                page = cast("struct page *", cast("unsigned long", frag.netmem)) if netmem else frag.bv_page
                first, count = allocation(page)
                found[first] = count
        except FaultError:
            continue
    return found


def vmalloc_areas(prog):
    try:
        yield from list_for_each_entry(
            "struct vmap_area", prog["vmap_area_list"].address_of_(), "list"
        )
    except KeyError:
        for i in range(prog["nr_vmap_nodes"].value_()):
            root = prog["vmap_nodes"][i].busy.root.address_of_()
            yield from rbtree_inorder_for_each_entry("struct vmap_area", root, "rb_node")


def vmalloc_frames(prog):
    frames = set()
    for area in vmalloc_areas(prog):
        if area.vm and area.vm.pages:
            for i in range(area.vm.nr_pages.value_()):
                frames.add(page_to_pfn(area.vm.pages[i]).value_())
    return frames


class Pages:
    """Says of each struct page who accounts for it, from its raw bytes: there are many."""

    def __init__(self, prog):
        self.prog = prog
        page = prog.type("struct page")
        self.size = sizeof(page)
        self.flags = {e.name: e.value for e in prog.type("enum pageflags").enumerators}
        try:
            self.types = {e.name: e.value for e in prog.type("enum pagetype").enumerators}
        except LookupError:
            self.types = {}
        offset = lambda name: page.member(name).bit_offset // 8
        self.type_at, self.count_at, self.private_at = map(
            offset, ["page_type", "_refcount", "private"]
        )
        self.mapping_at = offset("mapping") if page.has_member("mapping") else None

    def page_type(self, page):
        value = int.from_bytes(page[self.type_at : self.type_at + 4], "little")
        if "PGTY_slab" in self.types:
            names = {number: name[5:] for name, number in self.types.items()}
            return None if value >> 24 in (0, 0xFF) else names.get(value >> 24)
        if value & 0xF0000000 != 0xF0000000:
            return None
        # PAGE_TYPE_BASE with the bit of the type cleared (include/linux/page-flags.h).
        bits = {"buddy": 0x80, "offline": 0x100, "table": 0x200, "guard": 0x400}
        if "PG_buddy" in self.types:
            bits = {name[3:]: bit for name, bit in self.types.items() if name.startswith("PG_")}
        return next((name for name, bit in bits.items() if not value & bit), None)

    def pages(self, base):
        """Every page frame that has a struct page, and the bytes of that."""
        last = self.prog["max_pfn"].value_()
        for first in range(0, last, PAGES_AT_ONCE):
            count = min(PAGES_AT_ONCE, last - first)
            try:
                raw = self.prog.read(base.value_() + first * self.size, count * self.size)
            except FaultError:
                # Memory does not begin at 0 everywhere.
                continue
            for index in range(count):
                yield first + index, raw[index * self.size : (index + 1) * self.size]

    def rest(self):
        """Allocated, and neither slab nor file nor anonymous memory nor page table nor reserved."""
        base = cast("struct page *", self.prog["vmemmap"])
        skip = 0
        for frame, page in self.pages(base):
            if frame < skip:
                continue
            order, is_rest = self.look(frame, page, base)
            skip = frame + (1 << order)
            if is_rest:
                yield frame, 1 << order

    def others(self, counted):
        """Given out, and counted as nobody's: neither slab nor LRU nor page table nor these frames."""
        base = cast("struct page *", self.prog["vmemmap"])
        skip = 0
        # Free pages in the lists of CPUs look like the tails of allocations that are not compound.
        total = -free_on_cpus(self.prog)
        for frame, page in self.pages(base):
            if frame < skip:
                continue
            order, _ = self.look(frame, page, base)
            skip = frame + (1 << order)
            flags = int.from_bytes(page[:8], "little")
            has = lambda name: name in self.flags and flags >> self.flags[name] & 1
            nobodys = self.page_type(page) in (None, "netpp", "large_kmalloc")
            if nobodys and not (has("PG_reserved") or has("PG_slab") or has("PG_lru")):
                total += (frame not in counted) << order
        return total

    def look(self, frame, page, base):
        flags = int.from_bytes(page[:8], "little")
        has = lambda name: name in self.flags and flags >> self.flags[name] & 1
        kind = self.page_type(page)
        if kind == "buddy":
            return int.from_bytes(page[self.private_at : self.private_at + 8], "little"), False
        order = compound_order(base + frame).value_() if has("PG_head") else 0
        used = int.from_bytes(page[self.count_at : self.count_at + 4], "little") != 0
        at = self.mapping_at
        mapping = 0 if at is None else int.from_bytes(page[at : at + 8], "little")
        # A deferred list of a huge page, TAIL_MAPPING, is none either.
        mapped = mapping not in (0, 0xDEAD000000000400)
        network = kind in (None, "netpp")
        others = has("PG_reserved") or has("PG_slab") or has("PG_lru") or mapped
        return order, used and network and not others


def rest(prog):
    vmalloc = vmalloc_frames(prog)
    return [one for one in Pages(prog).rest() if one[0] not in vmalloc]


def free_on_cpus(prog):
    free = 0
    for node in range(prog["nr_node_ids"].value_()):
        for zone in prog["node_data"][node].node_zones:
            if zone.present_pages == 0:
                continue
            for cpu in for_each_possible_cpu(prog):
                if hasattr(zone, "per_cpu_pageset"):
                    free += per_cpu_ptr(zone.per_cpu_pageset, cpu).count.value_()
                else:
                    free += per_cpu_ptr(zone.pageset, cpu).pcp.count.value_()
    return free


answer = {
    "skbs": lambda: sorted(pages_of_skbs(prog).items()),
    "rest": lambda: rest(prog),
    "others": lambda: Pages(prog).others(vmalloc_frames(prog)),
    "withVmalloc": lambda: Pages(prog).others(set()),
}
print(json.dumps({name: answer[name]() for name in sys.argv[1:]}))
