# How many page frames each category of memory has, counted by drgn in other ways than we do: lists in place
# of flags, trees in place of lists, lists of LRU in place of struct pages, tasks in place of areas.
import json
import os
import sys

from drgn import FaultError
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.list import list_for_each
from drgn.helpers.linux.mm import (
    PageLRU,
    PageReserved,
    PageSwapBacked,
    compound_head,
    follow_phys,
    for_each_vma,
    for_each_vmap_area,
    pfn_to_page,
)
from drgn.helpers.linux.mmzone import for_each_online_pgdat
from drgn.helpers.linux.percpu import per_cpu, per_cpu_ptr
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.slab import for_each_slab_cache

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "../../support/drgn-modules")]
from ram import blocks, ram  # noqa: E402

PAGE = prog["PAGE_SIZE"].value_()
# Bits of a page table entry of x86 with the number of the frame.
FRAMES = (1 << 52) - PAGE
counts = {}


def has(of, member):
    try:
        getattr(of, member)
        return True
    except AttributeError:
        return False


# Free: the lists of the buddy allocator, and those of CPUs.
present = buddy = listed = 0
zones = []
for node in for_each_online_pgdat():
    for i in range(node.nr_zones.value_()):
        zone = node.node_zones[i]
        present += zone.present_pages.value_()
        if zone.present_pages.value_() == 0:
            continue
        free_blocks = []
        for order in range(len(zone.free_area)):
            lists = (head.address_of_() for head in zone.free_area[order].free_list)
            free_blocks.append(sum(1 for head in lists for _ in list_for_each(head)))
            for head in zone.free_area[order].free_list:
                for _ in list_for_each(head.address_of_()):
                    buddy += 1 << order
        zones.append(free_blocks)
        for cpu in for_each_possible_cpu():
            own = has(zone, "per_cpu_pageset")
            sets = per_cpu_ptr(zone.per_cpu_pageset if own else zone.pageset, cpu)
            listed += (sets if own else sets.pcp).count.value_()
counts["memory"] = present
counts["free-buddy"] = buddy
counts["free-cpu-lists"] = listed


# Slabs: each cache's own count of them, times the order that it takes while there is memory.
def order_of(word):
    return word.x.value_() >> 16


def nodes_of(cache):
    # Since 7.1 behind a pair of pointers for each node.
    many = prog["nr_node_ids"].value_() if "nr_node_ids" in prog else 1
    for i in range(many):
        node = cache.per_node[i].node if has(cache, "per_node") else cache.node[i]
        if node:
            yield node


slabs = {True: 0, False: 0}
for cache in for_each_slab_cache():
    usual = order_of(cache.oo)
    many = sum(node.nr_slabs.counter.value_() for node in nodes_of(cache))
    # Debian's kernels have SLAB_RECLAIM_ACCOUNT as this bit, or by the enum's number.
    try:
        bit = 1 << prog.constant("_SLAB_RECLAIM_ACCOUNT").value_()
    except LookupError:
        bit = 0x20000
    slabs[bool(cache.flags.value_() & bit)] += many << usual
counts["slab-reclaimable"] = slabs[True]
counts["slab-unreclaimable"] = slabs[False]

# Stacks: by tasks, the idle ones among them.
tasks = list(for_each_task()) + [
    per_cpu(prog["runqueues"], cpu).idle for cpu in for_each_possible_cpu()
]
stacks = {}
ending = 0
for task in tasks:
    area = task.stack_vm_area
    if area:
        stacks[area.value_()] = area.nr_pages.value_()
        ending += area.nr_pages.value_() if task.exit_state else 0
counts["kernel-stacks"] = sum(stacks.values())
counts["ending-stacks"] = ending

# vmalloc, modules and BPF: the tree of areas.
pages = spare = 0
makers = {area.vm.caller.value_() for area in for_each_vmap_area(prog) if area.vm.value_() in stacks}
for area in for_each_vmap_area(prog):
    vm = area.vm
    if not vm or vm.value_() in stacks:
        continue
    if vm.caller.value_() in makers:
        spare += vm.nr_pages.value_()
    if vm.flags.value_() & 0x202 and vm.pages:
        pages += vm.nr_pages.value_()
