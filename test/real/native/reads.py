"""Bytes at virtual addresses of every kind, as drgn reads them: JSON on stdout.

Each read is [kind, address, length, bytes in hex or null for a fault]; `page` has the address of the
`struct page` instead of bytes. Places are pseudo-random, the same each time.
"""

import json
import random
import sys

from drgn import FaultError
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import virt_to_page
from drgn.helpers.linux.pid import for_each_task

random.seed(1)
reads = []


def read(kind, address, length):
    try:
        reads.append([kind, hex(address), length, prog.read(address, length).hex()])
    except FaultError:
        reads.append([kind, hex(address), length, None])


def main(prog):
    page_offset = prog["page_offset_base"].value_()
    frames = prog["max_pfn"].value_()
    for _ in range(300):
        length = random.choice([1, 4, 8, 64, 4096, 5000, 20000])
        read("direct map", page_offset + random.randrange(frames * 4096 - length), length)
    vmemmap = prog["vmemmap_base"].value_()
    size = prog.type("struct page").size
    for _ in range(200):
        read("vmemmap", vmemmap + random.randrange(frames) * size, size)
    text, end = prog.symbol("_text").address, prog.symbol("_end").address
    for _ in range(200):
        length = random.choice([8, 100, 4096, 9000])
        read("image", random.randrange(text, end - length), length)
    for task in for_each_task(prog):
        if task.stack:
            length = random.choice([8, 64, 4096])
            read("vmalloc", task.stack.value_() + random.randrange(3 * 4096), length)
        page = virt_to_page(prog, task.value_()).value_()
        reads.append(["page", hex(task.value_()), 0, hex(page)])
    modules = list_for_each_entry("struct module", prog["modules"].address_of_(), "list")
    for module in modules:
        read("module", module.value_(), module.type_.type.size)
        try:
            base, length = module.core_layout.base, module.core_layout.size
        except AttributeError:  # since 6.4
            base, length = module.mem[0].base, module.mem[0].size
        for _ in range(20):
            read("module", base.value_() + random.randrange(length.value_() - 64), 64)
    # Low addresses are left out: a QEMU core's p_vaddr of 0 makes drgn read physical memory there.
    for address in (0xFFFF800000000000, 0xFFFFFFFFFFFFFFF8, 0xDEAD000000000100):
        read("nowhere", address, 8)
    json.dump(reads, sys.stdout)


main(prog)  # noqa: F821 - drgn's
