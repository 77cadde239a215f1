# The page pool that a sock's received frags and linear heads come from, as drgn reads it: where its
# parts lie, how many more pages its ring and its cache have room for, and how many of their pages are its
# own, with how many of these nobody else has a part of.
import json
import sys

from drgn import Object, cast
from drgn.helpers.linux.mm import virt_to_page
from drgn.helpers.linux.net import skb_shinfo

sock = Object(prog, "struct sock *", int(sys.argv[1], 16))
pages, pools = {}, {}


def count(page):
    # PP_SIGNATURE; bits 0, 1 and 7 to 38 are its own.
    if page.pp_magic.value_() & ~0x7F_FFFF_FF83 == 0xDEAD_0000_0000_0040:
        pages[page.value_()] = pages.get(page.value_(), 0) + 1
        pools[page.pp.value_()] = page.pp


head = sock.sk_receive_queue
skb = head.next
while skb.value_() != head.address_of_().value_():
    info = skb_shinfo(skb)
    count(virt_to_page(skb.head))
    for i in range(info.nr_frags.value_()):
        count(cast("struct page *", cast("unsigned long", info.frags[i].netmem)))
    skb = skb.next

(pool,) = pools.values()
ring = pool.ring
slots = [ring.queue[i].value_() for i in range(ring.size.value_())]
print(json.dumps({
    "pool": hex(pool.value_()),
    "destroyed": hex(pool.destroy_cnt.address_of_().value_()),
    "cacheCount": hex(pool.alloc.count.address_of_().value_()),
    "ringSize": hex(ring.size.address_of_().value_()),
    "queue": hex(ring.queue.value_()),
    "slots": len(slots),
    "producer": ring.producer.value_(),
    "consumerHead": hex(ring.consumer_head.address_of_().value_()),
    "consumerTail": hex(ring.consumer_tail.address_of_().value_()),
    "ringRoom": slots.count(0),
    "cacheRoom": len(pool.alloc.cache) - pool.alloc.count.value_(),
    "cache": len(pool.alloc.cache),
    "pages": len(pages),
    "sole": sum(
        Object(prog, "struct page *", page).pp_ref_count.counter.value_() == found
        for page, found in pages.items()
    ),
}))
