import { BtfWriter, type WrittenMember } from '../support/btf.js';

/**
 * Structs of kernels that current distributions no longer build and for which CI has no BTF: sizes, and the members
 * that walkers look up, as include/linux declares them and mainline builds lay them out. A line is
 * `NAME SIZE: PATH OFFSET TYPE, …`; TYPE is `*POINTEE`, a struct of the table, or NAME/BYTES, followed by [ELEMENTS]
 * or :BIT:BITS. Paths go through anonymous members, as in C. `ring_buffer{buffers}` is one of several with that name.
 */
const LINUX_5_4 = `
Qdisc 320: flags 16 unsigned_int/4, cpu_qstats 88 *gnet_stats_queue, gso_skb 128 sk_buff_head, q.qlen 168 __u32/4, qstats.backlog 196 __u32/4,
  skb_bad_txq 232 sk_buff_head
address_space 160: host 0 *inode, i_mmap 32 rb_root_cached/16, i_mmap.rb_leftmost 40 *rb_node, nrpages 88 long_unsigned_int/8
bdev_inode 760: bdev 0 block_device, vfs_inode 216 inode
block_device 216: bd_partno 108 u8/1, bd_disk 128 *gendisk
bucket_table 64: size 0 unsigned_int/4, nest 4 unsigned_int/4, future_tbl 48 *bucket_table, buckets 64 *rhash_lock_head[0]
buffer_page 56: list 0 list_head/16, page 48 *buffer_data_page
cgroup 752: self 0 cgroup_subsys_state, self.parent 232 *cgroup_subsys_state, kn 288 *kernfs_node, subsys 416 *cgroup_subsys_state[3]
cgroup_subsys 240: id 148 int/4
cgroup_subsys_state 240: cgroup 0 *cgroup, ss 8 *cgroup_subsys, flags 124 unsigned_int/4, online_cnt 136 atomic_t/4, parent 232 *cgroup_subsys_state
cgrp_cset_link 48: cgrp 0 *cgroup, cset 8 *css_set, cgrp_link 32 list_head/16
cpumask 8: bits 0 long_unsigned_int/8[1]
css_set 328: subsys 0 *cgroup_subsys_state[3], dfl_cgrp 40 *cgroup, tasks 56 list_head/16, mg_tasks 72 list_head/16, dying_tasks 88 list_head/16,
  cgrp_links 216 list_head/16
dentry 192: d_name.len 36 u32/4, d_name.name 40 *unsigned char
fdtable 56: fd 8 *
file 248: f_path.dentry 24 *dentry, f_inode 32 *inode, f_op 40 *file_operations, f_count.counter 56 s64/8, private_data 192 *
file_system_type 72: name 0 *char
files_struct 704: count.counter 0 int/4, fdt 32 *fdtable
fqdir 320: net 32 *net, rhashtable 64 rhashtable
free_area 72: nr_free 64 long_unsigned_int/8
gendisk 840: disk_name 12 char/1[32]
gro_list 24: list 0 list_head/16
inactive_task_frame 56: bp 40 long_unsigned_int/8, ret_addr 48 long_unsigned_int/8
inet_frag_queue 176: node 0 rhash_head/8, rb_fragments.rb_node 104 *rb_node, meat 140 int/4, fqdir 152 *fqdir
inode 544: i_sb 24 *super_block, i_mapping 32 *address_space, i_ino 40 long_unsigned_int/8, i_nlink 48 unsigned_int/4, i_rdev 52 dev_t/4, i_size 56
  loff_t/8, i_dentry 272 hlist_head/8, i_data 336 address_space
kernfs_node 128: parent 8 *kernfs_node, name 16 *char, hash 56 unsigned_int/4, priv 96 *
kmem_cache 912: size 24 unsigned_int/4, object_size 28 unsigned_int/4, refcount 56 int/4, red_left_pad 80 unsigned_int/4, name 88 *char
mem_cgroup 2496: memory 248 page_counter/104, memory.usage.counter 248 s64/8, memory.parent 280 *page_counter
mm_struct 904: mm_users.counter 76 int/4, rss_stat 680 mm_rss_stat/32, owner 832 *task_struct
mount 312: mnt_parent 16 *mount, mnt_mountpoint 24 *dentry, mnt 32 vfsmount/24, mnt.mnt_root 32 *dentry, mnt_instance 112 list_head/16, mnt_ns 224
  *mnt_namespace
napi_struct 384: poll 40 *, dev 48 *net_device, gro_hash 56 gro_list[8], skb 248 *sk_buff, rx_list 256 list_head/16, dev_list 344 list_head/16
neigh_hash_table 48: hash_buckets 0 *, hash_shift 8 unsigned_int/4
neigh_table 488: proxy_queue 400 sk_buff_head, entries 424 atomic_t/4, nht 472 *neigh_hash_table
neighbour 288: next 0 *neighbour, tbl 8 *neigh_table, arp_queue 56 sk_buff_head, arp_queue.qlen 72 __u32/4
net 2880: list 32 list_head/16, ns.inum 128 unsigned_int/4, dev_base_head 136 list_head/16, ipv4.fqdir 736 *fqdir, ipv6.fqdir 1696 *fqdir, nf_frag
  2776 netns_nf_frag/8, nf_frag.fqdir 2776 *fqdir
net_device 1856: name 0 char/1[16], dev_list 80 list_head/16, napi_list 96 list_head/16, _tx 896 *netdev_queue, num_tx_queues 904 unsigned_int/4,
  dev.parent 1272 *device
netdev_queue 320: qdisc 8 *Qdisc
page 64: flags 0 long_unsigned_int/8, compound_head 8 long_unsigned_int/8, lru 8 list_head/16, compound_dtor 16 unsigned_char/1, compound_order 17
  unsigned_char/1, mapping 24 *address_space, slab_cache 24 *kmem_cache, objects 40 unsigned_int/4:16:15, page_type 48 unsigned_int/4, _refcount 52
  atomic_t/4, mem_cgroup 56 *mem_cgroup
per_cpu_nodestat 33: vm_node_stat_diff 1 s8/1[32]
per_cpu_pageset 96: pcp.count 0 int/4, pcp.lists 16 list_head/16[3]
perf_event 984: rb 696 *ring_buffer
pglist_data 10752: node_zones 0 zone[3], node_id 10048 int/4, per_cpu_nodestats 10432 *per_cpu_nodestat, vm_stat 10440 atomic_long_t/8[32]
pid 96: level 4 unsigned_int/4, tasks 8 hlist_head/8[4], numbers 80 upid[1]
pid_namespace 200: idr.idr_rt.xa_head 16 *, pid_allocated 48 unsigned_int/4, level 72 unsigned_int/4, ns.inum 192 unsigned_int/4
pipe_buffer 40: page 0 *page
pipe_inode_info 136: nrbufs 56 unsigned_int/4, curbuf 60 unsigned_int/4, buffers 64 unsigned_int/4, tmp_page 96 *page, bufs 120 *pipe_buffer
printk_log 16: ts_nsec 0 u64/8, len 8 u16/2, text_len 10 u16/2, dict_len 12 u16/2, facility 14 u8/1, flags 15 u8/1:0:5, level 15 u8/1:5:3
proto_ops 208: family 0 int/4
pt_regs 168: bp 32 long_unsigned_int/8, ip 128 long_unsigned_int/8, cs 136 long_unsigned_int/8
rhashtable 136: tbl 0 *bucket_table, nelems 132 atomic_t/4
ring_buffer_per_cpu 416: nr_pages 32 long_unsigned_int/8, pages 48 *list_head, reader_page 80 *buffer_page
ring_buffer{buffers} 184: buffers 64 *
ring_buffer{data_pages} 240: nr_pages 24 int/4, aux_nr_pages 176 int/4, aux_pages 216 *, user_page 232 *perf_event_mmap_page, data_pages 240 *[0]
signal_struct 952: thread_head 16 list_head/16
sk_buff 216: next 0 *sk_buff, rbnode 0 rb_node/24, prev 8 *sk_buff, sk 24 *sock, cb 40 char/1[48]
sk_buff_head 24: next 0 *sk_buff, prev 8 *sk_buff, qlen 16 __u32/4
skb_shared_info 320: nr_frags 2 __u8/1, frag_list 8 *sk_buff, dataref.counter 32 int/4
sock 728: __sk_common.skc_daddr 0 __be32/4, __sk_common.skc_rcv_saddr 4 __be32/4, __sk_common.skc_dport 12 __be16/2, __sk_common.skc_num 14 __u16/2,
  __sk_common.skc_family 16 short_unsigned_int/2, __sk_common.skc_state 18 unsigned_char/1, __sk_common.skc_prot 40 *proto, __sk_common.skc_net.net
  48 *net, sk_error_queue 176 sk_buff_head, sk_receive_queue 208 sk_buff_head, sk_receive_queue.next 208 *sk_buff, sk_backlog.head 240 *sk_buff,
  sk_backlog.tail 248 *sk_buff, sk_write_queue 352 sk_buff_head, sk_protocol 520 unsigned_int/4:8:8, sk_type 520 unsigned_int/4:16:16, sk_socket 624
  *socket
socket 128: type 4 short_int/2, sk 24 *sock, ops 32 *proto_ops
socket_alloc 704: socket 0 socket, vfs_inode 128 inode
softnet_data 704: process_queue 16 sk_buff_head, output_queue 72 *Qdisc, completion_queue 88 *sk_buff, input_pkt_queue 248 sk_buff_head
super_block 1408: s_dev 16 dev_t/4, s_type 40 *file_system_type, s_mounts 176 list_head/16
task_struct 6400: stack 24 *, flags 36 unsigned_int/4, tasks 624 list_head/16, mm 704 *mm_struct, active_mm 712 *mm_struct, pid 880 pid_t/4, tgid
  884 pid_t/4, real_parent 888 *task_struct, thread_pid 976 *pid, pid_links 984 hlist_node/16[4], thread_node 1064 list_head/16, comm 1304
  char/1[16], files 1360 *files_struct, signal 1376 *signal_struct, cgroups 1608 *css_set, cg_list 1616 list_head/16
timekeeper 280: tkr_mono.shift 28 u32/4, tkr_mono.xtime_nsec 32 u64/8, xtime_sec 112 u64/8, wall_to_monotonic.tv_sec 128 time64_t/8,
  wall_to_monotonic.tv_nsec 136 long_int/8, offs_boot 152 ktime_t/8
trace_array 296: list 0 list_head/16, trace_buffer.buffer 32 *ring_buffer
trace_buffer 40: buffer 8 *ring_buffer
upid 16: nr 0 int/4, ns 8 *pid_namespace
vm_struct 64: addr 8 *, size 16 long_unsigned_int/8, flags 24 long_unsigned_int/8, pages 32 *, nr_pages 40 unsigned_int/4, caller 56 *
vmap_area 64: va_start 0 long_unsigned_int/8, va_end 8 long_unsigned_int/8, list 40 list_head/16, purge_list 56 llist_node/8, vm 56 *vm_struct
zone 1280: _watermark 0 long_unsigned_int/8[3], pageset 80 *per_cpu_pageset, zone_start_pfn 88 long_unsigned_int/8, managed_pages 96
  atomic_long_t/8, spanned_pages 104 long_unsigned_int/8, present_pages 112 long_unsigned_int/8, free_area 192 free_area[11]
enum compound_dtor_id: NULL_COMPOUND_DTOR, COMPOUND_PAGE_DTOR, HUGETLB_PAGE_DTOR, TRANSHUGE_PAGE_DTOR, NR_COMPOUND_DTORS
enum migratetype: MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_PCPTYPES, MIGRATE_HIGHATOMIC=3, MIGRATE_TYPES
enum node_stat_item: NR_LRU_BASE, NR_INACTIVE_ANON=0, NR_ACTIVE_ANON, NR_INACTIVE_FILE, NR_ACTIVE_FILE, NR_UNEVICTABLE, NR_SLAB_RECLAIMABLE,
  NR_SLAB_UNRECLAIMABLE, NR_ISOLATED_ANON, NR_ISOLATED_FILE, WORKINGSET_NODES, WORKINGSET_REFAULT, WORKINGSET_ACTIVATE, WORKINGSET_RESTORE,
  WORKINGSET_NODERECLAIM, NR_ANON_MAPPED, NR_FILE_MAPPED, NR_FILE_PAGES, NR_FILE_DIRTY, NR_WRITEBACK, NR_WRITEBACK_TEMP, NR_SHMEM, NR_SHMEM_THPS,
  NR_SHMEM_PMDMAPPED, NR_FILE_THPS, NR_FILE_PMDMAPPED, NR_ANON_THPS, NR_UNSTABLE_NFS, NR_VMSCAN_WRITE, NR_VMSCAN_IMMEDIATE, NR_DIRTIED, NR_WRITTEN,
  NR_KERNEL_MISC_RECLAIMABLE, NR_VM_NODE_STAT_ITEMS
enum pageflags: PG_locked, PG_referenced, PG_uptodate, PG_dirty, PG_lru, PG_active, PG_workingset, PG_waiters, PG_error, PG_slab, PG_owner_priv_1,
  PG_arch_1, PG_reserved, PG_private, PG_private_2, PG_writeback, PG_head, PG_mappedtodisk, PG_reclaim, PG_swapbacked, PG_unevictable, PG_mlocked,
  __NR_PAGEFLAGS, PG_checked=10, PG_swapcache=10, PG_fscache=14, PG_pinned=10, PG_savepinned=3, PG_foreign=10, PG_xen_remapped=10, PG_slob_free=13,
  PG_double_map, PG_isolated=18
enum zone_type: ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE, __MAX_NR_ZONES
`;

