"""What people write who want one number: drgn with the kernel's debug information.

Every socket that a descriptor leads to, the skbs that wait in its lists, and what those pin: pages and
slab slots, each once. Totals alone, and written to be quick: an skb and its shared info are read whole,
once each, and a page is looked at once. Prints JSON.
"""

import json

from drgn import cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.mm import (
    PageCompound,
    PageSlab,
    compound_head,
    compound_order,
    page_to_virt,
    virt_to_page,
)
from drgn.helpers.linux.pid import for_each_task

PAGE_SHIFT = prog["PAGE_SHIFT"].value_()
UDP = 17
operations = prog["socket_file_ops"].address_of_()
info_type = prog.type("struct skb_shared_info *")
by_address, by_page, pages, slots = {}, {}, {}, {}
skbs = payload = truesize = frags = 0


def block(page):
    """(head, order, None, 0), or for a slab (head, 0, its first byte, bytes of a slot)."""
    head = compound_head(page)
    if PageSlab(head):
        cache = cast("struct slab *", head).slab_cache
        return head.value_(), 0, page_to_virt(head).value_(), cache.size.value_()
    order = compound_order(head).value_() if PageCompound(head) else 0
    return head.value_(), order, None, 0


def memory(address):
    found = by_address.get(address >> PAGE_SHIFT)
    if found is None:
        found = by_address[address >> PAGE_SHIFT] = block(virt_to_page(prog, address))
    head, order, start, size = found
    if start is None:
        pages[head] = order
    else:
        slots[address - (address - start) % size] = size


def frag(page):
    found = by_page.get(page.value_())
    if found is None:
        found = by_page[page.value_()] = block(page)
    pages[found[0]] = found[1]


def walk(queue):
    global skbs, payload, truesize, frags
    end = queue.address_of_().value_()
    at = queue.next
    while at.value_() != end:
        skb = at[0].read_()
        skbs += 1
        payload += skb.len.value_()
        truesize += skb.truesize.value_()
        memory(at.value_())
        memory(skb.head.value_())
        info = cast(info_type, skb.head + skb.end)[0].read_()
        count = info.nr_frags.value_()
        frags += count
        for index in range(count):
            frag(info.frags[index].bv_page)
        at = skb.next


tables, seen = set(), set()
for task in for_each_task(prog):
    table = task.files.value_()
    if not table or table in tables:
        continue
    tables.add(table)
    for _, file in for_each_file(task):
        if file.f_op != operations or file.value_() in seen:
            continue
        seen.add(file.value_())
        sk = cast("struct socket *", file.private_data).sk
        walk(sk.sk_receive_queue)
        walk(sk.sk_write_queue)
        if sk.sk_protocol == UDP:
            walk(cast("struct udp_sock *", sk).reader_queue)

print(
    json.dumps(
        {
            "skbs": skbs,
            "payloadBytes": payload,
            "truesizeBytes": truesize,
            "frags": frags,
            "pages": len(pages),
            "pageBytes": sum(1 << order + PAGE_SHIFT for order in pages.values()),
            "slabBytes": sum(slots.values()),
        }
    )
)
