# What of the network's memory is outside sockets, by drgn: objects in use by the allocator's own free
# lists, skbs that CPUs keep, packets in their queues and in qdiscs, pages of page-fragment caches.
import json

from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import compound_head, virt_to_page
from drgn.helpers.linux.net import for_each_net, for_each_netdev
from drgn.helpers.linux.percpu import per_cpu, per_cpu_ptr
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.slab import for_each_slab_cache, slab_cache_for_each_allocated_object

WANTED = (
    "skbuff_head_cache",
    "skbuff_fclone_cache",
    "skbuff_small_head",
    "sock_inode_cache",
    "TCP",
    "UNIX",
    "kmalloc-512",
    "kmalloc-1k",
)
def freeing(cache):
    """Objects freed by kfree_rcu, which drgn takes for allocated until their time is over."""
    if not hasattr(cache, "cpu_sheaves") or not cache.cpu_sheaves:
        return 0
    sheaves = [per_cpu_ptr(cache.cpu_sheaves, cpu).rcu_free for cpu in for_each_online_cpu(prog)]
    return sum(sheaf.size.value_() for sheaf in sheaves if sheaf)


objects = {}
for cache in for_each_slab_cache(prog):
    name = cache.name.string_().decode()
    if name in WANTED:
        allocated = slab_cache_for_each_allocated_object(cache, "void")
        count = sum(1 for _ in allocated) - freeing(cache)
        objects[name] = {"cache": hex(cache.value_()), "allocated": count}


def caches():
    for name, pointers in (
        ("skbs", ("skbuff_cache", "skbuff_head_cache")),
        ("skb-heads", ("skb_small_head_cache",)),
    ):
        for pointer in pointers:
            try:
                cache = getattr(prog["net_hotdata"], pointer)
            except (KeyError, AttributeError):
                try:
                    cache = prog[pointer]
                except KeyError:
                    continue
            allocated = slab_cache_for_each_allocated_object(cache, "void")
            yield name, sum(1 for _ in allocated)


def defers_by_node():
    try:
        return prog.type("struct net_hotdata").has_member("skb_defer_nodes")
    except LookupError:
        return False


reserve = waiting = 0
frags = set()


def frag(page):
    frags.add(hex(compound_head(page).value_()))


for cpu in for_each_online_cpu(prog):
    napi = per_cpu(prog["napi_alloc_cache"], cpu)
    reserve += napi.skb_count.value_()
    small = getattr(napi, "page_small", None)
    # Empty where pages are larger than 4 KiB.
    if small is not None and hasattr(small, "offset") and small.offset:
        frag(virt_to_page(prog, small.va.value_()))
    for cache in napi.page, per_cpu(prog["netdev_alloc_cache"], cpu):
        va = cache.va.value_() if hasattr(cache, "va") else cache.encoded_page.value_() & ~0xFFF
        if va:
            frag(virt_to_page(prog, va))
    data = per_cpu(prog["softnet_data"], cpu)
    waiting += data.input_pkt_queue.qlen.value_() + data.process_queue.qlen.value_()
    if hasattr(data, "defer_count"):
        waiting += data.defer_count.value_()
    skb = data.completion_queue
    while skb:
        waiting += 1
        skb = skb.next
    if defers_by_node():
        nodes = per_cpu_ptr(prog["net_hotdata"].skb_defer_nodes, cpu)
        for node in range(prog["nr_node_ids"].value_()):
            waiting += nodes[node].defer_count.counter.value_()
for task in for_each_task(prog):
    if task.task_frag.page:
        frag(task.task_frag.page)

queued = 0
for net in for_each_net(prog):
    for device in for_each_netdev(net):
        for index in range(device.num_tx_queues.value_()):
            qdisc = device._tx[index].qdisc
            queued += qdisc.q.qlen.value_()

print(
    json.dumps(
        {
            "objects": objects,
            "inUse": dict(caches()),
            "reserve": reserve,
            "waiting": waiting,
            "queued": queued,
            "frags": sorted(frags),
        }
    )
)
