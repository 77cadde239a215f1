# Skbs that wait elsewhere than in sockets, by drgn: their addresses, place by place. Queues of fragments
# are found in the slabs that they come from, neighbours in the list of those that may be given up.
import json

from drgn import cast
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.net import for_each_net
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
from drgn.helpers.linux.slab import slab_cache_for_each_allocated_object


def directories(protocol):
    """The fqdirs of all namespaces."""
    return {getattr(net, protocol).fqdir.value_() for net in for_each_net(prog)}


def fragments(kind, protocol):
    known = directories(protocol)
    for queue in slab_cache_for_each_allocated_object(
        prog[kind].frags_cachep, "struct inet_frag_queue"
    ):
        # The allocator merges caches, and what RCU frees is allocated until then.
        if queue.fqdir.value_() not in known or not queue.refcnt.refs.counter:
            continue
        for skb in rbtree_inorder_for_each_entry(
            "struct sk_buff", queue.rb_fragments.address_of_(), "rbnode"
        ):
            while skb:
                yield skb
                skb = cast("struct ipfrag_skb_cb *", skb.cb + 0).next_frag


def ring(head):
    skb = head.next
    while skb.value_() != head.address_of_().value_():
        yield skb
        skb = skb.next


def neighbours(table):
    for neighbour in list_for_each_entry(
        "struct neighbour", prog[table].gc_list.address_of_(), "gc_list"
    ):
        yield from ring(neighbour.arp_queue)


found = {
    "fragments-v4": fragments("ip4_frags", "ipv4"),
    "fragments-v6": fragments("ip6_frags", "ipv6"),
    "neighbours-v4": neighbours("arp_tbl"),
    "neighbours-v6": neighbours("nd_tbl"),
}
print(json.dumps({place: [hex(skb.value_()) for skb in skbs] for place, skbs in found.items()}))
