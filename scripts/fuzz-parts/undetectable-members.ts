/** Undetected differences of an answer if some members have another value, and the reason. */
export interface Undetectable {
  /** As the fuzzer names them: `sk_buff.truesize`, `variable nr_vmalloc_pages`. */
  readonly members: readonly string[];
  /** Fields of the answers, with everything in them; see fieldOf. */
  readonly differs: readonly string[];
  /** Why no second place in memory shows it. */
  readonly why: string;
  /** Only in extracts of earlier versions: a complete dump has a second place. */
  readonly only?: 'extracts';
  /** Only in kernels without this member, which is a second place. */
  readonly without?: string;
}

const ADDRESSES = [
  'socket.local',
  'socket.localAddress',
  'socket.localPort',
  'socket.peer',
  'socket.peerAddress',
  'socket.peerPort',
];
/** Freed bytes, and figures from them: how they are shared, never what is pinned. */
const SHARES = ['exclusiveBytes', 'sharedBytes', 'freedIfKilled', 'freedIfKilledBytes', 'total.freedIfKilledBytes'];
const ROW = (what: string) => [`ledger.${what}.objects`, `ledger.${what}.bytes`, `ledger.${what}.message`];

/** The same for categories by cgroup: charged to no cgroup. */
const NOBODYS = (...categories: readonly string[]) =>
  categories.map((category) => `cgroups.uncharged.categories.${category}`);

/** Figures that are missing without a socket. */
const SOCKETS = ['sockets gone', 'sockets', 'total.sockets', 'processes gone'];

/** The same if its memory then has no owner. */
const WITH_DATA = [
  ...SOCKETS,
  'total',
  'foundBy',
  ...['skb-heads', 'skbs', 'skb-fclones', 'page-fragments', 'other-pages'].flatMap(ROW),
];

/**
 * Every member with undetectably wrong values. docs/internals/undetectable.md is the same list
 * for readers; a test compares both.
 */
