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
}

const ADDRESSES = [
  ...['socket.local', 'socket.localAddress', 'socket.localPort'],
  ...['socket.peer', 'socket.peerAddress', 'socket.peerPort'],
];
/** Freed bytes, and figures from them: how they are shared, never what is pinned. */
const SHARES = [
  ...['exclusiveBytes', 'sharedBytes', 'freedIfKilled'],
  ...['freedIfKilledBytes', 'total.freedIfKilledBytes'],
];
const ROW = (what: string) => [
  `ledger.${what}.objects`,
  `ledger.${what}.bytes`,
  `ledger.${what}.message`,
];

/** The same for categories by cgroup: charged to no cgroup. */
const NOBODYS = (...categories: readonly string[]) =>
  categories.map((category) => `cgroups.uncharged.categories.${category}`);

/** Figures that are missing without a socket. */
const SOCKETS = ['sockets gone', 'sockets', 'total.sockets', 'processes gone'];

/** The same if its memory then has no owner. */
const WITH_DATA = [
  ...[...SOCKETS, 'total', 'foundBy'],
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
    why: 'A connection’s ports and addresses are kept once. Its place in the kernel’s hash tables follows from them by a secret key, and the peer may be another machine.',
  },
  {
    members: ['unix_sock.addr', 'unix_sock.peer', 'unix_address.name', 'unix_address.len'],
    differs: ADDRESSES,
    why: 'A unix socket’s name is free text and kept once; whose peer it is only one side need know (datagrams, and after the other side has closed).',
  },
  {
    members: ['read by walk/log/slot'],
    differs: [
      'text',
      'level',
      'levelName',
      'facility',
      'facilityName',
      'caller',
      'comm',
      'subsystem',
      'device',
    ].map((field) => `message.${field}`),
    why: 'What a message of the log says is free text, and its level, facility, caller and device are kept once.',
  },
  {
    members: [
      'task_struct.comm',
      'task_struct.__state',
      'task_struct.state',
      'task_struct.exit_state',
    ],
    differs: ['thread.comm', 'thread.state'],
    why: 'A thread’s name is free text, and what it waits for is kept once.',
  },
  {
    members: ['net.ns.inum'],
    differs: ['socket.netns'],
    why: 'The number of a namespace comes from a counter and is kept once.',
  },
  {
    members: ['sock.__sk_common.skc_net.net'],
    differs: ['socket.netns', 'freedIfKilled'],
    why: 'Which of the kernel’s namespaces a sock belongs to, only the sock says.',
  },
  {
    members: ['inode.i_ino', 'socket_alloc.vfs_inode.i_ino', 'sockfs_inode.vfs_inode.i_ino'],
    differs: ['socket.inode'],
    why: 'A socket’s inode number comes from a counter; it is in no table that a number leads into.',
  },
  {
    members: ['sock.__sk_common.skc_state'],
    differs: ['socket.state'],
    why: 'States that a socket of its family can have are told apart by nothing that every protocol keeps.',
  },
  {
    members: ['task_struct.comm'],
    differs: ['holders', 'mappedBy', 'registeredWith', 'process.comm', 'comm'],
    why: 'A process’s name is free text and kept once.',
  },
  {
    members: ['net_device.name'],
    differs: ['ledger.receive-rings.message', 'ledger.rings.message'],
    why: 'A device’s name is free text; only the message of its row shows it.',
  },
  {
    members: ['*rtnl_link_ops.kind', 'net_device.rtnl_link_ops'],
    differs: ['ledger.rings gone', 'ledger.rings new', ...ROW('rings')],
    why: 'Which driver made a software device is told by the name of its kind alone: drivers are modules, whose symbols a kernel need not have, and any name may be one’s.',
  },
  {
    members: ['*device_driver.name'],
    differs: [
      'ledger.receive-rings gone',
      'ledger.receive-rings new',
      'ledger.receive-rings.message',
      ...ROW('other-pages'),
    ],
    why: 'A driver’s name is free text; a driver that is not known has a row that says that it is not counted, and its pages are in none.',
  },
  {
    members: ['sk_buff.truesize'],
    differs: ['queue.truesizeBytes', 'total.truesizeBytes', 'skb.truesize'],
    why: 'What an skb is charged follows rules of each protocol and driver. TCP’s queues are held against what the sock is charged; other protocols charge before they queue, or charge the sender. It enters no figure of pinned memory.',
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
    why: 'References that are found are a lower bound: a device, a system call under way or a capturing program may hold more, and leave no trace of it. What is pinned does not change, only how much of it a kill gives back for sure.',
  },
  {
    members: ['file.f_count.counter', 'file.f_ref.refcnt.counter'],
    differs: ['freedIfKilled', 'freedIfKilledBytes', 'total.freedIfKilledBytes', 'mappedBy'],
    why: 'References to a file beyond those found may be those of a system call.',
  },
  {
    members: ['unix_skb_parms.consumed', 'tcp_sock.copied_seq', 'mptcp_skb_cb.offset'],
    differs: ['unreadBytes'],
    why: 'How far a reader has come is any place in the first skb, and kept once.',
  },
  {
    members: ['*fdtable.fd', 'files_struct.fd_array'],
    differs: [
      'holders',
      'foundBy',
      'fds',
      'process',
      'processes gone',
      'processes new',
      'sockets gone',
      'asked',
    ],
    why: 'A descriptor that is reserved and empty is what accept() waits with, and the kernel keeps files that no descriptor leads to (nbd, NFS): one that lost its file looks sound. `sockets` finds the socket by its slab, and calls it one without a descriptor; what `skb --pid` was asked about lacks it.',
  },
  {
    members: ['task_struct.task_frag.page', 'sock.sk_frag.page', 'page_frag_cache'],
    differs: ['categories.network-other.owners', ...ROW('page-fragments'), ...ROW('other-pages')],
    why: 'A cache of page fragments may be empty, and its page may be any that has a reference.',
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
    why: 'Which objects wait in per-CPU lists to be given out again only those lists say: with fewer of them more objects count as not explained, and with more as free.',
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
    why: 'Which page a fragment lies in only the fragment says. A page that is free, a slab’s, or that counts less references than lead to it is told; another that counts more looks sound.',
  },
  {
    members: ['page.flags', 'page.mapping'],
    differs: ROW('other-pages'),
    why: 'Whether a page that is held is a file’s as well, only its flags and its mapping say.',
  },
  {
    members: ['napi_alloc_cache.skb_count'],
    differs: ROW('skbs'),
    why: 'How many skbs a CPU keeps ready only this count says: what lies behind the last is left as it was.',
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
    why: 'Counters of the machine’s memory. Pages move from list to list before the counters do, so that the lists of a busy machine differ from them; only the rest that nothing explains is made of them.',
  },
  {
    members: [
      ...['dentry.d_iname', 'dentry.d_name.len', 'dentry.d_name.name', 'dentry.d_shortname.string'],
      ...['file_system_type.name', '*file_system_type.name', 'super_block.s_type'],
    ],
    differs: [
      ...['categories.shared.owners', 'categories.page-cache.owners'],
      ...['file.path', 'file.fsType'],
    ],
    why: 'Names of kinds of file systems, and of files that are in no directory (memfd, System V), are free text and kept once. A name in a directory has a hash of it and of the directory. Whose pages they are does not change.',
  },
  {
    members: [
      ...['super_block.s_mounts', 'mount.mnt.mnt_root', 'mount.mnt_ns', 'nsproxy.mnt_ns'],
      ...['mount.mnt_next_for_sb', 'task_struct.nsproxy', 'inode.i_dentry'],
    ],
    differs: [
      ...['categories.shared.owners', 'categories.page-cache.owners'],
      ...['file.path', 'file.mounts'],
    ],
    why: 'That the kernel remembers a name of a file only the inode says. Where a file system is mounted only its mounts say, and which namespace is the first one’s only its process: without one the path begins at its own root. Whose pages they are does not change.',
  },
  {
    members: ['dentry.d_hash.pprev'],
    differs: ['file.deleted'],
    why: 'Whether a name of a file was removed only its dentry says: it keeps its other link then, the file may have other names, and a network’s file systems drop names of files that are there.',
  },
  {
    members: ['inode.i_ino', 'super_block.s_dev'],
    differs: [
      'categories.shared.owners',
      'categories.page-cache.owners',
      'file',
      'file gone',
      'file new',
    ],
    why: 'The number of an inode, and that of a file system that lies on no disk, are kept once: it is the same file by another number.',
  },
  {
    members: ['inode.i_size', 'inode.i_nlink', 'address_space.i_mmap'],
    differs: ['file.sizeBytes', 'file.deleted', 'file.mapped'],
    why: 'That a file is mapped its tree of mappings says, and nothing else if both its words are gone. A file may have pages beyond its end (fallocate), and a file of another machine names that are gone there. Whose pages they are does not change.',
  },
  {
    members: ['page._refcount'],
    differs: [
      ...['unattributed', 'categories.unattributed', 'categories.tables'],
      ...NOBODYS('unattributed', 'tables'),
    ],
    why: 'Where a block begins that nothing explains, or that a table is the first part of, only the count of its first page says.',
  },
  {
    members: ['struct page'],
    differs: ['categories.image.elsewhere'],
    why: 'A blank page of the kernel’s image is still of the image; that it was reserved is a note.',
  },
  {
    members: ['*kobject.name', 'device_private.device'],
    differs: [
      ...['categories.rings', 'categories.unattributed', 'unattributed'],
      ...NOBODYS('rings', 'unattributed'),
    ],
    why: 'Which bus is that of virtio only its name says, and which devices are on it only its list.',
  },
  {
    members: ['vm_stat_diff'],
    differs: [
      ...['categories.page-cache', 'categories.anonymous', 'categories.free-unaccepted'].flatMap(
        (category) => [`${category}.counterBytes`, `${category}.differenceBytes`],
      ),
      ...['counted', 'unattributed.largeKmallocBytes'],
    ],
    why: 'Of these more pages may be found than are counted; that there are fewer is told. Of memory that is not accepted yet some kernels’ pages do not say that it is.',
  },
  {
    members: [
      ...['io_ring_ctx.ring_region.nr_pages', 'io_ring_ctx.sq_region.nr_pages'],
      ...['io_ring_ctx.rings', 'io_ring_ctx.sq_sqes'],
    ],
    differs: [
      ...['categories.rings', 'categories.unattributed', 'unattributed'],
      ...NOBODYS('rings', 'unattributed'),
    ],
    why: 'Where the pages of a ring of io_uring lie and how many there are only the ring says: the rest is among what nothing explains.',
  },
  {
    members: ['kmem_cache.name', '*kmem_cache.name'],
    differs: [
      ...['caches', 'categories.slab-reclaimable.owners', 'categories.slab-unreclaimable.owners'],
    ],
    why: 'A slab cache’s name is free text and kept once.',
  },
  {
    members: ['kmem_cache.object_size', 'slab.counters', 'slab.inuse'],
    differs: ['caches'],
    why: 'Bytes of an object may be any up to its slot’s, which the allocator divides by and slabs are held against; how many slots of a slab are in use may be any up to all, and its list of free slots is cut off while a CPU has it.',
  },
  {
    members: ['zone._watermark'],
    differs: ['zones'],
    why: 'Watermarks follow from settings and may be boosted; that they rise from min to high is checked.',
  },
  {
    members: ['vm_struct.caller'],
    differs: [
      ...[
        'callers',
        'categories.vmalloc',
        'categories.modules',
        'categories.bpf',
        'categories.unattributed',
      ],
      'unattributed',
      ...NOBODYS('vmalloc', 'modules', 'bpf', 'unattributed'),
    ],
    why: 'Who asked for an area of vmalloc’s address space only the area says.',
  },
  {
    members: ['slab.memcg_data', 'page.memcg_data', 'slab.obj_exts'],
    differs: ['unattributed.chargedBytes', 'cgroups', 'file.cgroups'],
    why: 'Which cgroup a page is charged to only the page says; cgroups’ own counters run in batches.',
  },
  {
    members: [
      ...['variable mount_hashtable', 'variable mountpoint_hashtable', 'variable ip_idents'],
      ...['variable ftrace_pages_start', 'variable ftrace_number_of_pages'],
      ...['variable ip_tstamps', 'variable m_hash_mask', 'variable mp_hash_mask'],
      ...['variable ip_idents_mask', 'variable savedcmd', 'variable btf_vmlinux'],
      ...['inet_hashinfo.ehash', 'inet_hashinfo.ehash_mask', 'inet_hashinfo.bhash'],
      ...['inet_hashinfo.bhash2', 'inet_hashinfo.bhash_size', 'inet_hashinfo.lhash2'],
      ...['inet_hashinfo.lhash2_mask', 'udp_table.hash', 'udp_table.hash2', 'udp_table.mask'],
      ...['saved_cmdlines_buffer.cmdline_num', 'btf.types', 'btf.types_size'],
      ...['ftrace_page.records', 'mempool.curr_nr', 'mempool.pool_data', '*mempool.elements'],
    ],
    differs: [
      ...['categories.tables', 'categories.unattributed', 'unattributed'],
      ...NOBODYS('tables', 'unattributed'),
    ],
    why: 'Where a table of the kernel lies and how large it is are kept once. A page of it that is somebody else’s, that is free, or that is no memory is told, and so is a hash table whose size is no power of two.',
  },
  {
    members: ['signal_struct.oom_score_adj'],
    differs: ['oomScoreAdj'],
    why: 'What an administrator asked for is kept once, and may be anything from -1000 to 1000.',
  },
  {
    members: ['timekeeper.tkr_mono.xtime_nsec', 'task_struct.start_boottime'],
    differs: ['ageSeconds', 'startTicks'],
    why: 'The part of a second that the clock shows is kept once. A process takes the time of two clocks one after the other, and may be stopped in between for as long as a machine under a hypervisor is: a minute is not told.',
  },
  {
    members: ['sock.sk_type'],
    differs: ['socket.type'],
    why: 'A closed unix socket has no struct socket any more, and its sock alone says its type.',
  },
  {
    members: ['proto.name'],
    differs: ['socket.protocol'],
    why: 'A protocol’s name is kept once; that it has one is checked, and what IPv4 and IPv6 call theirs.',
  },
  {
    members: ['sock_common.skc_refcnt', 'sock.__sk_common.skc_refcnt'],
    differs: [...SOCKETS, 'foundBy'],
    why: 'A sock without references keeps its slot until the last packet that it sent is gone, and then waits to be freed: it is none any more. TCP’s are seen by their state.',
  },
  {
    members: ['page of sock_common.skc_refcnt'],
    differs: SOCKETS,
    why: 'The allocator merges caches alike in size: an object in one may be anything, blank too.',
  },
  {
    members: ['page of sock_common.skc_refcnt', 'sock_common.skc_prot'],
    differs: [...WITH_DATA, 'exclusiveBytes', 'sharedBytes'],
    why: 'A whole dump has the allocator’s lists of free slots, and the protocol that made a sock (`sk_prot_creator`).',
    only: 'extracts',
  },
  {
    members: ['page of sockfs_inode.socket.ops', 'page of socket_alloc.socket.ops'],
    differs: SOCKETS,
    why: 'A whole dump has the allocator’s lists of free slots: an inode in use is not blank.',
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
    why: 'A whole dump has how many slabs each cache counts (`kmem_cache_node.nr_slabs`), and how many pages a page pool.',
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
    why: 'A whole dump has the tails of compound pages, which belie another order.',
    only: 'extracts',
  },
  {
    members: ['hstate.nr_huge_pages', 'zone.present_pages'],
    differs: ROW('other-pages'),
    why: 'A whole dump has the same node by node.',
    only: 'extracts',
  },
  {
    members: ['net_device.dev.parent'],
    differs: ['ledger.receive-rings gone', ...ROW('other-pages')],
    why: 'A whole dump has the folder of sysfs that a device lies in (`dev.kobj.parent`).',
    only: 'extracts',
  },
];
