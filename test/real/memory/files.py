# Files that have pages in memory, found the other way round: by the super blocks' lists of inodes, with what
# each says of its own pages, and the paths that drgn makes of their dentries.
import json

from drgn.helpers.linux.fs import for_each_file, for_each_mount, inode_path, mount_dst
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import for_each_task

# Where each file system is mounted: the first of its mounts, as /proc/1/mounts has them.
places = {}
for mount in for_each_mount(prog):
    places.setdefault(mount.mnt.mnt_sb.value_(), mount_dst(mount).decode())

found = {}
for sb in list_for_each_entry("struct super_block", prog["super_blocks"].address_of_(), "s_list"):
    kind = sb.s_type.name.string_().decode()
    if kind == "hugetlbfs":
        continue
    for inode in list_for_each_entry("struct inode", sb.s_inodes.address_of_(), "i_sb_list"):
        pages = inode.i_data.nrpages.value_()
        if pages == 0:
            continue
        device = (inode.i_rdev if kind == "bdev" else sb.s_dev).value_()
        path = inode_path(inode)
        if path is not None:
            within = path.decode(errors="surrogateescape")
            path = places.get(sb.value_(), "").rstrip("/") + "/" + within
        found[f"{kind} {device >> 20}:{device & 0xfffff} {inode.i_ino.value_()}"] = {
            "pages": pages,
            "path": path,
            "size": inode.i_size.value_(),
            "links": inode.i_nlink.value_(),
        }
# Processes that have a file with pages open, by its path.
openers = {}
for task in for_each_task(prog):
    for _, file in for_each_file(task):
        inode = file.f_mapping.host
        if not file.f_mapping or not inode or inode.i_data.nrpages.value_() == 0:
            continue
        kind = inode.i_sb.s_type.name.string_().decode()
        device = (inode.i_rdev if kind == "bdev" else inode.i_sb.s_dev).value_()
        known = found.get(f"{kind} {device >> 20}:{device & 0xfffff} {inode.i_ino.value_()}")
        if known and known["path"] is not None:
            openers.setdefault(known["path"], []).append(task.tgid.value_())
print(json.dumps({"inodes": found, "openers": openers}))