/** Differences of 4.18 from 5.4; a name alone: 4.18 lacks it. */
const LINUX_4_18 = `
fqdir
gro_list
address_space 208: host 0 *inode, i_mmap 40 rb_root_cached/16, i_mmap.rb_leftmost 48 *rb_node, nrpages 96 long_unsigned_int/8
bdev_inode 856: bdev 0 block_device, vfs_inode 248 inode
block_device 248: bd_partno 108 u8/1, bd_disk 128 *gendisk
bucket_table 128: size 0 unsigned_int/4, nest 4 unsigned_int/4, future_tbl 64 *bucket_table, buckets 128 *rhash_head[0]
cgroup 912: self 0 cgroup_subsys_state, self.parent 296 *cgroup_subsys_state, kn 352 *kernfs_node, subsys 544 *cgroup_subsys_state[3]
cgroup_subsys 248: id 148 int/4
cgroup_subsys_state 304: cgroup 0 *cgroup, ss 8 *cgroup_subsys, flags 124 unsigned_int/4, online_cnt 136 atomic_t/4, parent 296 *cgroup_subsys_state
css_set 296: subsys 0 *cgroup_subsys_state[3], dfl_cgrp 40 *cgroup, tasks 56 list_head/16, mg_tasks 72 list_head/16, cgrp_links 200 list_head/16
file 248: f_path.dentry 24 *dentry, f_inode 32 *inode, f_op 40 *file_operations, f_count.counter 56 long_int/8, private_data 192 *
file_system_type 88: name 0 *char
gendisk 1144: disk_name 12 char/1[32]
inactive_task_frame 64: bp 48 long_unsigned_int/8, ret_addr 56 long_unsigned_int/8
inet_frag_queue 216: node 0 rhash_head/8, fragments 136 *sk_buff, rb_fragments.rb_node 144 *rb_node, meat 180 int/4, net 192 *netns_frags
inode 608: i_sb 24 *super_block, i_mapping 32 *address_space, i_ino 40 long_unsigned_int/8, i_nlink 48 unsigned_int/4, i_rdev 52 dev_t/4, i_size 56
  loff_t/8, i_dentry 280 hlist_head/8, i_data 336 address_space
kmem_cache 1008: size 24 unsigned_int/4, object_size 28 unsigned_int/4, refcount 56 int/4, red_left_pad 80 unsigned_int/4, name 88 *char
mem_cgroup 2560: memory 312 page_counter/104, memory.usage.counter 312 long_int/8, memory.parent 344 *page_counter
mm_struct 992: mm_users.counter 72 int/4, rss_stat 672 mm_rss_stat/32, owner 824 *task_struct
module 768: list 8 list_head/16, name 24 char/1[56]
mount 384: mnt_parent 16 *mount, mnt_mountpoint 24 *dentry, mnt 32 vfsmount/24, mnt.mnt_root 32 *dentry, mnt_instance 112 list_head/16, mnt_ns 224
  *mnt_namespace
napi_struct 248: gro_count 28 unsigned_int/4, poll 32 *, dev 40 *net_device, gro_list 48 *sk_buff, skb 56 *sk_buff, dev_list 144 list_head/16
neigh_table 592: proxy_queue 520 sk_buff_head, entries 544 atomic_t/4, nht 576 *neigh_hash_table
neighbour 320: next 0 *neighbour, tbl 8 *neigh_table, arp_queue 56 sk_buff_head, arp_queue.qlen 72 __u32/4
net 3712: list 24 list_head/16, ns.inum 136 unsigned_int/4, dev_base_head 280 list_head/16, ipv4.frags 768 netns_frags, ipv6.frags 1984 netns_frags
net_device 2368: name 0 char/1[16], dev_list 80 list_head/16, napi_list 96 list_head/16, _tx 896 *netdev_queue, num_tx_queues 904 unsigned_int/4,
  dev.parent 1224 *device
netdev_queue 448: qdisc 8 *Qdisc
netns_frags 320: rhashtable 64 rhashtable
per_cpu_nodestat 30: vm_node_stat_diff 1 s8/1[29]
perf_event 968: rb 696 *ring_buffer
pglist_data 10688: node_zones 0 zone[3], node_id 10048 int/4, per_cpu_nodestats 10448 *per_cpu_nodestat, vm_stat 10456 atomic_long_t/8[29]
pid 72: level 4 unsigned_int/4, tasks 8 hlist_head/8[4], numbers 56 upid[1]
pid_namespace 240: idr.idr_rt.xa_head 16 *, pid_allocated 56 unsigned_int/4, level 80 unsigned_int/4, ns.inum 232 unsigned_int/4
proto_ops 264: family 0 int/4
rhashtable 176: tbl 0 *bucket_table, nelems 172 atomic_t/4
ring_buffer_per_cpu 400: nr_pages 32 long_unsigned_int/8, pages 48 *list_head, reader_page 80 *buffer_page
signal_struct 960: thread_head 16 list_head/16
sk_buff 232: next 0 *sk_buff, rbnode 0 rb_node/24, prev 8 *sk_buff, sk 24 *sock, cb 40 char/1[48]
sock 848: __sk_common.skc_daddr 0 __be32/4, __sk_common.skc_rcv_saddr 4 __be32/4, __sk_common.skc_dport 12 __be16/2, __sk_common.skc_num 14 __u16/2,
  __sk_common.skc_family 16 short_unsigned_int/2, __sk_common.skc_state 18 unsigned_char/1, __sk_common.skc_prot 40 *proto, __sk_common.skc_net.net
  48 *net, sk_error_queue 176 sk_buff_head, sk_receive_queue 200 sk_buff_head, sk_receive_queue.next 200 *sk_buff, sk_backlog.head 232 *sk_buff,
  sk_backlog.tail 240 *sk_buff, sk_write_queue 328 sk_buff_head, sk_protocol 520 unsigned_int/4:8:8, sk_type 520 unsigned_int/4:16:16, sk_socket 624
  *socket
socket 48: type 4 short_int/2, sk 32 *sock, ops 40 *proto_ops
socket_alloc 656: socket 0 socket, vfs_inode 48 inode
softnet_data 576: process_queue 16 sk_buff_head, output_queue 72 *Qdisc, completion_queue 88 *sk_buff, input_pkt_queue 248 sk_buff_head
super_block 1536: s_dev 16 dev_t/4, s_type 40 *file_system_type, s_mounts 176 list_head/16
task_struct 6400: stack 24 *, flags 36 unsigned_int/4, tasks 704 list_head/16, mm 784 *mm_struct, active_mm 792 *mm_struct, pid 960 pid_t/4, tgid
  964 pid_t/4, real_parent 968 *task_struct, thread_pid 1072 *pid, thread_node 1144 list_head/16, comm 1376 char/1[16], files 1432 *files_struct,
  signal 1448 *signal_struct, cgroups 1672 *css_set, cg_list 1680 list_head/16, pid_links 1960 hlist_node/16[4]
timekeeper 264: tkr_mono.shift 28 u32/4, tkr_mono.xtime_nsec 32 u64/8, xtime_sec 112 u64/8, wall_to_monotonic.tv_sec 128 time64_t/8,
  wall_to_monotonic.tv_nsec 136 long_int/8, offs_boot 152 ktime_t/8
trace_array 264: list 0 list_head/16, trace_buffer.buffer 32 *ring_buffer
vmap_area 96: va_start 0 long_unsigned_int/8, va_end 8 long_unsigned_int/8, flags 16 long_unsigned_int/8, list 48 list_head/16, purge_list 64
  llist_node/8, vm 72 *vm_struct
zone 1280: watermark 0 long_unsigned_int/8[3], pageset 72 *per_cpu_pageset, zone_start_pfn 80 long_unsigned_int/8, managed_pages 88
  long_unsigned_int/8, spanned_pages 96 long_unsigned_int/8, present_pages 104 long_unsigned_int/8, free_area 192 free_area[11]
enum node_stat_item: NR_LRU_BASE, NR_INACTIVE_ANON=0, NR_ACTIVE_ANON, NR_INACTIVE_FILE, NR_ACTIVE_FILE, NR_UNEVICTABLE, NR_SLAB_RECLAIMABLE,
  NR_SLAB_UNRECLAIMABLE, NR_ISOLATED_ANON, NR_ISOLATED_FILE, WORKINGSET_REFAULT, WORKINGSET_ACTIVATE, WORKINGSET_NODERECLAIM, NR_ANON_MAPPED,
  NR_FILE_MAPPED, NR_FILE_PAGES, NR_FILE_DIRTY, NR_WRITEBACK, NR_WRITEBACK_TEMP, NR_SHMEM, NR_SHMEM_THPS, NR_SHMEM_PMDMAPPED, NR_ANON_THPS,
  NR_UNSTABLE_NFS, NR_VMSCAN_WRITE, NR_VMSCAN_IMMEDIATE, NR_DIRTIED, NR_WRITTEN, NR_KERNEL_MISC_RECLAIMABLE, WORKINGSET_RESTORE,
  NR_VM_NODE_STAT_ITEMS
enum pageflags: PG_locked, PG_error, PG_referenced, PG_uptodate, PG_dirty, PG_lru, PG_active, PG_waiters, PG_slab, PG_owner_priv_1, PG_arch_1,
  PG_reserved, PG_private, PG_private_2, PG_writeback, PG_head, PG_mappedtodisk, PG_reclaim, PG_swapbacked, PG_unevictable, PG_mlocked,
  PG_workingset, __NR_PAGEFLAGS, PG_checked=9, PG_swapcache=9, PG_fscache=13, PG_pinned=9, PG_savepinned=4, PG_foreign=9, PG_slob_free=12,
  PG_double_map, PG_isolated=17
`;

