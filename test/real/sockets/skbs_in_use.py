"""Every skb of a machine, by the allocator's own free lists."""

from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.slab import slab_cache_for_each_allocated_object

SKB_FCLONE_CLONE = 2


def slab_cache(prog, *names):
    for name in names:
        try:
            return getattr(prog["net_hotdata"], name)
        except (KeyError, AttributeError):
            if name in prog:
                return prog[name]
    raise LookupError(names[0])


def skbs_in_use(prog):
    """All skbs that the slabs have given out, but for those that CPUs keep ready."""
    reserve = set()
    if prog.type("struct napi_alloc_cache").has_member("skb_count"):
        for cpu in for_each_possible_cpu(prog):
            cache = per_cpu_ptr(prog["napi_alloc_cache"].address_of_(), cpu)
            reserve.update(cache.skb_cache[i].value_() for i in range(cache.skb_count.value_()))
    for skb in slab_cache_for_each_allocated_object(
        slab_cache(prog, "skbuff_cache", "skbuff_head_cache"), "struct sk_buff"
    ):
        if skb.value_() not in reserve:
            yield skb
    for pair in slab_cache_for_each_allocated_object(
        slab_cache(prog, "skbuff_fclone_cache"), "struct sk_buff_fclones"
    ):
        # The allocator merges caches: what is no pair has no first half that says so.
        if pair.skb1.fclone.value_() == 0 or not pair.fclone_ref.refs.counter:
            continue
        # Of two halves that were one packet either may be gone, with the same head in it.
        yield pair.skb1.address_of_()
        if pair.skb2.fclone.value_() == SKB_FCLONE_CLONE:
            yield pair.skb2.address_of_()
