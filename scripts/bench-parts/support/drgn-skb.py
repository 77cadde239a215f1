# The question of `kdump-mem skb --pid --fd`, for the receive queue alone, as a drgn user would
# write it: payload, truesize, frags, unique pages by order, pinned bytes.
import sys

from drgn import Object, cast
from drgn.helpers.linux.fs import fget
from drgn.helpers.linux.mm import PageSlab, compound_head, compound_order, page_to_virt, virt_to_page
from drgn.helpers.linux.pid import find_task

pid, fd = map(int, sys.argv[1:])
file = fget(find_task(prog, pid), fd)
sock = cast("struct socket *", file.private_data).sk
pages, slots = {}, {}
skbs = payload = truesize = frags = 0


def hold(page):
    head = compound_head(page)
    pages[head.value_()] = int(compound_order(head))


def memory(address):
    page = virt_to_page(address)
    head = compound_head(page)
    try:
        is_slab = PageSlab(head)
    except Exception:
        is_slab = False
    if not is_slab:
        return hold(page)
    try:
        cache = cast("struct slab *", head).slab_cache
    except LookupError:
        cache = head.slab_cache
    size = cache.size.value_()
    base = page_to_virt(head).value_()
    slots[base + (address.value_() - base) // size * size] = size


def walk(skb):
    global frags
    memory(cast("void *", skb))
    memory(cast("void *", skb.head))
    info = cast("struct skb_shared_info *", skb.head + skb.end)
    for index in range(info.nr_frags.value_()):
        frag = info.frags[index]
        try:
            page = frag.bv_page
        except AttributeError:
            page = Object(prog, "struct page *", frag.netmem.value_())
        hold(page)
        frags += 1
    child = info.frag_list
    while child:
        walk(child)
        child = child.next


queue = sock.sk_receive_queue
skb = queue.next
while skb.value_() != queue.address_of_().value_():
    skbs += 1
    payload += skb.len.value_()
    truesize += skb.truesize.value_()
    walk(skb)
    skb = skb.next
page_bytes = sum(4096 << order for order in pages.values())
print(skbs, payload, truesize, frags, len(pages), page_bytes + sum(slots.values()))