/** Differences of 4.14 from 4.18: pages without types, pids in a hash table, counters of cgroups by `count`. */
const LINUX_4_14 = `
mem_cgroup 2560: memory 312 page_counter/104, memory.count.counter 312 long_int/8, memory.parent 344 *page_counter
page 64: flags 0 long_unsigned_int/8, mapping 8 *address_space, freelist 16 *, objects 24 unsigned_int/4:16:15, _mapcount 24 atomic_t/4,
  _refcount 28 atomic_t/4, compound_head 32 long_unsigned_int/8, lru 32 list_head/16, compound_dtor 40 unsigned_int/4,
  compound_order 44 unsigned_int/4, slab_cache 48 *kmem_cache, mem_cgroup 56 *mem_cgroup
pid_link 24: node 0 hlist_node/16, pid 16 *pid
pid_namespace 240: nr_hashed 56 unsigned_int/4, level 80 unsigned_int/4, ns.inum 232 unsigned_int/4
task_struct 6400: stack 24 *, flags 36 unsigned_int/4, tasks 704 list_head/16, mm 784 *mm_struct, active_mm 792 *mm_struct, pid 960 pid_t/4,
  tgid 964 pid_t/4, real_parent 968 *task_struct, pids 1072 pid_link[4], thread_node 1168 list_head/16, comm 1400 char/1[16],
  files 1456 *files_struct, signal 1472 *signal_struct, cgroups 1696 *css_set, cg_list 1704 list_head/16
upid 32: nr 0 int/4, ns 8 *pid_namespace, pid_chain 16 hlist_node/16
pid 104: level 4 unsigned_int/4, tasks 8 hlist_head/8[4], numbers 72 upid[1]
`;

