"""Samples of addresses of a dump, as drgn identifies them: JSON on stdout.

With arguments PID:ADDRESS it prints the page frames that these addresses of processes are mapped to instead.
"""

import json
import random
import re
import sys
from bisect import bisect_right

from drgn import FaultError
from drgn.helpers.common.memory import identify_address
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.mm import (
    PageHead,
    PageSlab,
    compound_head,
    follow_pfn,
    for_each_vmap_area,
    page_to_pfn,
    page_to_virt,
    pfn_to_page,
)
from drgn.helpers.linux.percpu import per_cpu
from drgn.helpers.linux.pid import find_task, for_each_task

EACH = 300
PER_CPU = ("runqueues", "kernel_cpustat")


def words(prog, address):
    found = identify_address(prog, address)
    return None if found is None else str(found)


def file_of(page, behind):
    """Inode number of a page of a file, and index of the page so many behind it; None for others."""
    mapping = page.mapping.value_()
    if mapping == 0 or mapping & 3:
        return None
    try:
        inode = page.mapping.host
        index = getattr(page, "index", None) if hasattr(page, "index") else page.member_("__folio_index")
        return [str(inode.i_ino.value_()), index.value_() + behind]
    except FaultError:
        return None


def is_mapped_anonymous(page):
    # Pages that were unmapped wait on batches of the LRU.
    return (
        page._refcount.counter.value_() > 0
        and page.mapping.value_() & 3 == 1
        and (PageHead(page) or page._mapcount.counter.value_() >= 0)
    )


def main(prog):
    random.seed(20261124)
    page_size = prog["PAGE_SIZE"].value_()
    first, end = prog["min_low_pfn"].value_(), prog["max_pfn"].value_()
    virt = lambda pfn: int(page_to_virt(pfn_to_page(prog, pfn)))  # noqa: E731
    objects, files, anonymous = [], [], []
    for task in for_each_task(prog):
        objects.append(task.value_() + random.randrange(1000))
        objects.append(task.stack.value_() + random.randrange(16384))
    slabs = 0
    for _ in range(200_000):
        pfn = random.randrange(first, end)
        try:
            page = compound_head(pfn_to_page(prog, pfn))
            if PageSlab(page):
                if slabs < EACH:
                    objects.append(virt(pfn) + random.randrange(page_size))
                slabs += 1
            elif is_mapped_anonymous(page) and len(anonymous) < EACH:
                anonymous.append(virt(pfn) + random.randrange(page_size))
            elif len(files) < EACH:
                found = file_of(page, pfn - page_to_pfn(page).value_())
                if found:
                    files.append([virt(pfn) + random.randrange(page_size), *found])
        except FaultError:
            continue
    areas = [area for area in for_each_vmap_area(prog) if area.vm]
    for area in random.sample(areas, min(EACH, len(areas))):
        start, last = area.va_start.value_(), area.va_end.value_()
        objects.append(start + random.randrange(last - start))
    symbols = []
    # The kernel names an address by the nearest symbol before it, also by one without a size (labels of
    # assembly, lists of BTF IDs), of which drgn says that it contains nothing.
    named, at_address = prog.symbols(), {}
    for one in named:
        at_address.setdefault(one.address, set()).add(one.name)
    starts = sorted(at_address)
    start = prog.symbol("_stext").address
    # __bss_stop and _end may be absolute, and not where KASLR placed the kernel (arm64).
    stop = max(prog.symbol(name).address for name in ("__bss_start", "__bss_stop"))
    init = (prog.symbol("__init_begin").address, prog.symbol("__init_end").address)
    named = [
        one
        for one in named
        if one.size and start <= one.address < stop and not init[0] <= one.address < init[1]
    ]
    for one in random.sample(named, min(EACH, len(named))):
        at = one.address + random.randrange(one.size)
        symbols.append([at, sorted(at_address[starts[bisect_right(starts, at) - 1]])])
    json.dump(
        {
            "objects": [[hex(at), words(prog, at)] for at in objects],
            "pageStructs": [[hex(pfn_to_page(prog, pfn).value_() + 8), pfn] for pfn in range(first, end, 997)],
            "files": [[hex(at), inode, index] for at, inode, index in files],
            "anonymous": [hex(at) for at in anonymous],
            "symbols": [[hex(at), names] for at, names in symbols],
            "perCpu": [
                [hex(per_cpu(prog[name], cpu).address_ + 4), name, cpu]
                for name in PER_CPU
                for cpu in for_each_possible_cpu(prog)
            ],
            "pageSize": page_size,
        },
        sys.stdout,
    )


def mapped(prog, places):
    frames = []
    for place in places:
        pid, address = re.fullmatch(r"(\d+):(0x[0-9a-f]+)", place).groups()
        frames.append(follow_pfn(find_task(prog, int(pid)).mm, int(address, 16)).value_())
    json.dump(frames, sys.stdout)


if len(sys.argv) > 1:
    mapped(prog, sys.argv[1:])  # noqa: F821 - drgn's
else:
    main(prog)  # noqa: F821 - drgn's
