"""A loop over all struct pages, as people write it in drgn: slabs and reserved pages of RAM. Prints JSON."""

import json
import os
import sys
import time

from drgn.helpers.linux.mm import PageReserved, PageSlab, compound_head, pfn_to_page

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "../../../test/support/drgn-modules")]
from ram import ram  # noqa: E402

ranges = ram(prog)
start = time.monotonic()
frames = slab = reserved = 0
for first, last in ranges:
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
