import { expect, test } from 'vitest';
import { cacheWords } from '../../src/answers/memory/depths/tables.js';
import { SLAB_CACHES, slabCacheKey } from '../../src/records/slab-caches.js';

test.each([
  ['dentry', 'dentry'],
  ['dentry(731:web.service)', 'dentry'],
  ['kmalloc-64', 'kmalloc-*'],
  ['kmalloc-cg-1k', 'kmalloc-cg-*'],
  ['kmalloc-rcl-2k', 'kmalloc-rcl-*'],
  ['kmalloc-rnd-07-64', 'kmalloc-rnd-*'],
  ['dma-kmalloc-96', 'dma-kmalloc-*'],
  ['bio-248', 'bio-*'],
  ['biovec-max', 'biovec-*'],
  ['zspage', 'zspage*'],
  ['zspage-zram0', 'zspage*'],
  ['ext4_groupinfo_4k', 'ext4_groupinfo_*'],
  // No property of objects.
  ['kmalloc-*', 'kmalloc-*'],
  ['constructor', undefined],
  ['__proto__', undefined],
  ['', undefined],
  ['leaky\x1b[2J', undefined],
])('%j is the cache %j', (name, key) => {
  expect(slabCacheKey(name)).toBe(key);
});

/** Names of /proc/slabinfo of a machine with Linux 6.18. */
const NAMES =
  'AF_VSOCK Acpi-State RAW TCP TCPv6 UDP anon_vma anon_vma_chain bdev_cache bfilp bio-120 biovec-128 btrfs_inode buffer_head debugfs_inode_cache dentry dnotify_struct dquot ep_head erofs_inode eventpoll_epi ext4_inode_cache ext4_io_end extent_status files_cache filp fuse_inode fuse_request inode_cache io_kiocb iommu_iova_magazine ip4-frags ip_fib_trie jbd2_journal_head kernfs_node_cache key_jar kmalloc-4k kmem_cache_node kvm_vcpu lsm_inode_cache maple_node mem_cgroup mm_struct mnt_cache mqueue_inode_cache msg_msg-64 net_namespace nf_conntrack numa_policy ovl_inode perf_event pid pool_workqueue proc_inode_cache radix_tree_node request_queue seq_file shmem_inode_cache sighand_cache signal_cache sigqueue skbuff_head_cache skbuff_small_head sock_inode_cache squashfs_inode_cache task_group task_struct trace_event_file tracefs_inode_cache tw_sock_TCP user_namespace vm_area_struct vmap_area xfrm_state xfs_buf xfs_efi_item xfs_ili xfs_inode xt_hashlimit';

test('caches that a machine has are known', () => {
  expect(NAMES.split(' ').filter((name) => slabCacheKey(name) === undefined)).toEqual([]);
});

test('each cache names its source, a cause and a command', () => {
  for (const [name, { subsystem, objects, cause, command, source }] of Object.entries(SLAB_CACHES)) {
    expect(source, name).toMatch(
      /^(?:OpenZFS: module|arch|block|drivers|fs|io_uring|ipc|kernel|lib|mm|net|security|virt)\/[\w./-]+\.c\b/,
    );
    expect(
      [subsystem, objects, cause, command].every((text) => text.length > 2 && !text.endsWith('.')),
      name,
    ).toBe(true);
    // Options of our own commands are those that they have.
    const own = command.split('; ').filter((each) => /^(?:kdump-mem|skcheck)\b/.test(each));
    for (const each of own)
      expect(each, name).toMatch(
        /^(?:skcheck|kdump-mem (?:leaks|blocked --live|memory --live(?: --vmalloc)?|procs --live --sort (?:rss|threads|pinned|page-tables)))$/,
      );
  }
  expect(Object.keys(SLAB_CACHES).length).toBeGreaterThan(200);
});

test('the words of a cache name its owner’s command, and escape its name', () => {
  expect(cacheWords('nf_conntrack')).toBe(
    'nf_conntrack (Routing and filters): tracked connections. Usual cause when large: many connections, or long timeouts. Owner: conntrack -C; conntrack -S',
  );
  expect(cacheWords('dentry(\x1b[2J)')).toMatch(/^dentry\(\\x1b\[2J\) \(VFS\): /);
  expect(cacheWords('unheard_of')).toBeUndefined();
});
