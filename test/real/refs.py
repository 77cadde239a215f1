"""Every 8-byte word of an ELF core that lies in one of some ranges of addresses, word by word: JSON on stdout.

Reads program headers and bytes, and knows nothing of the kernel. The ranges are JSON on stdin: [first, end] in hex.
"""

import bisect
import json
import struct
import sys
from array import array

CHUNK = 1 << 22
PT_LOAD = 1


def segments(core):
    core.seek(0)
    header = core.read(64)
    (table,) = struct.unpack_from("<Q", header, 32)
    (count,) = struct.unpack_from("<H", header, 56)
    for number in range(count):
        core.seek(table + 56 * number)
        kind, _, offset, _, physical, size, _, _ = struct.unpack("<IIQQQQQQ", core.read(56))
        if kind == PT_LOAD:
            yield offset, physical, size


def main(path):
    ranges = sorted((int(first, 16), int(end, 16), number) for number, (first, end) in enumerate(json.load(sys.stdin)))
    starts = [first for first, _, _ in ranges]
    least = starts[0]
    found = []
    with open(path, "rb") as core:
        for offset, physical, size in segments(core):
            for at in range(0, size, CHUNK):
                core.seek(offset + at)
                words = array("Q", core.read(min(CHUNK, size - at) // 8 * 8))
                for place, word in [(place, word) for place, word in enumerate(words) if word >= least]:
                    first, end, number = ranges[bisect.bisect_right(starts, word) - 1]
                    if word < end:
                        found.append([number, physical + at + 8 * place, word - first])
    json.dump(found, sys.stdout)


main(sys.argv[1])
