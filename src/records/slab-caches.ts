/** What is known of a slab cache by its name. */
export interface SlabCache {
  readonly subsystem: string;
  /** What its objects are, and what creates them. */
  readonly objects: string;
  /** The usual cause when it is large. */
  readonly cause: string;
  /** A command that shows the owner. */
  readonly command: string;
  /** The file that creates the cache. */
  readonly source: string;
}

type Row = readonly [objects: string, source: string, cause?: string, command?: string];

/** A subsystem: rows without a cause or command of their own have those of all. */
function subsystem(
  name: string,
  cause: string,
  command: string,
  rows: Readonly<Record<string, Row>>,
): [name: string, cache: SlabCache][] {
  return Object.entries(rows).map(([cache, [objects, source, ownCause = cause, ownCommand = command]]) => [
    cache,
    { subsystem: name, objects, cause: ownCause, command: ownCommand, source },
  ]);
}

const FILES = 'a program that reads or looks up many files (backup, find, updatedb, monitoring)';
const DISK_USE = 'much metadata was read or changed; the kernel frees it when memory is short';
const OPEN = 'a process that opens files and does not close them';
const SOCKETS = 'many connections, or a process that does not close its sockets';
const THREADS = 'many processes or threads, or zombies that are not reaped';
const MAPPINGS = 'processes with very many mappings, or very many processes';
const LEAK = 'a driver or a subsystem of the kernel that leaks, or many small objects of one kind';

