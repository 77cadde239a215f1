# Anonymous large folios: how many, their base pages, and those of them that contain zeros only. We find them in the array
# of struct pages, by their own flags, and compare each base page with a page of zeros.
import json

from drgn import FaultError, Object
from drgn.helpers.linux.mm import compound_order, for_each_page, page_to_phys

PAGE = prog["PAGE_SIZE"].value_()
ZEROS = bytes(PAGE)
HEAD = 1 << prog["PG_head"].value_()
SWAP_BACKED = 1 << prog["PG_swapbacked"].value_()


def flags_of(folio):
    try:
        return folio.flags.f.value_()
    except AttributeError:
        return folio.flags.value_()


folios = pages = zero = 0
for page in for_each_page(prog):
    try:
        folio = Object(prog, "struct folio *", page.value_())
        flags = flags_of(folio)
        # The lowest bits of `mapping` are 1 for anonymous pages, 3 for those of KSM (PAGE_MAPPING_FLAGS).
        if not flags & HEAD or not flags & SWAP_BACKED or folio.mapping.value_() & 3 != 1:
            continue
    except FaultError:
        continue
    order = compound_order(page).value_()
    at = page_to_phys(page).value_()
    folios += 1
    pages += 1 << order
    for i in range(1 << order):
        zero += prog.read(at + i * PAGE, PAGE, physical=True) == ZEROS
print(json.dumps({"folios": folios, "bytes": pages * PAGE, "zeroBytes": zero * PAGE}))
