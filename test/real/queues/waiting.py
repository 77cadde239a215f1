# Skbs that wait elsewhere than in sockets, by drgn: their addresses, place by place. Queues of fragments
# are found in the slabs that they come from, neighbours in the list of those that may be given up, what
# is in a ring among all skbs that the slabs have given out, by the device that it was sent on. And the
# rings of AF_XDP sockets, found by descriptors.
import json
import os
import sys

from drgn import FaultError, cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import PageCompound, compound_order, find_vmap_area, virt_to_page
from drgn.helpers.linux.net import for_each_net, for_each_netdev, skb_shinfo
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object

sys.path.append(os.path.join(os.path.dirname(__file__), "../sockets"))

from skbs_in_use import skbs_in_use  # noqa: E402


def directories(protocol):
    """The fqdirs of all namespaces."""
    return {getattr(net, protocol).fqdir.value_() for net in for_each_net(prog)}


def of_queue(queue):
    for skb in rbtree_inorder_for_each_entry(
        "struct sk_buff", queue.rb_fragments.address_of_(), "rbnode"
    ):
        while skb:
            yield skb
            skb = cast("struct ipfrag_skb_cb *", skb.cb + 0).next_frag


def fragments(kind, protocol):
    known = directories(protocol)
    for queue in slab_cache_for_each_allocated_object(
        prog[kind].frags_cachep, "struct inet_frag_queue"
    ):
        # The allocator merges caches, and what RCU frees is allocated until then.
        if queue.fqdir.value_() not in known or not queue.refcnt.refs.counter:
            continue
        yield from of_queue(queue)


def netfilter():
    nets = [net.value_() for net in for_each_net(prog)]
    caches = {prog["ip6_frags"].frags_cachep.value_(): prog["ip6_frags"].frags_cachep}
    own = find_slab_cache(prog, "nf-frags")
    if own:
        caches[own.value_()] = own
    for cache in caches.values():
        for queue in slab_cache_for_each_allocated_object(cache, "struct inet_frag_queue"):
            try:
                name = queue.fqdir.f.frags_cache_name.string_()
            except FaultError:
                continue
            if name == b"nf-frags" and queue.fqdir.net.value_() in nets:
                yield from of_queue(queue)


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


def devices():
    return [device for net in for_each_net(prog) for device in for_each_netdev(net)]


def gro():
    for device in devices():
        for napi in list_for_each_entry(
            "struct napi_struct", device.napi_list.address_of_(), "dev_list"
        ):
            node = napi.gro if hasattr(napi, "gro") else napi
            lists = [one.list for one in (node.hash if hasattr(node, "hash") else node.gro_hash)]
            for head in [*lists, node.rx_list]:
                yield from list_for_each_entry("struct sk_buff", head.address_of_(), "list")


def tun():
    merging = {skb.value_() for skb in gro()}
    for skb in gro():
        child = skb_shinfo(skb).frag_list
        while child:
            merging.add(child.value_())
            child = child.next
    taps = [device for device in devices() if device.name.string_() == b"tap0"]
    for skb in skbs_in_use(prog):
        if skb.dev in taps and skb.value_() not in merging:
            yield skb


found = {
    "fragments-v4": fragments("ip4_frags", "ipv4"),
    "fragments-v6": fragments("ip6_frags", "ipv6"),
    "fragments-netfilter": netfilter(),
    "neighbours-v4": neighbours("arp_tbl"),
    "neighbours-v6": neighbours("nd_tbl"),
    "gro": gro(),
    "tun": tun(),
}


def xdp_sockets():
    for task in for_each_task(prog):
        if not task.files:
            continue
        for _, file in for_each_file(task):
            if file.f_op.value_() != prog["socket_file_ops"].address_of_().value_():
                continue
            sk = cast("struct socket *", file.private_data).sk
            # AF_XDP
            if sk and sk.__sk_common.skc_family.value_() == 44:
                yield cast("struct xdp_sock *", sk)


def pages_of(memory):
    try:
        page = virt_to_page(prog, memory.value_())
        return 1 << (compound_order(page).value_() if PageCompound(page) else 0)
    except (FaultError, ValueError):
        pass
    return find_vmap_area(prog, memory).vm.nr_pages.value_()


def xdp_rings():
    rings = {}
    for xs in xdp_sockets():
        pool = [xs.pool.fq, xs.pool.cq] if xs.pool else []
        for queue in [xs.rx, xs.tx, xs.fq_tmp, xs.cq_tmp, *pool]:
            if queue:
                rings[queue.ring.value_()] = queue.ring
    return {"rings": len(rings), "pages": sum(pages_of(ring) for ring in rings.values())}


skbs = {place: [hex(skb.value_()) for skb in one] for place, one in found.items()}
print(json.dumps({"skbs": skbs, "xdp": xdp_rings()}))
