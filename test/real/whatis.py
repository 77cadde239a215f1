"""Samples of addresses of a dump, as drgn identifies them: JSON on stdout.

The argument is the number of addresses of each kind. With arguments PID:ADDRESS it prints the page frames that these
addresses of processes are mapped to instead.
"""

import json
import random
import re
import sys
from bisect import bisect_right

from drgn import FaultError, Object
from drgn.helpers.common.memory import identify_address
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.list import list_for_each_entry
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
from drgn.helpers.linux.mmzone import for_each_online_pgdat
from drgn.helpers.linux.module import for_each_module
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.pid import find_task, for_each_task

TRIES = 400_000


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


class Names:
    """Names of the nearest symbol at or before an address, also of one without a size (labels of assembly, lists of BTF
    IDs), of which drgn says that it contains nothing."""

    def __init__(self, symbols):
        self.named = {}
        for address, name in symbols:
            self.named.setdefault(address, set()).add(name)
        self.starts = sorted(self.named)

    def of(self, address):
        return sorted(self.named[self.starts[bisect_right(self.starts, address) - 1]])


def symbols_of(prog, each, names):
    start = prog.symbol("_stext").address
    # __bss_stop and _end may be absolute, and not where KASLR placed the kernel (arm64).
    stop = max(prog.symbol(name).address for name in ("__bss_start", "__bss_stop"))
    init = (prog.symbol("__init_begin").address, prog.symbol("__init_end").address)
    sized = [
        one
        for one in prog.symbols()
        if one.size and start <= one.address < stop and not init[0] <= one.address < init[1]
    ]
    for one in random.sample(sized, min(each, len(sized))):
        at = one.address + random.randrange(one.size)
        yield [hex(at), names.of(at)]


def per_cpu_of(prog, each):
    """Variables of CPUs. Their templates may begin at 0, as absolute symbols without a size do."""
    start, end = (prog.symbol(name).address for name in ("__per_cpu_start", "__per_cpu_end"))
    sized = [one for one in prog.symbols() if one.size and start <= one.address < end]
    starts = {one.address for one in sized}
    names = Names((one.address, one.name) for one in prog.symbols() if one.address in starts)
    cpus = list(for_each_possible_cpu(prog))
    for _ in range(each):
        one, cpu = random.choice(sized), random.choice(cpus)
        template = one.address + random.randrange(one.size)
        at = per_cpu_ptr(Object(prog, "void *", template), cpu).value_()
        yield [hex(at), names.of(template), cpu]


def of_modules(prog, each):
    """Functions and variables of modules, by the symbols that each module keeps for the kernel's messages."""
    modules = []
    for module in for_each_module(prog):
        table, found = module.kallsyms, []
        for index in range(table.num_symtab.value_()):
            symbol = table.symtab[index]
            name = (table.strtab + symbol.st_name.value_()).string_().decode()
            # Not defined here, absolute, or a mapping symbol of arm64.
            if 0 < symbol.st_shndx.value_() < 0xFFF1 and name and name[0] != "$":
                found.append((symbol.st_value.value_(), name, symbol.st_size.value_()))
        if found:
            modules.append((module.name.string_().decode(), found, Names([one[:2] for one in found])))
    sized = [(of, start, size) for of in modules for start, _, size in of[1] if size]
    for (name, _, names), start, size in random.choices(sized, k=each):
        at = start + random.randrange(size)
        yield [hex(at), names.of(at), name]


def free_of(prog, each):
    """Page frames on the lists of the buddy allocator."""
    blocks = []
    for node in for_each_online_pgdat(prog):
        for zone in node.node_zones:
            for order, area in enumerate(zone.free_area if zone.present_pages else ()):
                for head in area.free_list:
                    for page in list_for_each_entry("struct page", head.address_of_(), "lru"):
                        blocks.append((page_to_pfn(page).value_(), 1 << order))
    for first, pages in random.choices(blocks, k=each):
        yield first + random.randrange(pages)


def unmapped(prog, each):
    """Addresses that no page table maps and nothing owns: of the lower half, between areas, and beyond memory."""
    areas = sorted((area.va_start.value_(), area.va_end.value_()) for area in for_each_vmap_area(prog))
    lowest, highest = areas[0][0], areas[-1][1]
    count = 0
    for _ in range(TRIES):
        at = random.choice((random.randrange(1 << 47), random.randrange(lowest, highest), random.randrange(1 << 63, 1 << 64)))
        index = bisect_right(areas, (at, 1 << 64)) - 1
        if index >= 0 and at < areas[index][1]:
            continue
        try:
            prog.read(at, 1)
        except FaultError:
            yield hex(at)
            count += 1
        if count == each:
            return


def main(prog, each):
    random.seed(20261124)
    page_size = prog["PAGE_SIZE"].value_()
    first, end = prog["min_low_pfn"].value_(), prog["max_pfn"].value_()
    virt = lambda pfn: int(page_to_virt(pfn_to_page(prog, pfn)))  # noqa: E731
    objects, files, anonymous = [], [], []
    tasks = list(for_each_task(prog))
    for task in tasks:
        objects.append(task.value_() + random.randrange(1000))
        for _ in range(max(1, each // len(tasks))):
            objects.append(task.stack.value_() + random.randrange(16384))
    slabs = {"free ": 0, "": 0}
    for _ in range(TRIES):
        pfn = random.randrange(first, end)
        try:
            page = compound_head(pfn_to_page(prog, pfn))
            if PageSlab(page):
                if min(slabs.values()) < each:
                    at = virt(pfn) + random.randrange(page_size)
                    kind = "free " if (words(prog, at) or "").startswith("free ") else ""
                    if slabs[kind] < each:
                        objects.append(at)
                        slabs[kind] += 1
            elif is_mapped_anonymous(page) and len(anonymous) < each:
                anonymous.append(hex(virt(pfn) + random.randrange(page_size)))
            elif len(files) < each:
                found = file_of(page, pfn - page_to_pfn(page).value_())
                if found:
                    files.append([hex(virt(pfn) + random.randrange(page_size)), *found])
        except FaultError:
            continue
        if min(*slabs.values(), len(anonymous), len(files)) == each:
            break
    areas = [area for area in for_each_vmap_area(prog) if area.vm]
    for _ in range(max(1, each // len(areas))):
        for area in random.sample(areas, min(each, len(areas))):
            start, last = area.va_start.value_(), area.va_end.value_()
            objects.append(start + random.randrange(last - start))
    names = Names((one.address, one.name) for one in prog.symbols())
    json.dump(
        {
            "objects": [[hex(at), words(prog, at)] for at in objects],
            "slabs": [slabs[""], slabs["free "]],
            "pageStructs": [[hex(pfn_to_page(prog, pfn).value_() + 8), pfn] for pfn in range(first, end, 997)],
            "files": files,
            "anonymous": anonymous,
            "free": [hex(virt(pfn) + random.randrange(page_size)) for pfn in free_of(prog, each)],
            "symbols": list(symbols_of(prog, each, names)),
            "perCpu": list(per_cpu_of(prog, each)),
            "modules": list(of_modules(prog, each)),
            "unmapped": list(unmapped(prog, each)),
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


if sys.argv[1].isdecimal():
    main(prog, int(sys.argv[1]))  # noqa: F821 - drgn's
else:
    mapped(prog, sys.argv[1:])  # noqa: F821 - drgn's