counts["in-vmalloc"] = pages
counts["spare-stacks"] = spare

# What the kernel counts of per-CPU memory.
counts["percpu"] = prog["pcpu_nr_populated"].value_() * prog["pcpu_nr_units"].value_()

# Struct pages lie where their own page tables lead: of all blocks of memory, also of those that are offline.
memmap = set()
for first, end, _ in blocks(prog):
    start, stop = (pfn_to_page(prog, pfn).value_() for pfn in (first, end))
    for address in range(start, stop, PAGE):
        memmap.add(follow_phys(prog["init_mm"].address_of_(), address).value_() // PAGE)
counts["memmap"] = len(memmap)

# Struct pages: reserved ones, and those of applications by their mapping; a tail is what its head is.
reserved = {}
kinds = {"anonymous": 0, "shared": 0, "page-cache": 0}
frames_of_ram = ram(prog)
counts["ram"] = sum(end - start for start, end in frames_of_ram)
for start, end in frames_of_ram:
    page = pfn_to_page(start)
    for pfn in range(start, end):
        one = page[pfn - start]
        if PageReserved(one.address_of_()):
            reserved[pfn] = True
        head = compound_head(one.address_of_())
        if not PageLRU(head) or PageReserved(head):
            continue
        if head.mapping.value_() & 1:
            kinds["anonymous"] += 1
        else:
            kinds["shared" if PageSwapBacked(head) else "page-cache"] += 1
counts["all-reserved"] = len(reserved)
counts["lru"] = sum(kinds.values())

# Reserved frames of the image: by page tables, and on arm64 by how far the image was moved.
moved = prog["kimage_voffset"].value_() if "kimage_voffset" in prog else None
image = 0
start, end = (prog.symbol(name).address for name in ("_text", "_end"))
# Behind the last section: drgn does not move it with the image, which is linked at a multiple of 2 GiB.
if not 0 < end - start < 1 << 31:
    end = start + end % (1 << 31)
for address in range(start, end, PAGE):
    try:
        init = prog["init_mm"].address_of_()
        physical = follow_phys(init, address).value_() if moved is None else address - moved
    except Exception:
        continue
    image += physical // PAGE in reserved
counts["image"] = image



def inaccessible(mm, address):
    """The frame of a page that NUMA balancing made inaccessible, which drgn does not follow; None at other addresses. On x86 its
    entry is not present, has _PAGE_PROTNONE, and an inverted frame number (__pte_needs_invert())."""
    table = mm.pgd.value_()
    for shift in (39, 30, 21, 12):
        entry = prog.read_u64(table + (address >> shift & 511) * 8)
        if not entry & 1:
            is_leaf = shift <= 21 and entry & 0x100
            return (~entry & FRAMES) // PAGE + (address // PAGE & (1 << shift - 12) - 1) if is_leaf else None
        table = prog["page_offset_base"].value_() + (entry & FRAMES)
    return None


# Who maps anonymous pages: address by address, and page tables walked by drgn.
is_x86 = moved is None
owners = {}
for task in for_each_task():
    mm = task.mm
    if not mm or task.tgid != task.pid:
        continue
    own = set()
    for vma in for_each_vma(mm):
        for address in range(vma.vm_start.value_(), vma.vm_end.value_(), PAGE):
            try:
                pfn = follow_phys(mm, address).value_() // PAGE
            except FaultError:
                pfn = inaccessible(mm, address) if is_x86 else None
            if pfn is None:
                continue
            page = pfn_to_page(pfn)
            if any(start <= pfn < end for start, end in frames_of_ram) and compound_head(page).mapping.value_() & 1:
                own.add(pfn)
    for pfn in own:
        owners.setdefault(pfn, []).append((mm.value_(), task.pid.value_()))
anonymous = {}
for mapped in owners.values():
    alone = len({mm for mm, _ in mapped}) == 1
    who = str(mapped[0][1]) if alone else "(several processes)"
    anonymous[who] = anonymous.get(who, 0) + 1
print(json.dumps({**counts, **kinds, "zones": zones, "anonymous-of": anonymous}))
