"""Page frames that are RAM and that the kernel uses, for scripts that drgn runs."""

import re

from drgn import cast
from drgn.helpers.linux.xarray import xa_for_each

# IORESOURCE_MEM and IORESOURCE_SYSRAM.
SYSTEM_RAM = 0x1000200


def ram(prog):
    """(first, behind the last) page frame of each range, in order.

    By the tree of /proc/iomem, on arm64 by memblock, which also has what may not be mapped. Of memory that was
    plugged in, blocks that are offline in /sys/devices/system/memory are left out.
    """
    page = prog["PAGE_SIZE"].value_()
    ranges = of_memblock(prog) if "kimage_voffset" in prog else of_iomem(prog["iomem_resource"].child)
    frames = [(-(-start // page), end // page) for start, end in ranges]
    for *gone, online in blocks(prog):
        if not online:
            frames = [part for one in frames for part in without(one, gone)]
    return frames


def of_iomem(one):
    """Bytes of resources, and of those below them."""
    while one:
        if one.flags.value_() & SYSTEM_RAM == SYSTEM_RAM:
            yield one.start.value_(), one.end.value_() + 1
        elif one.child:
            yield from of_iomem(one.child)
        one = one.sibling


def of_memblock(prog):
    memory = prog["memblock"].memory
    for i in range(memory.cnt.value_()):
        region = memory.regions[i]
        base = region.base.value_()
        yield base, base + region.size.value_()


def blocks(prog):
    """(first, behind the last, online) of each block of memory, by page frames."""
    try:
        online = prog.constant("MEM_ONLINE").value_()
    except LookupError:
        online = 1  # a macro, before 6.18 or so
    bits = re.search(rb"SECTION_SIZE_BITS\)=(\d+)", prog["VMCOREINFO"].string_())[1]
    section = (1 << int(bits)) // prog["PAGE_SIZE"].value_()
    for _, entry in xa_for_each(prog["memory_blocks"].address_of_()):
        block = cast("struct memory_block *", entry)
        first = block.start_section_nr.value_() * section
        end = first + prog["sections_per_block"].value_() * section
        yield first, end, block.state.value_() == online


def without(one, gone):
    parts = (one[0], min(one[1], gone[0])), (max(one[0], gone[1]), one[1])
    return [part for part in parts if part[0] < part[1]]
