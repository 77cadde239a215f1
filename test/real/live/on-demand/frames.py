"""What page frames are doing: `drgn … frames.py FILE`, FILE a JSON list of [pfn, order].

Prints a JSON list of as many entries: how many of the base pages are on the kernel's free lists, how
many are in a cache, a process, a slab or a page table, and how many may be in a socket's queue; and
whether a page pool owns them.
"""

import json
import sys

from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import compound_head, page_to_pfn, pfn_to_page
from drgn.helpers.linux.mmzone import for_each_online_pgdat
from drgn.helpers.linux.percpu import per_cpu_ptr

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
            for cpu in for_each_online_cpu(prog):
                for index, head in enumerate(per_cpu_ptr(zone.per_cpu_pageset, cpu).lists):
                    order = index // types
                    add(head, order if order <= COSTLY_ORDER else HUGE_ORDER)
    return free


def used_otherwise(prog, pfn):
    """It is in a cache, a process, a slab or a page table: in no queue that took it by itself."""
    page = pfn_to_page(prog, pfn)
    for word in ("compound_head", "compound_info"):
        if hasattr(page, word) and getattr(page, word).value_() & 1:
            # Tails keep other things in their words; what counts is the head.
            page = compound_head(page)
            break
    flags = page.flags.f if hasattr(page.flags, "f") else page.flags
    for name in ("PG_lru", "PG_slab", "PG_swapbacked"):
        try:
            if flags.value_() & (1 << prog.constant(name).value_()):
                return True
        except LookupError:
            pass
    # A page type is kept where the count of mappings is, as a number below -1.
    return page._mapcount.counter.value_() < -1 or page.mapping.value_() != 0


def pooled(prog, pfn):
    """net/core/page_pool.c marks its pages with PP_SIGNATURE; bits 0, 1 and 7 to 38 are its own."""
    page = pfn_to_page(prog, pfn)
    if not hasattr(page, "pp_magic"):
        return False
    return page.pp_magic.value_() & ~0x7F_FFFF_FF83 == 0xDEAD_0000_0000_0040


def main(prog):
    with open(sys.argv[1]) as file:
        asked = json.load(file)
    free = free_frames(prog)
    answer = []
    for first, order in asked:
        count = {"free": 0, "otherwise": 0, "held": 0, "pooled": pooled(prog, first)}
        for pfn in range(first, first + (1 << order)):
            if pfn in free:
                count["free"] += 1
            elif used_otherwise(prog, pfn):
                count["otherwise"] += 1
            else:
                count["held"] += 1
        answer.append(count)
    print(json.dumps(answer))


main(prog)  # noqa: F821 - drgn's
