# The lines of /proc/meminfo that a dumped kernel would have printed, in bytes, from its machine-wide
# counters (vm_node_stat, vm_zone_stat) and what CPUs have not added to them: we go from node to node.
import json

from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.mmzone import for_each_online_pgdat
from drgn.helpers.linux.percpu import per_cpu_ptr

PAGE = prog["PAGE_SIZE"].value_()


def zones():
    for node in for_each_online_pgdat():
        for i in range(node.nr_zones.value_()):
            if node.node_zones[i].present_pages.value_():
                yield node.node_zones[i]


def has(of, member):
    try:
        getattr(of, member)
        return True
    except AttributeError:
        return False


def node_item(name):
    try:
        item = prog[name].value_()
    except KeyError:
        return None
    total = prog["vm_node_stat"][item].counter.value_()
    for node in for_each_online_pgdat():
        for cpu in for_each_possible_cpu():
            total += per_cpu_ptr(node.per_cpu_nodestats, cpu).vm_node_stat_diff[item].value_()
    return total


def zone_item(name):
    item = prog[name].value_()
    total = prog["vm_zone_stat"][item].counter.value_()
    for zone in zones():
        sets = zone.per_cpu_zonestats if has(zone, "per_cpu_zonestats") else zone.pageset
        for cpu in for_each_possible_cpu():
            total += per_cpu_ptr(sets, cpu).vm_stat_diff[item].value_()
    return total


low = 0
for zone in zones():
    low += zone._watermark[prog["WMARK_LOW"].value_()].value_() + zone.watermark_boost.value_()
free = zone_item("NR_FREE_PAGES")
files = node_item("NR_ACTIVE_FILE") + node_item("NR_INACTIVE_FILE")
slabs = node_item("NR_SLAB_RECLAIMABLE_B") + node_item("NR_KERNEL_MISC_RECLAIMABLE")
available = free - prog["totalreserve_pages"].value_()
available += files - min(files // 2, low) + slabs - min(slabs // 2, low)
lines = {
    "MemTotal": prog["_totalram_pages"].counter.value_(),
    "MemFree": free,
    "MemAvailable": max(0, available),
    "AnonPages": node_item("NR_ANON_MAPPED"),
    "Shmem": node_item("NR_SHMEM"),
    "SReclaimable": node_item("NR_SLAB_RECLAIMABLE_B"),
    "SUnreclaim": node_item("NR_SLAB_UNRECLAIMABLE_B"),
}
swapped = node_item("NR_SWAPCACHE")
if swapped is not None:
    lines["Buffers + Cached"] = node_item("NR_FILE_PAGES") - swapped
    lines["SwapCached"] = swapped
print(json.dumps({name: pages * PAGE for name, pages in lines.items()}))
