"""A loop over all struct pages, as people write it in drgn: slabs and reserved pages of RAM. Prints JSON."""

import json
import time

from drgn.helpers.linux.mm import PageReserved, PageSlab, compound_head, pfn_to_page

PAGE = prog["PAGE_SIZE"].value_()
ram = []


def visit(one):
    while one:
        if one.flags.value_() & 0x1000200 == 0x1000200:
            ram.append((-(-one.start.value_() // PAGE), (one.end.value_() + 1) // PAGE))
        elif one.child:
            visit(one.child)
        one = one.sibling


visit(prog["iomem_resource"].child)
start = time.monotonic()
frames = slab = reserved = 0
for first, last in ram:
    pages = pfn_to_page(first)
    for pfn in range(last - first):
        page = pages + pfn
        frames += 1
        if PageReserved(page):
            reserved += 1
        elif PageSlab(compound_head(page)):
            slab += 1
seconds = time.monotonic() - start
print(json.dumps({"frames": frames, "slab": slab, "reserved": reserved, "seconds": seconds}))