/** Caches by name, without the part of a family that is a size. Kernel sources unless a module is named. */
const TABLE: ReadonlyMap<string, SlabCache> = new Map([
  ...subsystem('VFS', FILES, 'cat /proc/sys/fs/dentry-state /proc/sys/fs/inode-nr', {
    dentry: [
      'names of files and folders, also of ones that do not exist (negative dentries)',
      'fs/dcache.c',
      'a program that looks up many names, often missing ones; the fifth figure of dentry-state counts negative dentries',
    ],
    inode_cache: ['inodes of file systems without a cache of their own (sysfs, pipes, debugfs)', 'fs/inode.c'],
    names_cache: [
      'path names during system calls',
      'fs/namei.c',
      'many tasks blocked in path lookups',
      'kdump-mem blocked --live',
    ],
    mnt_cache: [
      'mounts, once in each mount namespace',
      'fs/namespace.c',
      'many containers, or mounts that propagate into each other',
      'lsns -t mnt',
    ],
    proc_inode_cache: ['inodes of /proc', 'fs/proc/inode.c', 'monitoring that reads /proc of all processes'],
    proc_dir_entry: [
      'entries of /proc, such as those of network namespaces',
      'fs/proc/generic.c',
      'many network namespaces',
      'lsns -t net',
    ],
    pde_opener: ['open files of /proc', 'fs/proc/inode.c', OPEN, 'lsof -nP'],
    kernfs_node_cache: [
      'files of sysfs and of cgroups',
      'fs/kernfs/mount.c',
      'many cgroups, devices or slab caches',
      'cat /sys/fs/cgroup/cgroup.stat',
    ],
    kernfs_iattrs_cache: [
      'changed attributes of files of sysfs and cgroups',
      'fs/kernfs/mount.c',
      'many cgroups with a changed owner',
      'cat /sys/fs/cgroup/cgroup.stat',
    ],
    debugfs_inode_cache: ['inodes of debugfs', 'fs/debugfs/inode.c'],
    tracefs_inode_cache: ['inodes of tracefs', 'fs/tracefs/inode.c', 'a tool that walks /sys/kernel/tracing'],
    configfs_dir_cache: ['folders of configfs', 'fs/configfs/mount.c'],
    bdev_cache: ['inodes of block devices', 'block/bdev.c', 'many block devices or loop mounts', 'lsblk'],
    shmem_inode_cache: [
      'inodes of tmpfs, memfds and System V segments',
      'mm/shmem.c',
      'many small files in tmpfs, or memfds that stay open',
      'df -i -t tmpfs',
    ],
    hugetlbfs_inode_cache: ['inodes of hugetlbfs', 'fs/hugetlbfs/inode.c'],
    mqueue_inode_cache: [
      'POSIX message queues',
      'ipc/mqueue.c',
      'queues that programs do not unlink',
      'ls /dev/mqueue',
    ],
    buffer_head: [
      'blocks of page cache pages',
      'fs/buffer.c',
      'much page cache of a file system with blocks smaller than a page; freed with its pages',
      'kdump-mem memory --live',
    ],
    mb_cache_entry: ['cached extended attributes', 'fs/mbcache.c', DISK_USE],
    dquot: ['disk quotas by user', 'fs/quota/dquot.c', 'quotas with many users', 'repquota -a'],
    dax_cache: ['inodes of DAX devices', 'drivers/dax/super.c'],
  }),
  ...subsystem('Open files', OPEN, 'cat /proc/sys/fs/file-nr; lsof -nP', {
    filp: ['open files', 'fs/file_table.c'],
    bfilp: ['files that back others (overlayfs, FUSE passthrough)', 'fs/file_table.c'],
    files_cache: ['descriptor tables', 'kernel/fork.c', THREADS],
    fs_cache: ['root and current folder of processes', 'kernel/fork.c', THREADS],
    seq_file: ['open files of /proc and /sys', 'fs/seq_file.c'],
    file_lock_cache: [
      'locks of files (flock, fcntl)',
      'fs/locks.c',
      'a file server, or a program that locks many ranges',
      'lslocks',
    ],
    file_lock_ctx: ['lists of locks by inode', 'fs/locks.c', 'a program that locks many files', 'lslocks'],
    file_lease_cache: ['leases of files', 'fs/locks.c', 'a file server (NFS, Samba)', 'cat /proc/locks'],
    fasync_cache: ['requests of signals for descriptors (O_ASYNC)', 'fs/fcntl.c'],
    eventpoll_epi: ['descriptors in an epoll instance', 'fs/eventpoll.c', 'servers with many connections'],
    eventpoll_pwq: ['wait queues of epoll', 'fs/eventpoll.c', 'servers with many connections'],
    ep_head: ['files in an epoll instance', 'fs/eventpoll.c', 'servers with many connections'],
    inotify_inode_mark: [
      'watches of inotify',
      'fs/notify/inotify/inotify_user.c',
      'a program that watches a large tree (an editor, a build, a sync client)',
      'grep -c ^inotify /proc/[0-9]*/fdinfo/*',
    ],
    fanotify_perm_event: [
      'questions to a virus scanner',
      'fs/notify/fanotify/fanotify_user.c',
      'a scanner that does not answer',
      'kdump-mem blocked --live',
    ],
    fanotify_path_event: [
      'events of fanotify that are not read',
      'fs/notify/fanotify/fanotify_user.c',
      'a virus scanner that does not read its queue',
      'grep -l ^fanotify /proc/[0-9]*/fdinfo/*',
    ],
    fanotify_fid_event: [
      'events of fanotify that are not read, with file handles',
      'fs/notify/fanotify/fanotify_user.c',
      'a program that watches a file system and does not read its queue',
      'grep -l ^fanotify /proc/[0-9]*/fdinfo/*',
    ],
    fanotify_mark: [
      'marks of fanotify',
      'fs/notify/fanotify/fanotify_user.c',
      'a virus scanner',
      'grep -l ^fanotify /proc/[0-9]*/fdinfo/*',
    ],
    fsnotify_mark_connector: [
      'inodes with marks',
      'fs/notify/fsnotify.c',
      'many watches of inotify or fanotify',
      'grep -c ^inotify /proc/[0-9]*/fdinfo/*',
    ],
    dnotify_struct: ['watches of dnotify', 'fs/notify/dnotify/dnotify.c'],
    kioctx: ['contexts of asynchronous I/O', 'fs/aio.c', 'a database or virtual machines', 'cat /proc/sys/fs/aio-nr'],
    aio_kiocb: ['requests of asynchronous I/O', 'fs/aio.c', 'slow disks with deep queues', 'cat /proc/sys/fs/aio-nr'],
    io_kiocb: [
      'requests of io_uring',
      'io_uring/io_uring.c',
      'a program with many pending requests',
      'kdump-mem procs --live --sort pinned',
    ],
  }),
  ...subsystem('ext4', FILES, 'cat /proc/sys/fs/inode-nr; df -i -t ext4', {
    ext4_inode_cache: ['inodes of ext4', 'fs/ext4/super.c'],
    ext4_extent_status: [
      'ranges of files in ext4',
      'fs/ext4/extents_status.c',
      'large or fragmented files; freed when memory is short',
    ],
    extent_status: [
      'ranges of files in ext4',
      'fs/ext4/extents_status.c',
      'large or fragmented files; freed when memory is short',
    ],
    pending_reservation: ['reservations of bigalloc', 'fs/ext4/extents_status.c', DISK_USE],
    bio_post_read_ctx: ['decryption and verification of reads (ext4, F2FS)', 'fs/ext4/readpage.c'],
    ext4_allocation_context: ['block allocations in progress', 'fs/ext4/mballoc.c', DISK_USE],
    ext4_prealloc_space: ['preallocated blocks', 'fs/ext4/mballoc.c', DISK_USE],
    ext4_free_data: [
      'freed blocks until the journal commits',
      'fs/ext4/mballoc.c',
      'much was deleted, or the journal does not commit',
      'kdump-mem blocked --live',
    ],
    'ext4_groupinfo_*': ['block groups', 'fs/ext4/mballoc.c', 'a large file system: it stays until it is unmounted'],
    ext4_io_end: ['writes in progress', 'fs/ext4/page-io.c', 'a slow disk', 'kdump-mem blocked --live'],
    jbd2_journal_head: [
      'buffers in the journal',
      'fs/jbd2/journal.c',
      'many metadata changes that are not written back',
      'grep Dirty /proc/meminfo',
    ],
    jbd2_journal_handle: ['open handles of the journal', 'fs/jbd2/journal.c', DISK_USE],
    jbd2_inode: ['inodes of a transaction', 'fs/jbd2/journal.c', DISK_USE],
    jbd2_transaction_s: ['transactions of the journal', 'fs/jbd2/transaction.c', DISK_USE],
    jbd2_revoke_record_s: ['revoked blocks', 'fs/jbd2/revoke.c', 'many files were deleted'],
    jbd2_revoke_table_s: ['tables of revoked blocks', 'fs/jbd2/revoke.c', DISK_USE],
  }),
  ...subsystem('XFS', FILES, 'cat /proc/sys/fs/inode-nr; df -i -t xfs', {
    xfs_inode: ['inodes of XFS', 'fs/xfs/xfs_super.c'],
    xfs_ili: ['inodes with changes in the log', 'fs/xfs/xfs_super.c', 'many changed inodes that are not written back'],
    xfs_ifork: ['extent lists of inodes', 'fs/xfs/xfs_super.c', 'files with many extents'],
    xfs_buf: ['metadata buffers', 'fs/xfs/xfs_super.c', DISK_USE],
    xfs_buf_item: ['metadata buffers in the log', 'fs/xfs/xfs_super.c', DISK_USE],
    xfs_trans: ['transactions', 'fs/xfs/xfs_super.c', 'tasks that wait for log space', 'kdump-mem blocked --live'],
    xfs_log_ticket: [
      'reservations of log space',
      'fs/xfs/xfs_super.c',
      'tasks that wait for log space',
      'kdump-mem blocked --live',
    ],
    xfs_da_state: ['walks of folders and attributes', 'fs/xfs/xfs_super.c', DISK_USE],
    xfs_efi_item: ['extents that are being freed', 'fs/xfs/xfs_super.c', 'large files were deleted'],
    xfs_efd_item: ['extents that were freed', 'fs/xfs/xfs_super.c', 'large files were deleted'],
  }),
  ...subsystem('Btrfs', FILES, 'btrfs filesystem usage MOUNTPOINT', {
    btrfs_inode: ['inodes of Btrfs', 'fs/btrfs/inode.c'],
    btrfs_extent_map: ['ranges of files', 'fs/btrfs/extent_map.c', 'large files with direct I/O or many extents'],
    btrfs_extent_buffer: ['metadata blocks', 'fs/btrfs/extent_io.c', DISK_USE],
    btrfs_extent_state: ['locked or dirty ranges', 'fs/btrfs/extent-io-tree.c', DISK_USE],
    btrfs_delayed_node: ['inodes with delayed changes', 'fs/btrfs/delayed-inode.c', DISK_USE],
    btrfs_delayed_ref_head: [
      'delayed references of extents',
      'fs/btrfs/delayed-ref.c',
      'snapshots that are being deleted',
    ],
    btrfs_ordered_extent: ['writes in progress', 'fs/btrfs/ordered-data.c', 'a slow disk', 'kdump-mem blocked --live'],
    btrfs_free_space: ['free ranges of block groups', 'fs/btrfs/inode.c', 'a large fragmented file system'],
    btrfs_path: ['walks of trees', 'fs/btrfs/ctree.c', DISK_USE],
  }),
  ...subsystem('Network and other file systems', FILES, 'cat /proc/sys/fs/inode-nr; mount', {
    nfs_inode_cache: ['inodes of NFS', 'fs/nfs/inode.c', FILES, 'nfsstat -c'],
    nfs_page: [
      'pages that NFS reads or writes',
      'fs/nfs/pagelist.c',
      'a server that responds slowly',
      'nfsstat -c; kdump-mem blocked --live',
    ],
    nfs_write_data: [
      'writes of NFS',
      'fs/nfs/write.c',
      'a server that responds slowly',
      'nfsstat -c; kdump-mem blocked --live',
    ],
    nfs_read_data: [
      'reads of NFS',
      'fs/nfs/read.c',
      'a server that responds slowly',
      'nfsstat -c; kdump-mem blocked --live',
    ],
    nfs_commit_data: ['commits of NFS', 'fs/nfs/write.c', 'a server that responds slowly', 'nfsstat -c'],
    nfsd_file: [
      'open files of the NFS server',
      'fs/nfsd/filecache.c',
      'many clients or files',
      'cat /proc/fs/nfsd/filecache',
    ],
    nfsd4_stateids: [
      'open, lock and delegation states of NFSv4 clients',
      'fs/nfsd/nfs4state.c',
      'clients that disappeared, or many delegations',
      'ls /proc/fs/nfsd/clients',
    ],
    rpc_tasks: [
      'calls of SunRPC',
      'net/sunrpc/sched.c',
      'a server that does not respond',
      'cat /sys/kernel/debug/sunrpc/rpc_clnt/*/tasks',
    ],
    rpc_inode_cache: ['inodes of rpc_pipefs', 'net/sunrpc/rpc_pipe.c'],
    cifs_inode_cache: ['inodes of SMB', 'fs/smb/client/cifsfs.c', FILES, 'cat /proc/fs/cifs/Stats'],
    cifs_request: [
      'buffers of SMB',
      'fs/smb/client/cifsfs.c',
      'a server that responds slowly',
      'cat /proc/fs/cifs/DebugData',
    ],
    ceph_inode_info: ['inodes of Ceph', 'fs/ceph/super.c', FILES, 'cat /sys/kernel/debug/ceph/*/caps'],
    ceph_cap: ['capabilities of Ceph', 'fs/ceph/super.c', FILES, 'cat /sys/kernel/debug/ceph/*/caps'],
    fuse_inode: ['inodes of FUSE', 'fs/fuse/inode.c', FILES, 'mount -t fuse'],
    fuse_request: [
      'requests of FUSE',
      'fs/fuse/dev.c',
      'a FUSE server that does not answer',
      'cat /sys/fs/fuse/connections/*/waiting',
    ],
    ovl_inode: [
      'inodes of overlayfs, beside those of its layers',
      'fs/overlayfs/super.c',
      'containers that read many files',
    ],
    squashfs_inode_cache: ['inodes of squashfs', 'fs/squashfs/super.c', 'snaps or images that are searched'],
    'erofs_pcluster-*': ['compressed blocks of EROFS', 'fs/erofs/zdata.c', 'images that are searched'],
    erofs_inode: ['inodes of EROFS', 'fs/erofs/super.c', 'images that are searched'],
    f2fs_inode_cache: ['inodes of F2FS', 'fs/f2fs/super.c'],
    fat_inode_cache: ['inodes of FAT', 'fs/fat/inode.c'],
    isofs_inode_cache: ['inodes of ISO 9660', 'fs/isofs/inode.c'],
    v9fs_inode_cache: ['inodes of 9p', 'fs/9p/v9fs.c', 'a shared folder that is searched', 'mount -t 9p'],
    gfs2_inode: ['inodes of GFS2', 'fs/gfs2/main.c'],
    gfs2_glock: ['cluster locks of GFS2', 'fs/gfs2/main.c'],
    ocfs2_inode_cache: ['inodes of OCFS2', 'fs/ocfs2/super.c'],
    fscrypt_inode_info: ['keys of encrypted inodes', 'fs/crypto/crypto.c'],
  }),
  ...subsystem('OpenZFS', 'the cache of ZFS (ARC); it shrinks to c_min when memory is short', 'arc_summary', {
    arc_buf_hdr_t_full: ['headers of the ARC', 'OpenZFS: module/zfs/arc.c'],
    arc_buf_t: ['buffers of the ARC', 'OpenZFS: module/zfs/arc.c'],
    abd_t: ['descriptors of buffers', 'OpenZFS: module/os/linux/zfs/abd_os.c'],
    dnode_t: ['objects of a dataset', 'OpenZFS: module/zfs/dnode.c'],
    dmu_buf_impl_t: ['buffers of objects in use', 'OpenZFS: module/zfs/dbuf.c'],
    zfs_znode_cache: ['inodes of ZFS', 'OpenZFS: module/os/linux/zfs/zfs_znode_os.c', FILES],
    'zio_buf_*': ['buffers of metadata', 'OpenZFS: module/zfs/zio.c'],
    'zio_data_buf_*': ['buffers of data', 'OpenZFS: module/zfs/zio.c'],
    zio_cache: ['I/O in progress', 'OpenZFS: module/zfs/zio.c', 'slow disks', 'zpool iostat -v'],
  }),
  ...subsystem('Memory mappings', MAPPINGS, 'kdump-mem procs --live --sort rss', {
    vm_area_struct: [
      'mappings of processes',
      'kernel/fork.c (mm/vma_init.c)',
      MAPPINGS,
      'wc -l /proc/[0-9]*/maps | sort -n | tail',
    ],
    vma_lock: [
      'locks of mappings (6.4 to 6.14)',
      'kernel/fork.c',
      MAPPINGS,
      'wc -l /proc/[0-9]*/maps | sort -n | tail',
    ],
    maple_node: ['trees of mappings', 'lib/maple_tree.c', MAPPINGS, 'wc -l /proc/[0-9]*/maps | sort -n | tail'],
    mm_struct: ['address spaces', 'kernel/fork.c', THREADS],
    anon_vma: ['owners of anonymous memory', 'mm/rmap.c', 'processes that fork deeply or map often'],
    anon_vma_chain: [
      'links of mappings to owners of anonymous memory',
      'mm/rmap.c',
      'a server that forks many workers from a large parent',
    ],
    'page->ptl': [
      'locks of page tables',
      'mm/memory.c',
      'many page tables',
      'kdump-mem procs --live --sort page-tables',
    ],
    mm_slot: ['processes that khugepaged scans', 'mm/khugepaged.c', THREADS],
    khugepaged_mm_slot: ['processes that khugepaged scans', 'mm/khugepaged.c', THREADS],
    ksm_rmap_item: [
      'pages that KSM merges or scans',
      'mm/ksm.c',
      'virtual machines with KSM',
      'grep . /sys/kernel/mm/ksm/*',
    ],
    ksm_stable_node: ['merged pages of KSM', 'mm/ksm.c', 'virtual machines with KSM', 'grep . /sys/kernel/mm/ksm/*'],
    numa_policy: [
      'NUMA policies',
      'mm/mempolicy.c',
      'programs that call mbind for many ranges',
      'cat /proc/PID/numa_maps',
    ],
    shared_policy_node: [
      'NUMA policies of shared memory',
      'mm/mempolicy.c',
      'a database with mbind on shared memory',
      'cat /proc/PID/numa_maps',
    ],
    userfaultfd_ctx_cache: [
      'contexts of userfaultfd',
      'fs/userfaultfd.c',
      'migration or snapshots of virtual machines',
    ],
    vmap_area: [
      'areas of vmalloc',
      'mm/vmalloc.c',
      'many threads, BPF programs or modules',
      'kdump-mem memory --live --vmalloc',
    ],
  }),
  ...subsystem('Memory management', LEAK, 'kdump-mem leaks', {
    radix_tree_node: [
      'indexes of the page cache and other maps (xarray, IDR)',
      'lib/radix-tree.c',
      'many cached files, mostly small or sparse; freed when memory is short',
      'kdump-mem memory --live',
    ],
    kmem_cache: [
      'slab caches',
      'mm/slab_common.c',
      'many modules; before 5.9 a cache for each cgroup',
      'cat /proc/slabinfo',
    ],
    kmem_cache_node: ['slab caches by NUMA node', 'mm/slub.c', 'many slab caches', 'cat /proc/slabinfo'],
    mem_cgroup: [
      'memory cgroups, removed ones included',
      'mm/memcontrol.c',
      'many cgroups, or removed cgroups that memory keeps',
      'cat /sys/fs/cgroup/cgroup.stat',
    ],
    mem_cgroup_per_node: [
      'memory cgroups by NUMA node',
      'mm/memcontrol.c',
      'many cgroups, or removed cgroups that memory keeps',
      'cat /sys/fs/cgroup/cgroup.stat',
    ],
    zswap_entry: ['pages in zswap', 'mm/zswap.c', 'much swap in use', 'grep -i zswap /proc/meminfo'],
    'zspage*': ['blocks of zsmalloc', 'mm/zsmalloc.c', 'much data in zram or zswap', 'cat /sys/block/zram*/mm_stat'],
    'zs_handle*': [
      'objects of zsmalloc',
      'mm/zsmalloc.c',
      'much data in zram or zswap',
      'cat /sys/block/zram*/mm_stat',
    ],
    kmemleak_object: [
      'allocations that kmemleak tracks',
      'mm/kmemleak.c',
      'a kernel with kmemleak: one for each object',
      'dmesg',
    ],
    debug_objects_cache: ['objects that debugobjects tracks', 'lib/debugobjects.c', 'a debug kernel'],
    damon_region_cache: ['regions of DAMON', 'mm/damon/core.c'],
    'kmalloc-*': ['allocations of kmalloc up to that size, of any subsystem', 'mm/slab_common.c'],
    'kmalloc-cg-*': [
      'allocations of kmalloc that are charged to a cgroup (GFP_KERNEL_ACCOUNT)',
      'mm/slab_common.c',
      'objects that programs create: pipes, message queues, descriptors, BPF, network namespaces',
      'kdump-mem leaks',
    ],
    'kmalloc-rcl-*': [
      'reclaimable allocations of kmalloc, such as long file names',
      'mm/slab_common.c',
      FILES,
      'cat /proc/sys/fs/dentry-state',
    ],
    'kmalloc-rnd-*': ['allocations of kmalloc, in one of 16 random copies', 'mm/slab_common.c'],
    'dma-kmalloc-*': ['allocations of kmalloc from ZONE_DMA', 'mm/slab_common.c', 'an old driver'],
    'memdup_user-*': ['copies of buffers of user space (memdup_user)', 'mm/util.c', 'calls with large arguments'],
    'msg_msg-*': [
      'System V and POSIX messages that are not received',
      'ipc/msgutil.c',
      'a queue whose receiver does not read',
      'ipcs -q',
    ],
  }),
  ...subsystem('Processes', THREADS, 'kdump-mem procs --live --sort threads', {
    task_struct: ['threads', 'kernel/fork.c'],
    signal_cache: ['processes', 'kernel/fork.c'],
    sighand_cache: ['signal handlers of processes', 'kernel/fork.c'],
    sigqueue: [
      'pending signals and POSIX timers',
      'kernel/signal.c',
      'signals that a process blocks',
      'grep SigQ /proc/[0-9]*/status',
    ],
    cred: ['credentials of threads and open files', 'kernel/cred.c', 'many threads or open files'],
    cred_jar: ['credentials of threads and open files', 'kernel/cred.c', 'many threads or open files'],
    pid: ['process ids, also of exited processes that a descriptor keeps', 'kernel/pid.c'],
    pid_namespace: ['pid namespaces', 'kernel/pid_namespace.c', 'many containers', 'lsns -t pid'],
    thread_stack: ['kernel stacks smaller than a page', 'kernel/fork.c'],
    task_group: [
      'groups of the scheduler, one for each cgroup',
      'kernel/sched/core.c',
      'many cgroups',
      'cat /sys/fs/cgroup/cgroup.stat',
    ],
    task_delay_info: ['delay accounting of threads', 'kernel/delayacct.c'],
    taskstats: ['statistics of exited threads', 'kernel/taskstats.c'],
    posix_timers_cache: [
      'POSIX timers',
      'kernel/time/posix-timers.c',
      'a process that does not delete its timers',
      'grep -c ^ID /proc/[0-9]*/timers',
    ],
    nsproxy: ['sets of namespaces', 'kernel/nsproxy.c', 'many containers', 'lsns'],
    uts_namespace: ['host names of namespaces', 'kernel/utsname.c', 'many containers', 'lsns -t uts'],
    user_namespace: ['user namespaces', 'kernel/user_namespace.c', 'many containers or sandboxes', 'lsns -t user'],
    uid_cache: ['users with processes', 'kernel/user.c', 'many user ids'],
    key_jar: ['keys and keyrings', 'security/keys/key.c', 'keys that are not revoked', 'cat /proc/key-users'],
    perf_event: [
      'performance events',
      'kernel/events/core.c',
      'a profiler with an event for each CPU or process',
      'lsof -nP',
    ],
    ftrace_event_field: [
      'fields of trace events',
      'kernel/trace/trace_events.c',
      'many modules with trace events',
      'ls /sys/kernel/tracing/events',
    ],
    trace_event_file: [
      'trace events of tracing instances',
      'kernel/trace/trace_events.c',
      'many tracing instances',
      'ls /sys/kernel/tracing/instances',
    ],
    pool_workqueue: [
      'workqueues',
      'kernel/workqueue.c',
      'many devices or file systems',
      'ls /sys/devices/virtual/workqueue',
    ],
    audit_buffer: ['audit records', 'kernel/audit.c', 'auditd does not read', 'auditctl -s'],
    avc_node: [
      'cached decisions of SELinux',
      'security/selinux/avc.c',
      'many labels',
      'cat /sys/fs/selinux/avc/cache_stats',
    ],
    ebitmap_node: [
      'the policy of SELinux',
      'security/selinux/ss/ebitmap.c',
      'a large policy, which does not grow',
      'seinfo',
    ],
    avtab_node: ['rules of SELinux', 'security/selinux/ss/avtab.c', 'a large policy, which does not grow', 'seinfo'],
    lsm_file_cache: ['open files for security modules', 'security/security.c', OPEN, 'cat /proc/sys/fs/file-nr'],
    lsm_inode_cache: ['inodes for security modules', 'security/security.c', FILES, 'cat /proc/sys/fs/inode-nr'],
    iint_cache: [
      'inodes that IMA measured',
      'security/integrity/iint.c',
      FILES,
      'cat /sys/kernel/security/ima/runtime_measurements_count',
    ],
  }),
  ...subsystem('Sockets', SOCKETS, 'ss -s; skcheck', {
    TCP: ['TCP sockets over IPv4', 'net/ipv4/tcp_ipv4.c'],
    TCPv6: ['TCP sockets over IPv6', 'net/ipv6/tcp_ipv6.c'],
    UDP: ['UDP sockets over IPv4', 'net/ipv4/udp.c'],
    UDPv6: ['UDP sockets over IPv6', 'net/ipv6/udp.c'],
    RAW: ['raw sockets over IPv4', 'net/ipv4/raw.c'],
    RAWv6: ['raw sockets over IPv6', 'net/ipv6/raw.c'],
    PING: ['ICMP sockets', 'net/ipv4/ping.c'],
    MPTCP: ['MPTCP sockets', 'net/mptcp/protocol.c'],
    MPTCPv6: ['MPTCP sockets over IPv6', 'net/mptcp/protocol.c'],
    UNIX: ['unix sockets', 'net/unix/af_unix.c'],
    'UNIX-STREAM': ['unix stream sockets', 'net/unix/af_unix.c'],
    AF_VSOCK: ['sockets between guest and host', 'net/vmw_vsock/af_vsock.c'],
    SCTP: ['SCTP sockets', 'net/sctp/socket.c'],
    sock_inode_cache: ['sockets of all families', 'net/socket.c'],
    request_sock_TCP: [
      'connections whose handshake is not complete',
      'net/ipv4/tcp_ipv4.c (net/core/sock.c)',
      'a SYN flood, or a server that does not accept',
      'ss -n state syn-recv',
    ],
    request_sock_TCPv6: [
      'connections whose handshake is not complete',
      'net/ipv6/tcp_ipv6.c (net/core/sock.c)',
      'a SYN flood, or a server that does not accept',
      'ss -n state syn-recv',
    ],
    request_sock_subflow_v4: [
      'handshakes of MPTCP',
      'net/mptcp/subflow.c',
      'a SYN flood, or a server that does not accept',
      'ss -n state syn-recv',
    ],
    tw_sock_TCP: [
      'closed connections in TIME-WAIT',
      'net/ipv4/tcp_ipv4.c (net/core/sock.c)',
      'many short connections',
      'ss -s',
    ],
    tw_sock_TCPv6: [
      'closed connections in TIME-WAIT',
      'net/ipv6/tcp_ipv6.c (net/core/sock.c)',
      'many short connections',
      'ss -s',
    ],
    tcp_bind_bucket: ['local ports of TCP', 'net/ipv4/tcp.c'],
    tcp_bind2_bucket: ['local addresses and ports of TCP', 'net/ipv4/tcp.c'],
  }),
  ...subsystem('Packets', 'queues that a process does not read, or a peer that does not acknowledge', 'skcheck', {
    skbuff_head_cache: ['packets, mostly in socket queues', 'net/core/skbuff.c'],
    skbuff_fclone_cache: ['packets of TCP that wait for acknowledgement', 'net/core/skbuff.c'],
    skbuff_small_head: ['headers of packets', 'net/core/skbuff.c'],
    skbuff_ext_cache: ['extensions of packets (IPsec, bridges, MPTCP)', 'net/core/skbuff.c'],
    sctp_chunk: ['chunks of SCTP', 'net/sctp/protocol.c'],
    'ip4-frags': [
      'fragments of IPv4 that are not complete',
      'net/ipv4/ip_fragment.c',
      'lost or forged fragments',
      'nstat -az IpReasm*',
    ],
    'ip6-frags': [
      'fragments of IPv6 that are not complete',
      'net/ipv6/reassembly.c',
      'lost or forged fragments',
      'nstat -az Ip6Reasm*',
    ],
  }),
  ...subsystem('Routing and filters', 'many routes, peers or namespaces', 'ip -s route show table all | wc -l', {
    ip_dst_cache: [
      'routes in use over IPv4',
      'net/ipv4/route.c',
      'many peers, or a leak of references (unregister_netdevice waits)',
      'ip route show cache',
    ],
    ip6_dst_cache: [
      'routes in use over IPv6',
      'net/ipv6/route.c',
      'many peers, or a leak of references',
      'ip -6 route show cache',
    ],
    ip_fib_alias: ['routes of IPv4', 'net/ipv4/fib_trie.c'],
    ip_fib_trie: ['the tree of routes of IPv4', 'net/ipv4/fib_trie.c'],
    fib6_node: ['the tree of routes of IPv6', 'net/ipv6/ip6_fib.c'],
    fib6_nodes: ['the tree of routes of IPv6', 'net/ipv6/ip6_fib.c'],
    inet_peer_cache: ['addresses of peers', 'net/ipv4/inetpeer.c', 'very many clients'],
    net_namespace: [
      'network namespaces',
      'net/core/net_namespace.c',
      'many containers, or namespaces that a socket or mount keeps',
      'lsns -t net',
    ],
    nf_conntrack: [
      'tracked connections',
      'net/netfilter/nf_conntrack_core.c',
      'many connections, or long timeouts',
      'conntrack -C; conntrack -S',
    ],
    nf_conntrack_expect: [
      'expected connections',
      'net/netfilter/nf_conntrack_expect.c',
      'FTP or SIP',
      'conntrack -L expect',
    ],
    ip_vs_conn: [
      'connections of IPVS',
      'net/netfilter/ipvs/ip_vs_conn.c',
      'a load balancer with many clients',
      'ipvsadm -Lnc',
    ],
    xt_hashlimit: [
      'sources of the hashlimit match',
      'net/netfilter/xt_hashlimit.c',
      'many sources',
      'ls /proc/net/ipt_hashlimit',
    ],
    sw_flow: ['flows of Open vSwitch', 'net/openvswitch/flow_table.c', 'many flows', 'ovs-dpctl dump-flows'],
    bridge_fdb_cache: [
      'addresses that bridges learned',
      'net/bridge/br_fdb.c',
      'many hosts or containers',
      'bridge fdb show | wc -l',
    ],
    xfrm_dst: ['routes through IPsec', 'net/xfrm/xfrm_policy.c', 'many tunnels or peers', 'ip -s xfrm state count'],
    xfrm_dst_cache: [
      'routes through IPsec',
      'net/xfrm/xfrm_policy.c',
      'many tunnels or peers',
      'ip -s xfrm state count',
    ],
    xfrm_state: ['states of IPsec', 'net/xfrm/xfrm_state.c', 'states that do not expire', 'ip -s xfrm state count'],
    secpath_cache: ['packets decrypted by IPsec', 'net/xfrm/xfrm_input.c', 'queues that are not read', 'skcheck'],
  }),
  ...subsystem(
    'Block devices',
    'much I/O in progress: slow or failing disks',
    'cat /sys/block/*/inflight; kdump-mem blocked --live',
    {
      'bio-*': ['block I/O requests', 'block/bio.c'],
      'biovec-*': ['page lists of large block I/O', 'block/bio.c'],
      bio_integrity_payload: ['checksums of block I/O', 'block/bio-integrity.c'],
      blkdev_ioc: ['I/O contexts of threads', 'block/blk-ioc.c', THREADS],
      bfq_io_cq: ['I/O contexts of BFQ', 'block/bfq-iosched.c', THREADS],
      bfq_queue: ['queues of BFQ', 'block/bfq-iosched.c', THREADS],
      request_queue: ['block devices', 'block/blk-core.c', 'many block devices', 'lsblk'],
      scsi_sense_cache: ['sense data of SCSI requests', 'drivers/scsi/scsi_lib.c'],
      'sgpool-*': ['scatter lists of SCSI requests', 'lib/sg_pool.c'],
      dm_bufio_buffer: [
        'metadata of device mapper (verity, thin, integrity)',
        'drivers/md/dm-bufio.c',
        'large volumes of dm-verity or thin',
        'dmsetup status',
      ],
      kcopyd_job: [
        'copies of device mapper',
        'drivers/md/dm-kcopyd.c',
        'snapshots or mirrors that copy',
        'dmsetup status',
      ],
      drbd_req: ['requests of DRBD', 'drivers/block/drbd/drbd_main.c', 'a peer that responds slowly', 'drbdadm status'],
    },
  ),
  ...subsystem('Drivers', LEAK, 'kdump-mem leaks', {
    iommu_iova: ['DMA mappings of the IOMMU', 'drivers/iommu/iova.c', 'a driver that does not unmap its buffers'],
    iommu_iova_magazine: ['cached DMA addresses by CPU', 'drivers/iommu/iova.c', 'many CPUs and devices'],
    'dmaengine-unmap-*': ['DMA transfers', 'drivers/dma/dmaengine.c'],
    'Acpi-Namespace': [
      'names of ACPI tables',
      'drivers/acpi/osl.c (acpica)',
      'large ACPI tables: it is constant',
      'ls /sys/firmware/acpi/tables',
    ],
    'Acpi-Operand': [
      'objects of ACPI',
      'drivers/acpi/osl.c (acpica)',
      'a leak in ACPI methods of the firmware',
      'dmesg',
    ],
    'Acpi-State': [
      'states of ACPI methods',
      'drivers/acpi/osl.c (acpica)',
      'a leak in ACPI methods of the firmware',
      'dmesg',
    ],
    'Acpi-Parse': [
      'parsed ACPI code',
      'drivers/acpi/osl.c (acpica)',
      'a leak in ACPI methods of the firmware',
      'dmesg',
    ],
    i915_request: [
      'requests of Intel GPUs',
      'drivers/gpu/drm/i915/i915_request.c',
      'a process that submits much work',
      'cat /proc/PID/fdinfo/FD',
    ],
    drm_sched_fence: ['jobs of GPUs', 'drivers/gpu/drm/scheduler/sched_fence.c', 'a GPU that hangs', 'dmesg'],
    mlx5_fs_ftes: [
      'flow rules of mlx5',
      'drivers/net/ethernet/mellanox/mlx5/core/fs_core.c',
      'many offloaded flows',
      'tc -s filter show dev DEV ingress',
    ],
    mlx5_fs_fgs: [
      'groups of flow rules of mlx5',
      'drivers/net/ethernet/mellanox/mlx5/core/fs_core.c',
      'many offloaded flows',
      'tc -s filter show dev DEV ingress',
    ],
    kvm_mmu_page_header: [
      'shadow page tables of guests',
      'arch/x86/kvm/mmu/mmu.c',
      'large guests, or nested ones',
      'kdump-mem procs --live --sort rss',
    ],
    pte_list_desc: [
      'reverse mappings of guest pages',
      'arch/x86/kvm/mmu/mmu.c',
      'nested guests, or guests without TDP',
      'kdump-mem procs --live --sort rss',
    ],
    kvm_vcpu: ['virtual CPUs', 'virt/kvm/kvm_main.c', 'many guests', 'kdump-mem procs --live --sort threads'],
  }),
]);

export const SLAB_CACHES: Readonly<Record<string, SlabCache>> = Object.fromEntries(TABLE);

/** Families, the longest name first: kmalloc-cg-64 is no kmalloc-64. */
const FAMILIES = [...TABLE.keys()]
  .filter((name) => name.endsWith('*'))
  .map((name) => name.slice(0, -1))
  .toSorted((a, b) => b.length - a.length);

/**
 * Returns the name in the table of a cache, such as `kmalloc-*`; undefined: it is unknown. Before 5.9 a cgroup has its
 * own copies of caches, `dentry(7:web)`.
 *
 * @param name of /proc/slabinfo, untrusted
 */
export function slabCacheKey(name: string): string | undefined {
  const plain = name.replace(/\(.*\)$/s, '');
  if (TABLE.has(plain) && !plain.endsWith('*')) return plain;
  const family = FAMILIES.find((start) => plain.startsWith(start) && plain.length > start.length);
  // zspage and zs_handle are whole names on older kernels.
  if (family === undefined) return TABLE.has(`${plain}*`) ? `${plain}*` : undefined;
  return `${family}*`;
}