/** Declarations of a kernel, by name. */
export type Declarations = ReadonlyMap<string, string>;

function declarations(table: string, base: Declarations = new Map()): Declarations {
  const lines = table
    .trim()
    .replace(/\n {2}/g, ' ')
    .split('\n');
  const all = new Map(base);
  for (const line of lines) {
    const name = /^(enum )?[\w{}]+/.exec(line)![0];
    if (name === line) all.delete(name);
    else all.set(name, line);
  }
  return all;
}

const FIVE_FOUR = declarations(LINUX_5_4);
const FOUR_EIGHTEEN = declarations(LINUX_4_18, FIVE_FOUR);
export const DECLARED = {
  '4.14': declarations(LINUX_4_14, FOUR_EIGHTEEN),
  '4.18': FOUR_EIGHTEEN,
  '5.4': FIVE_FOUR,
} as const;

/** A member and its nested members, with their paths. */
interface Node {
  type?: string;
  offset: number;
  readonly inner: Map<string, Node>;
}

/** The same types as BTF. */
export function declaredBtf(table: Declarations): Uint8Array {
  const btf = new BtfWriter();
  const known = new Map<string, number>();
  const remember = (key: string, make: () => number): number => {
    const id = known.get(key) ?? make();
    known.set(key, id);
    return id;
  };
  const isStruct = (name: string) => table.has(name);
  const struct = (key: string): number =>
    remember(key, () => {
      const [, name, size, members] = /^(\w+)\S* (\d+): (.*)$/.exec(table.get(key)!)!;
      const root: Node = { offset: 0, inner: new Map() };
      for (const written of members!.split(', ')) {
        const [path, offset, type] = written.split(' ');
        let node = root;
        for (const step of path!.split('.')) {
          if (!node.inner.has(step)) node.inner.set(step, { offset: node.offset, inner: new Map() });
          node = node.inner.get(step)!;
        }
        Object.assign(node, { offset: Number(offset), type });
      }
      return btf.struct(name!, Number(size), membersOf(root));
    });
  const membersOf = (node: Node): WrittenMember[] =>
    [...node.inner].map(([name, one]): WrittenMember => {
      const [, type, bit, bits] = /^(.*?)(?::(\d+):(\d+))?$/.exec(one.type ?? '')!;
      const bitOffset = (one.offset - node.offset) * 8 + Number(bit ?? 0);
      const written = { name, type: typeOf(type!, one), bitOffset };
      return bits === undefined ? written : { ...written, bits: Number(bits) };
    });
  const typeOf = (text: string, node: Node): number => {
    const [, type, count] = /^(.*?)(?:\[(\d+)\])?$/.exec(text)!;
    const id = elementOf(type!, node);
    return count === undefined ? id : btf.array(id, Number(count));
  };
  const elementOf = (type: string, node: Node): number => {
    if (type.startsWith('*')) {
      const pointee = type.slice(1);
      return remember(type, () => btf.pointer(pointee === '' ? 0 : btf.forward(pointee)));
    }
    if (isStruct(type)) return struct(type);
    const [name = '', size = '0'] = type.split('/');
    const spelled = name.replaceAll('_', ' ');
    if (node.inner.size > 0) {
      const inner = membersOf(node);
      const end = Math.max(...inner.map(({ bitOffset }) => bitOffset / 8)) + 64;
      return btf.struct(name, Number(size) || end, inner);
    }
    return remember(type, () =>
      [1, 2, 4, 8].includes(Number(size)) ? btf.int(spelled, Number(size)) : btf.struct(name, Number(size), []),
    );
  };
  for (const [name, line] of table) {
    if (!name.startsWith('enum ')) {
      struct(name);
      continue;
    }
    const values: Record<string, number> = {};
    let next = 0;
    for (const written of line.slice(line.indexOf(': ') + 2).split(', ')) {
      const [key, value] = written.split('=');
      values[key!] = value === undefined ? next : Number(value);
      next = values[key!]! + 1;
    }
    btf.enum(name.slice('enum '.length), values);
  }
  return btf.build();
}
