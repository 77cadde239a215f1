"""
What page_owner notes, by drgn alone: base pages by stack over all memory, and the entries of single frames.

own-kernel-records.py FRAME...
"""

import json
import struct
import sys

from drgn import Object, cast, offsetof, reinterpret, sizeof

SECTION = 2**27 // 4096

size = prog["page_ext_size"].value_()
offset = prog["page_owner_ops"].offset.value_()
owner = prog.type("struct page_owner")
at_order = offset + offsetof(owner, "order")
at_handle = offset + offsetof(owner, "handle")
allocated = 0
for name in ("PAGE_EXT_OWNER", "PAGE_EXT_OWNER_ALLOCATED"):
    allocated |= 1 << prog.constant(name).value_()
sections = prog["mem_section"]
per_root = 4096 // sizeof(prog.type("struct mem_section"))


def base_of(frame):
    number = frame // SECTION
    root = sections[number // per_root]
    return root[number % per_root].page_ext.value_() if root else 0


def entry(frame):
    return (base_of(frame) + size * frame) % 2**64


def frames_of(handle):
    """Functions of a stack of the depot, innermost first."""
    parts = reinterpret("union handle_parts", handle)
    pool = prog["stack_pools"][parts.pool_index_plus_1 - 1]
    record = cast("struct stack_record *", pool + (parts.offset << 4))
    names = []
    for index in range(record.size):
        address = record.entries[index].value_()
        try:
            symbol = prog.symbol(address - 1)
            names.append(f"{symbol.name}+{address - symbol.address}")
        except LookupError:
            # A module, of which there is no debug information.
            names.append("?")
    return names


pages = {}
last = prog["max_pfn"].value_()
for start in range(0, last, SECTION):
    if not base_of(start):
        continue
    data = prog.read(entry(start), SECTION * size)
    for index in range(min(SECTION, last - start)):
        at = index * size
        if struct.unpack_from("<Q", data, at)[0] & allocated != allocated:
            continue
        (order,) = struct.unpack_from("<H", data, at + at_order)
        (handle,) = struct.unpack_from("<I", data, at + at_handle)
        sums = pages.setdefault(handle, [0, 0])
        sums[0] += 1
        sums[1] += (start + index) % (1 << order) == 0

records = {}
for text in sys.argv[1:]:
    record = Object(prog, owner, address=(entry(int(text)) + offset) % 2**64)
    records[text] = {
        "pid": record.pid.value_(),
        "tgid": record.tgid.value_(),
        "comm": record.comm.string_().decode(),
        "seconds": record.ts_nsec.value_() / 1e9,
        "stack": frames_of(record.handle),
    }

print(
    json.dumps(
        {
            "stacks": [[frames_of(Object(prog, "depot_stack_handle_t", handle)), *sums] for handle, sums in pages.items()],
            "records": records,
        }
    )
)
