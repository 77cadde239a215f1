"""Every word of memory that points to a slab object, word by word: prints their number."""

import os
import sys
from array import array

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../test/support/drgn-modules"))

from drgn.helpers.linux.slab import slab_object_info  # noqa: E402
from ram import ram  # noqa: E402

CHUNK = 1 << 22


def main(prog, target):
    start = slab_object_info(prog, target).address
    end = start + slab_object_info(prog, target).slab_cache.object_size.value_()
    size = prog["PAGE_SIZE"].value_()
    found = 0
    for first, last in ram(prog):
        for at in range(first * size, last * size, CHUNK):
            words = array("Q", prog.read(at, min(CHUNK, last * size - at), True))
            found += sum(1 for word in words if start <= word < end)
    print(found)


main(prog, int(sys.argv[1], 16))  # noqa: F821 - drgn's
