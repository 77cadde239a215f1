"""Which pieces have been freed since: `drgn … freed.py FILE`, FILE what held.py printed of an older
dump of the same guest, which wipes what it frees (init_on_free=1). JSON on stdout: by key, whether
all of its bytes are as they were, and where that cannot be told null; and of pages, how many of their
frames are on the allocator's free lists, and whether a page pool owns them. An skb that a CPU keeps
to hand out again has been freed, though nothing wiped it.
"""

import hashlib
import json
import sys

from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import page_to_pfn, pfn_to_page
from drgn.helpers.linux.mmzone import for_each_online_pgdat
from drgn.helpers.linux.percpu import per_cpu, per_cpu_ptr

# PAGE_ALLOC_COSTLY_ORDER; beyond it a CPU's lists have one more, for pages of transparent huge size.
COSTLY_ORDER = 3
HUGE_ORDER = 9


def free_frames(prog):
    """The buddy allocator's lists and those of each CPU (mm/page_alloc.c)."""
    types = prog.constant("MIGRATE_PCPTYPES").value_()
    free = set()

    def add(head, order):
        for page in list_for_each_entry("struct page", head.address_of_(), "lru"):
            pfn = page_to_pfn(page).value_()
            free.update(range(pfn, pfn + (1 << order)))

    for node in for_each_online_pgdat(prog):
        for zone in node.node_zones:
            if not zone.present_pages:
                continue
            for order, area in enumerate(zone.free_area):
                for head in area.free_list:
                    add(head, order)
            # 5.10 has one list for each type, all of order 0.
            sets = "per_cpu_pageset" if hasattr(zone, "per_cpu_pageset") else "pageset"
            for cpu in for_each_online_cpu(prog):
                one = per_cpu_ptr(getattr(zone, sets), cpu)
                for index, head in enumerate(one.lists if hasattr(one, "lists") else one.pcp.lists):
                    order = index // types
                    add(head, order if order <= COSTLY_ORDER else HUGE_ORDER)
    return free


def pooled(prog, pfn):
    """A page type since 7.1, PP_SIGNATURE before; bits 0, 1 and 7 to 38 of that are its own."""
    page = pfn_to_page(prog, pfn)
    try:
        return page.page_type.value_() >> 24 == prog.constant("PGTY_netpp").value_()
    except (LookupError, AttributeError):
        if not hasattr(page, "pp_magic"):
            return False
        return page.pp_magic.value_() & ~0x7F_FFFF_FF83 == 0xDEAD_0000_0000_0040


def reserve(prog):
    """Slots of skbs that CPUs keep to hand out again (napi_alloc_cache in net/core/skbuff.c)."""
    slots = set()
    for cpu in for_each_online_cpu(prog):
        cache = per_cpu(prog["napi_alloc_cache"], cpu)
        if hasattr(cache, "skb_cache"):
            for index in range(cache.skb_count.value_()):
                slots.add(f"slot {cache.skb_cache[index].value_():#x}")
    return slots


def main(prog):
    with open(sys.argv[1]) as file:
        held = json.load(file)
    free = free_frames(prog)
    kept_ready = reserve(prog)
    answer = {}
    for socket in held:
        for key, size, ranges in socket["pieces"]:
            kind, *rest = key.split(" ")
            same = [
                hashlib.md5(prog.read(start, length, physical=True)).hexdigest() == before
                for start, length, before in ranges
                if before is not None
            ]
            if key in kept_ready:
                same = [False]
            known = answer.setdefault(key, {"bytes": size, "kept": None, "freed": None})
            known["kept"] = known["kept"] or any(same) if same else known["kept"]
            known["freed"] = known["freed"] or not all(same) if same else known["freed"]
            if kind == "page":
                first, order = int(rest[0]), int(rest[1])
                frames = range(first, first + (1 << order))
                known["freeFrames"] = sum(1 for pfn in frames if pfn in free)
                known["pooled"] = pooled(prog, first)
    print(json.dumps({"pieces": answer, "freeFrames": len(free)}))


main(prog)  # noqa: F821 - drgn's
