"""Targets of a dump, and every word of its memory that points to one, word by word, with the state of the slab object that
it is in: JSON on stdout."""

import bisect
import json
import os
import random
import sys
from array import array

sys.path.insert(0, os.path.join(os.environ["LAB_PARTS"], "..", "..", "test", "support", "drgn-modules"))

from drgn import FaultError, cast  # noqa: E402
from drgn.helpers.linux.cpumask import for_each_possible_cpu  # noqa: E402
from drgn.helpers.linux.mm import (  # noqa: E402
    PageSlab,
    PageTail,
    compound_head,
    compound_order,
    for_each_vmap_area,
    page_to_virt,
    pfn_to_page,
    phys_to_page,
)
from drgn.helpers.linux.pid import for_each_task  # noqa: E402
from drgn.helpers.linux.sched import idle_task  # noqa: E402
from drgn.helpers.linux.slab import slab_object_info  # noqa: E402
from ram import ram  # noqa: E402

CHUNK = 1 << 22
OF_MODULES = ("move_module", "module_", "load_module", "layout_and_allocate", "execmem_")


def objects(prog, first, end):
    """Slab objects: tasks, and whatever lies on random pages."""
    found = [task.value_() for task in for_each_task(prog)][:20]
    while len(found) < 60:
        page = pfn_to_page(prog, random.randrange(first, end))
        try:
            info = slab_object_info(prog, page_to_virt(page) + random.randrange(4096))
        except FaultError:
            continue
        if info and info.allocated and is_object(info):
            found.append(info.address)
    for address in dict.fromkeys(found):
        cache = slab_object_info(prog, address).slab_cache
        yield {"kind": "object", "address": address, "bytes": cache.object_size.value_()}


def is_object(info):
    """drgn reads padding behind the last object as another one, and a red zone before the first."""
    start = page_to_virt(cast("struct page *", info.slab)).value_()
    return 0 <= (info.address - start) // info.slab_cache.size.value_() < info.slab.objects.value_()


def pages(prog, first, end):
    count = 0
    size = prog["PAGE_SIZE"].value_()
    stride = prog.type("struct page").size
    while count < 30:
        pfn = random.randrange(first, end)
        page = pfn_to_page(prog, pfn)
        try:
            if PageSlab(page) or PageTail(page) or page._refcount.counter.value_() <= 0:
                continue
            many = 1 << compound_order(page).value_()
        except FaultError:
            continue
        count += 1
        yield {
            "kind": "page",
            "pfn": pfn,
            "address": page_to_virt(page).value_(),
            "bytes": many * size,
            "page": page.value_(),
            "pageBytes": many * stride,
        }


def caller(prog, area):
    try:
        return prog.symbol(area.vm.caller.value_()).name
    except LookupError:
        return ""


def areas(prog):
    idle = [idle_task(prog, cpu) for cpu in for_each_possible_cpu(prog)]
    stacks = {task.stack.value_() for task in [*for_each_task(prog), *idle]}
    found = [area for area in for_each_vmap_area(prog) if area.vm and area.va_start.value_() not in stacks]
    # An address in a module is part of a symbol, and one in the image, which is an area on arm64.
    found = [area for area in found if not caller(prog, area).startswith(OF_MODULES)]
    # _end may be absolute, and not where KASLR placed the kernel.
    ends = [prog.symbol(name).address for name in ("__bss_start", "__bss_stop")]
    image = range(prog.symbol("_text").address, max(ends))
    found = [area for area in found if area.va_start.value_() not in image]
    for area in random.sample(found, 10):
        start, end = area.va_start.value_(), area.va_end.value_()
        yield {"kind": "area", "address": start, "bytes": end - start}


def symbols(prog):
    """Variables that another symbol follows at once: then all agree where they end."""
    start, stop = prog.symbol("_sdata").address, prog.symbol("__bss_stop").address
    init = (prog.symbol("__init_begin").address, prog.symbol("__init_end").address)
    named = [one for one in prog.symbols() if start <= one.address < stop and one.size >= 16]
    named = [one for one in named if not init[0] <= one.address < init[1]]
    begin = {one.address for one in prog.symbols()}
    named = [one for one in named if one.address + one.size in begin]
    named.sort(key=lambda one: one.address)
    for one in random.sample(named, min(15, len(named))):
        yield {"kind": "symbol", "address": one.address, "bytes": one.size}


def search(prog, targets):
    ranges = []
    for index, target in enumerate(targets):
        ranges.append((target["address"], target["address"] + target["bytes"], index, ""))
        if "page" in target:
            ranges.append((target["page"], target["page"] + target["pageBytes"], index, "page"))
    ranges.sort()
    starts = [start for start, _, _, _ in ranges]
    least = starts[0]
    found = []
    size = prog["PAGE_SIZE"].value_()
    for start, end in ((first * size, last * size) for first, last in ram(prog)):
        for at in range(start, end, CHUNK):
            words = array("Q", prog.read(at, min(CHUNK, end - at), True))
            for number, word in [(number, word) for number, word in enumerate(words) if word >= least]:
                place = bisect.bisect_right(starts, word) - 1
                first, last, index, form = ranges[place]
                if word < last:
                    into = word - first
                    form = form or ("pointer" if into == 0 else "tagged" if into < 8 else "interior")
                    found.append([index, at + 8 * number, form, state(prog, at + 8 * number)])
    return found


def state(prog, physical):
    """Whether the slab object at a physical address is allocated; None where there is none."""
    page = phys_to_page(prog, physical)
    try:
        if not PageSlab(compound_head(page)):
            return None
        info = slab_object_info(prog, page_to_virt(page) + physical % prog["PAGE_SIZE"].value_())
    except FaultError:
        return None
    return info.allocated if info and is_object(info) else None


def main(prog):
    random.seed(20261124)
    first, end = prog["min_low_pfn"].value_(), prog["max_pfn"].value_()
    targets = [*objects(prog, first, end), *pages(prog, first, end), *areas(prog), *symbols(prog)]
    seen = []
    for target in targets:
        low, high = target["address"], target["address"] + target["bytes"]
        if all(high <= one["address"] or one["address"] + one["bytes"] <= low for one in seen):
            seen.append(target)
    json.dump({"targets": [{**one, "address": hex(one["address"])} for one in seen], "found": search(prog, seen)}, sys.stdout)


main(prog)  # noqa: F821 - drgn's