export const UNDETECTABLE: readonly Undetectable[] = [
  {
    members: [
      'sock.__sk_common.skc_dport',
      'sock.__sk_common.skc_num',
      'sock.__sk_common.skc_daddr',
      'sock.__sk_common.skc_rcv_saddr',
      'sock.__sk_common.skc_v6_daddr',
      'sock.__sk_common.skc_v6_rcv_saddr',
    ],
    differs: [...ADDRESSES, 'freedIfKilled'],
    why: 'The kernel stores the peer of a connection once, unless both ends are on this machine; its place in the hash tables depends on a secret key. A sock without a peer has no source address that could be compared with its own address, and a closed one keeps its old source port.',
  },
  {
    members: ['unix_sock.addr', 'unix_sock.peer', 'unix_address.name', 'unix_address.len'],
    differs: ADDRESSES,
    why: 'A unix socket’s name is free text, stored once. Its peer may be stored on one side only.',
  },
  {
    members: ['read by walk/log/slot'],
    differs: ['text', 'level', 'levelName', 'facility', 'facilityName', 'caller', 'comm', 'subsystem', 'device'].map(
      (field) => `message.${field}`,
    ),
    why: 'The text of a log message is free. Its level, facility, caller and device are stored once.',
  },
  {
    members: ['read by walk/log/slot'],
    differs: ['message.timestampMicroseconds'],
    why: 'Any time between those of its neighbours is valid for a log message.',
  },
  {
    members: ['read by walk/stacks/orc-unwinder'],
    differs: ['thread.functions'],
    why: 'A return address is stored once, and indirect calls and tail calls lead to any function. That it follows a call is checked, and where the stack ends.',
  },
  {
    members: ['rq.clock'],
    differs: ['lock.owner.seconds'],
    why: 'The clock of a run queue includes interrupts and stolen time, its time for tasks does not: they may differ by any part of the uptime.',
  },
  {
    members: ['task_struct.comm', 'task_struct.__state', 'task_struct.state'],
    differs: ['thread.comm', 'thread.state'],
    why: 'A thread’s name is free text, and its state is stored once.',
  },
  {
    members: ['task_struct.__state', 'task_struct.state'],
    differs: ['lock', 'lock gone', 'lock new', 'blocked', 'cycles'],
    why: 'Only the state of a sleeping task shows whether its sleep is uninterruptible (D). A runnable one must be on a run queue.',
  },
  {
    members: ['mutex.owner.counter', 'rw_semaphore.owner.counter', 'rt_mutex_base.owner'],
    differs: ['lock.owner', 'lock.candidates', 'lock.waitsFor', 'lock.id', 'cycles'],
    why: 'A lock has one owner word. That it names a task is checked.',
  },
  {
    members: ['task_struct.sched_info.last_arrival'],
    differs: ['lock', 'cycles'],
    why: 'When a task last began to run is stored once. That it is not in the future is checked.',
  },
  {
    members: ['wait_page_queue.bit_nr'],
    differs: ['lock', 'lock gone', 'lock new', 'cycles'],
    why: 'Only the waiter names the bit of a page that it waits for. That the bit is set is checked, and functions that wait for one bit alone.',
  },
  {
    members: ['semaphore.last_holder'],
    differs: ['lock.candidates'],
    why: 'A semaphore has no owner. Its last holder is stored once.',
  },
  {
    members: ['super_block.s_id'],
    differs: ['lock.device.name'],
    why: 'The name of a file system without a disk is stored once.',
  },
  {
    members: ['mount.mnt.mnt_flags', 'super_block.s_flags', 'mount.mnt_devname', '*mount.mnt_devname'],
    differs: ['mount.options', 'mount.source'],
    why: 'Options and source of a mount are settings of an administrator, stored once.',
  },
  {
    members: ['scm_fp_list.fp'],
    differs: ['carriedBy', 'freedIfKilled'],
    why: 'Before 6.10, only a message names the files that it carries. Later kernels have edges between its unix sockets.',
    without: 'scm_fp_list.edges',
  },
  {
    members: ['sk_buff.cb', 'unix_skb_parms.fp'],
    differs: ['carriedBy', 'freedIfKilled'],
    why: 'Only a message names its list of files. That no other message has the same list is checked.',
  },
  {
    members: ['mount.mnt_id'],
    differs: ['mount.id'],
    why: 'The kernel records which ids are in use (`mnt_id_ida`, not read), but only the mount has its own. That no other mount has it is checked.',
  },
  {
    members: ['super_block.s_dev'],
    differs: ['mount.device'],
    why: 'The device number of a file system without a disk is stored once. That no other file system has it is checked.',
  },
  {
    members: ['module.refcnt.counter'],
    differs: ['module.references'],
    why: 'Devices, files and mounts use a module without a record of it. Fewer references than modules that use it are reported.',
  },
  {
    members: ['module.core_layout.text_size'],
    differs: ['module.textBytes'],
    why: 'Before 6.4, only this size separates code from data. Page permissions show it only where they are strict.',
  },
  {
    members: ['kmem_cache.refcount'],
    differs: ['object.member', 'holder.member', 'groups'],
    why: 'Only this count shows that caches were merged: the kernel keeps no struct of a cache that it merged into another.',
  },
  {
    members: ['net.ns.inum', 'mnt_namespace.ns.inum'],
    differs: ['socket.netns', 'namespace'],
    why: 'A namespace number comes from a counter and is stored once.',
  },
  {
    members: ['sock.__sk_common.skc_net.net'],
    differs: ['socket.netns', 'freedIfKilled'],
    why: 'Only the sock names its network namespace.',
  },
  {
    members: ['inode.i_ino', 'socket_alloc.vfs_inode.i_ino', 'sockfs_inode.vfs_inode.i_ino'],
    differs: ['socket.inode'],
    why: 'A socket’s inode number comes from a counter, and no table is indexed by it.',
  },
  {
    members: ['sock.__sk_common.skc_state'],
    differs: ['socket.state'],
    why: 'No second fact that every protocol keeps distinguishes the valid states of a socket family.',
  },
  {
    members: ['task_struct.comm'],
    differs: [
      'holders',
      'mappedBy',
      'registeredWith',
      'process.comm',
      'comm',
      'cpu.current.comm',
      'cpu.tasks',
      'lock.owner.comm',
    ],
    why: 'A process’s name is free text, stored once.',
  },
  {
    members: ['net_device.name'],
    differs: ['ledger.receive-rings.message', 'ledger.rings.message'],
    why: 'A device’s name is free text. It appears only in the message of its row.',
  },
  {
    members: ['*rtnl_link_ops.kind', 'rtnl_link_ops.kind', 'net_device.rtnl_link_ops'],
    differs: ['ledger.rings gone', 'ledger.rings new', ...ROW('rings')],
    why: 'Only the name of its kind identifies the driver of a software device, and any name may be valid.',
  },
  {
    members: ['*device_driver.name', 'device_driver.name'],
    differs: [
      'ledger.receive-rings gone',
      'ledger.receive-rings new',
      'ledger.receive-rings.message',
      ...ROW('other-pages'),
      'searched',
    ],
    why: 'A driver’s name is free text. For an unknown driver a row reports that its pages are not counted.',
  },
  {
    members: ['sk_buff.truesize'],
    differs: ['queue.truesizeBytes', 'total.truesizeBytes', 'skb.truesize'],
    why: 'Each protocol and driver charges an skb by its own rules; only TCP’s queues equal the sock’s charge. No figure of pinned memory depends on it.',
  },
  {
    members: [
      'page._refcount',
      'sk_buff.users.refs.counter',
      'sk_buff_fclones.fclone_ref.refs.counter',
      'skb_shared_info.dataref.counter',
      'sk_buff.cloned',
      'sk_buff.fclone',
      'skb_shared_info.flags',
    ],
    differs: SHARES,
    why: 'References that are found are a lower bound: a device, a system call or a capturing program may hold more. Pinned memory does not change.',
  },
  {
    members: ['file.f_count.counter', 'file.f_ref.refcnt.counter'],
    differs: ['freedIfKilled', 'freedIfKilledBytes', 'total.freedIfKilledBytes', 'mappedBy'],
    why: 'A running system call may hold more references to a file than those found.',
  },
  {
    members: ['unix_skb_parms.consumed', 'tcp_sock.copied_seq', 'mptcp_skb_cb.offset'],
    differs: ['unreadBytes'],
    why: 'A reader’s position may be anywhere in the first skb, and is stored once.',
  },
  {
    members: ['*fdtable.fd', 'files_struct.fd_array'],
    differs: ['holders', 'foundBy', 'fds', 'process', 'processes gone', 'processes new', 'sockets gone', 'asked'],
    why: 'accept() waits with an empty descriptor, and the kernel keeps files without one (nbd, NFS). `sockets` finds the socket by its slab, without a descriptor. The answer of `skb --pid` lacks it.',
  },
  {
    members: ['task_struct.task_frag.page', 'sock.sk_frag.page', 'page_frag_cache'],
    differs: ['categories.network-other.owners', ...ROW('page-fragments'), ...ROW('other-pages')],
    why: 'A page fragment cache may be empty, and its page may be any referenced page.',
  },
  {
    members: [
      'kmem_cache_cpu.freelist',
      'slub_percpu_sheaves.spare',
      'slub_percpu_sheaves.main',
      'slub_percpu_sheaves.rcu_free',
      'slab_sheaf.size',
    ],
    differs: [...ROW('skbs'), ...ROW('skb-fclones'), ...ROW('skb-heads')],
    why: 'Only the per-CPU free lists name the free objects they contain. Others count as unattributed.',
  },
  {
    members: ['skb_shared_info.frags'],
    differs: [
      'queue.pages',
      'queue.orders',
      'queue.pageBytes',
      'queue.pinnedBytes',
      'total.pages',
      'total.orders',
      'total.pageBytes',
      'total.pinnedBytes',
      'skb.pages',
      ...SHARES,
      ...ROW('page-fragments'),
      ...ROW('other-pages'),
    ],
    why: 'Only the fragment names its page. A page with more references than were found looks valid.',
  },
  {
    members: ['page.flags', 'page.mapping'],
    differs: ROW('other-pages'),
    why: 'Only a page’s flags and mapping show whether a held page also belongs to a file.',
  },
  {
    members: ['page_pool.alloc.count'],
    differs: SHARES,
    why: 'Only this count shows how many pages the cache of a page pool has. It cannot exceed the size of the cache.',
  },
  {
    members: ['napi_alloc_cache.skb_count'],
    differs: ROW('skbs'),
    why: 'Only this count shows how many skbs a CPU caches.',
  },
  {
    members: [
      'variable nr_vmalloc_pages',
      'zone.vm_stat',
      'pglist_data.vm_stat',
      'vm_stat_diff',
      'zone.managed_pages',
      'zone.managed_pages.counter',
      'zone.per_cpu_pageset',
      'zone.per_cpu_zonestats',
      'zone.pageset',
      'pglist_data.per_cpu_nodestats',
      'per_cpu_pages.count',
      'per_cpu_pageset.pcp.count',
      'per_cpu_pageset.vm_stat_diff',
    ],
    differs: ROW('other-pages'),
    why: 'Counters of a busy machine differ from its lists, since pages move first. Only the unattributed remainder is computed from them.',
  },
  {
    members: [
      'dentry.d_iname',
      'dentry.d_name.len',
      'dentry.d_name.name',
      'dentry.d_shortname.string',
      'file_system_type.name',
      '*file_system_type.name',
      'super_block.s_type',
    ],
    differs: ['mount.fsType', 'categories.shared.owners', 'categories.page-cache.owners', 'file.path', 'file.fsType'],
    why: 'Names of file system types, and of files in no directory (memfd, System V), are free text, stored once. The owner of the pages does not change.',
  },
  {
    members: [
      'super_block.s_mounts',
      'mount.mnt.mnt_root',
      'mount.mnt_ns',
      'nsproxy.mnt_ns',
      'mount.mnt_next_for_sb',
      'task_struct.nsproxy',
      'inode.i_dentry',
    ],
    differs: [
      'categories.shared.owners',
      'categories.page-cache.owners',
      'file.path',
      'file.mounts',
      'lock.object.path',
    ],
    why: 'Only the inode shows that the kernel caches a name of the file, and only the mounts show where a file system is mounted. The owner of the pages does not change.',
  },
  {
    members: ['dentry.d_hash.pprev'],
    differs: ['file.deleted', 'lock.object.deleted'],
    why: 'Only the dentry shows whether a file name was removed. The file may have other names, and network file systems drop names of existing files.',
  },
  {
    members: ['inode.i_ino', 'super_block.s_dev'],
    differs: [
      'categories.shared.owners',
      'categories.page-cache.owners',
      'file',
      'file gone',
      'file new',
      'lock.object.inode',
      'lock.device.number',
    ],
    why: 'An inode number, and the device number of a file system without a disk, are stored once.',
  },
  {
    members: ['inode.i_size', 'inode.i_nlink', 'address_space.i_mmap'],
    differs: ['file.sizeBytes', 'file.deleted', 'file.mapped', 'lock.object.deleted'],
    why: 'Only the tree of mappings shows that a file is mapped. A file may have pages beyond its end (fallocate), and a network file names that the server has removed. The owner of the pages does not change.',
  },
  {
    members: ['page._refcount'],
    differs: ['unattributed', 'categories.unattributed', 'categories.tables', ...NOBODYS('unattributed', 'tables')],
    why: 'Only the count of its first page shows where an unattributed block, or one of category `tables`, begins.',
  },
  {
    members: ['struct page'],
    differs: ['categories.image.elsewhere'],
    why: 'A zeroed page of the kernel image still belongs to the image. That it was reserved is a note.',
  },
  {
    members: ['*kobject.name', 'device_private.device'],
    differs: ['categories.rings', 'categories.unattributed', 'unattributed', ...NOBODYS('rings', 'unattributed')],
    why: 'Only the name of a bus identifies the virtio bus, and only its list has the devices on it.',
  },
  {
    members: ['vm_stat_diff'],
    differs: [
      ...['page-cache', 'anonymous', 'free-unaccepted', 'balloon'].flatMap((category) => [
        `categories.${category}.counterBytes`,
        `categories.${category}.differenceBytes`,
      ]),
      'counted',
      'unattributed.largeKmallocBytes',
    ],
    why: 'The pages found may exceed these counters; only a smaller number is reported.',
  },
  {
    members: [
      'io_ring_ctx.ring_region.nr_pages',
      'io_ring_ctx.sq_region.nr_pages',
      'io_ring_ctx.rings',
      'io_ring_ctx.sq_sqes',
    ],
    differs: ['categories.rings', 'categories.unattributed', 'unattributed', ...NOBODYS('rings', 'unattributed')],
    why: 'Only the io_uring ring names its pages. Others are unattributed.',
  },
  {
    members: ['kmem_cache.name', '*kmem_cache.name', '*kobject.name'],
    differs: [
      'caches',
      'categories.slab-reclaimable.owners',
      'categories.slab-unreclaimable.owners',
      'lock.object.cache',
    ],
    why: 'A slab cache’s name is free text, stored once.',
  },
  {
    members: ['kmem_cache.object_size', 'slab.counters', 'slab.inuse'],
    differs: ['caches'],
    why: 'An object may have any size up to that of its slot, which is checked. Any number of a slab’s slots may be in use, and its freelist is detached while a CPU owns the slab.',
  },
  {
    members: ['zone._watermark'],
    differs: ['zones'],
    why: 'Watermarks depend on settings and may be boosted. Their order from min to high is checked.',
  },
  {
    members: ['vm_struct.caller'],
    differs: [
      'callers',
      'categories.vmalloc',
      'categories.modules',
      'categories.bpf',
      'categories.unattributed',
      'unattributed',
      ...NOBODYS('vmalloc', 'modules', 'bpf', 'unattributed'),
    ],
    why: 'Only the area names its caller.',
  },
  {
    members: ['slab.memcg_data', 'page.memcg_data', 'slab.obj_exts'],
    differs: ['unattributed.chargedBytes', 'cgroups', 'file.cgroups'],
    why: 'Only the page names the cgroup it is charged to. The counters of cgroups are updated in batches.',
  },
  {
    members: [
      'variable mount_hashtable',
      'variable mountpoint_hashtable',
      'variable ip_idents',
      'variable ftrace_pages_start',
      'variable ftrace_number_of_pages',
      'variable ip_tstamps',
      'variable m_hash_mask',
      'variable mp_hash_mask',
      'variable ip_idents_mask',
      'variable savedcmd',
      'variable btf_vmlinux',
      'inet_hashinfo.ehash',
      'inet_hashinfo.ehash_mask',
      'inet_hashinfo.bhash',
      'inet_hashinfo.bhash2',
      'inet_hashinfo.bhash_size',
      'inet_hashinfo.lhash2',
      'inet_hashinfo.lhash2_mask',
      'udp_table.hash',
      'udp_table.hash2',
      'udp_table.mask',
      'saved_cmdlines_buffer.cmdline_num',
      'btf.types',
      'btf.types_size',
      'ftrace_page.records',
      'mempool.curr_nr',
      'mempool.pool_data',
      '*mempool.elements',
    ],
    differs: [
      'categories.tables',
      'categories.unattributed',
      'unattributed',
      ...NOBODYS('tables', 'unattributed'),
      'searched',
      'explained',
      'groups',
    ],
    why: 'The address and size of a kernel table (category `tables`) are stored once. Pages with another owner are reported, and sizes of hash tables that are no power of two.',
  },
  {
    members: ['read by account/references/contents'],
    differs: ['groups'],
    why: 'A page of memory may contain anything. Unreferenced pages are grouped by what they contain.',
  },
  {
    members: ['signal_struct.oom_score_adj'],
    differs: ['oomScoreAdj'],
    why: 'An administrator’s setting is stored once, and may be anything from -1000 to 1000.',
  },
  {
    members: ['timekeeper.tkr_mono.xtime_nsec', 'task_struct.start_boottime'],
    differs: ['ageSeconds', 'startTicks'],
    why: 'The clock’s fraction of a second is stored once. A hypervisor may pause the machine between the readings of two clocks, so a difference of up to a minute is not reported.',
  },
  {
    members: ['sock.sk_type'],
    differs: ['socket.type'],
    why: 'A closed unix socket has no struct socket, so only its sock has the type.',
  },
  {
    members: ['proto.name'],
    differs: ['socket.protocol'],
    why: 'A protocol’s name is stored once. Its presence is checked, and for IPv4 and IPv6 the name itself.',
  },
  {
    members: ['sock_common.skc_refcnt', 'sock.__sk_common.skc_refcnt'],
    differs: [...SOCKETS, 'foundBy'],
    why: 'A sock without references keeps its slot until its last sent packet is freed, but is no socket. TCP socks are recognized by their state.',
  },
  {
    members: ['page of sock_common.skc_refcnt'],
    differs: SOCKETS,
    why: 'The allocator merges caches of equal size, so an object may be of any type, or zeroed.',
  },
  {
    members: ['page of sock_common.skc_refcnt', 'sock_common.skc_prot'],
    differs: [...WITH_DATA, 'exclusiveBytes', 'sharedBytes'],
    why: 'A whole dump has the allocator’s freelists, and the protocol that created a sock (`sk_prot_creator`).',
    only: 'extracts',
  },
  {
    members: ['page of sockfs_inode.socket.ops', 'page of socket_alloc.socket.ops'],
    differs: SOCKETS,
    why: 'A whole dump has the allocator’s freelists: an inode in use is not zeroed.',
    only: 'extracts',
  },
  {
    members: [
      'struct page',
      'page.flags',
      'page.order',
      'page.page_type',
      'page.compound_head',
      'page.compound_info',
      'folio._flags_1',
      'slab.flags',
      'slab.__page_flags',
      'slab.slab_cache',
      'slab.slabs',
      'slab.slab_list.prev',
      'slab.counters',
    ],
    differs: [...WITH_DATA, ...ROW('page-pools')],
    why: 'A whole dump has the number of slabs of each cache (`kmem_cache_node.nr_slabs`), and the number of pages of a page pool.',
    only: 'extracts',
  },
  {
    members: ['page.order', 'page.flags', 'folio._flags_1'],
    differs: [
      'queue.orders',
      'queue.pageBytes',
      'queue.pinnedBytes',
      'total.orders',
      'total.pageBytes',
      'total.pinnedBytes',
      'skb.pages',
      ...SHARES,
      ...ROW('other-pages'),
    ],
    why: 'A whole dump has the tail pages of compound pages, which contradict a wrong order.',
    only: 'extracts',
  },
  {
    members: ['hstate.nr_huge_pages', 'zone.present_pages'],
    differs: ROW('other-pages'),
    why: 'A whole dump has the same values for each node.',
    only: 'extracts',
  },
  {
    members: ['net_device.dev.parent'],
    differs: ['ledger.receive-rings gone', ...ROW('other-pages')],
    why: 'A whole dump has the device’s sysfs directory (`dev.kobj.parent`).',
    only: 'extracts',
  },
];
