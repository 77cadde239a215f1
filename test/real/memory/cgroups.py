# Pages of memory cgroups, found the other way round: by the LRU lists of each, which the kernel keeps
# per cgroup; and what each counts of itself.
import json

from drgn import container_of
from drgn.helpers.linux.cgroup import cgroup_path, css_for_each_descendant_pre
from drgn.helpers.linux.list import list_for_each
from drgn.helpers.linux.mm import PageSwapBacked, compound_nr
from drgn.helpers.linux.mmzone import for_each_online_pgdat


ACTIVE_FILE = prog.constant("LRU_ACTIVE_FILE").value_()


def lists_of(lruvec):
    """Each list, and whether it has active pages of files; None: a generation."""
    for number, head in enumerate(lruvec.lists):
        yield head, number == ACTIVE_FILE
    try:
        generations = lruvec.lrugen.folios
    except AttributeError:
        try:
            generations = lruvec.lrugen.lists
        except AttributeError:
            return
    for generation in generations:
        for kind in generation:
            yield from ((head, None) for head in kind)


def file_of(page):
    inode = page.mapping.host
    kind = inode.i_sb.s_type.name.string_().decode()
    device = (inode.i_rdev if kind == "bdev" else inode.i_sb.s_dev).value_()
    return f"{kind} {device >> 20}:{device & 0xfffff} {inode.i_ino.value_()}"


nodes = [node.node_id.value_() for node in for_each_online_pgdat()]
root = prog["root_mem_cgroup"]
found = {}
for css in css_for_each_descendant_pre(root.css.address_of_()):
    memcg = container_of(css, "struct mem_cgroup", "css")
    pages = {"anonymous": 0, "page-cache": 0, "shared": 0}
    files = {}
    for node in nodes:
        for head, active in lists_of(memcg.nodeinfo[node].lruvec):
            # The list of what cannot be evicted is none: its head leads nowhere.
            if head.next.value_() < 0xFFFF << 48:
                continue
            for entry in list_for_each(head.address_of_()):
                page = container_of(entry, "struct page", "lru")
                anonymous = page.mapping.value_() & 1
                file = "shared" if PageSwapBacked(page) else "page-cache"
                count = compound_nr(page).value_()
                pages["anonymous" if anonymous else file] += count
                if not anonymous:
                    own = files.setdefault(file_of(page), {"pages": 0, "active": 0})
                    own["pages"] += count
                    if active is None:
                        own["active"] = None
                    elif active:
                        own["active"] += count
    online = css.flags.value_() & 2 != 0
    path = cgroup_path(css.cgroup).decode(errors="surrogateescape")
    found[path if online else path + " (dying)"] = {
        **pages,
        "files": files,
        "usage": memcg.memory.usage.counter.value_(),
    }
print(json.dumps(found))
