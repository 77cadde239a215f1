import { describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { TextLogReader } from '../../../src/log/reader.js';
import { demangled } from '../../../src/triage/log/crash-fields.js';
import { LogFindings, logFindings } from '../../../src/triage/log/log-findings.js';
import { recordsOf } from './records.js';

const find = (...lines: readonly string[]) =>
  logFindings(recordsOf(lines.map((line) => `<4>[    1.000000] ${line}`).join('\n')), 4096);

/** Lines that kernels from 5.10 to 7.2 print, or that are in their sources. */
const LINES: readonly (readonly [line: string, code: string, figures: object])[] = [
  ['Kernel panic - not syncing: sysrq triggered crash', 'panic', { reason: 'sysrq triggered crash' }],
  [
    'watchdog: BUG: soft lockup - CPU#1 stuck for 9s! [insmod:184]',
    'soft-lockup',
    { cpu: 1, seconds: 9, comm: 'insmod', pid: 184 },
  ],
  [
    'watchdog: BUG: soft lockup - CPU#12 stuck for 23s! [kworker/u8:1:77]',
    'soft-lockup',
    { cpu: 12, comm: 'kworker/u8:1', pid: 77 },
  ],
  ['NMI watchdog: Watchdog detected hard LOCKUP on cpu 3', 'hard-lockup', { cpu: 3 }],
  ['watchdog: Watchdog detected hard LOCKUP on cpu 3', 'hard-lockup', { cpu: 3 }],
  ['watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 3', 'hard-lockup', { cpu: 3 }],
  [
    'BUG: KFENCE: use-after-free read in vfs_read+0x10/0x20',
    'memory-corruption',
    { kasan: 'KFENCE: use-after-free read in vfs_read+0x10/0x20' },
  ],
  [
    'blk_update_request: critical medium error, dev sda, sector 77 op 0x0:(READ) flags 0x0',
    'file-system-error',
    { io: 'critical medium error, dev sda' },
  ],
  [
    'blk_update_request: I/O error, dev sda, sector 77 op 0x0:(READ) flags 0x0',
    'file-system-error',
    { io: 'I/O error, dev sda' },
  ],
  [
    'BTRFS: error (device dm-0) in btrfs_commit_transaction:2444: errno=-5 IO failure',
    'file-system-error',
    { system: 'BTRFS' },
  ],
  [
    'XFS (dm-0): metadata I/O error in "xfs_imap_to_bp+0x61/0xb0" at daddr 0x8 len 8 error 5',
    'file-system-error',
    { system: 'XFS' },
  ],
  ['{1}[Hardware Error]: event severity: fatal', 'hardware-error', { kind: 'fatal' }],
  [
    "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:",
    'clock-unstable',
    { clocksource: 'tsc' },
  ],
  ['Clocksource tsc unstable (delta = 77 ns)', 'clock-unstable', { old: 'tsc' }],
  ['rcu: INFO: rcu_preempt self-detected stall on CPU', 'rcu-stall', { flavour: 'rcu_preempt' }],
  ['rcu: INFO: rcu_sched detected stalls on CPUs/tasks:', 'rcu-stall', { flavour: 'rcu_sched' }],
  [
    'INFO: task trouble-hang:128 blocked for more than 12 seconds.',
    'hung-task',
    { comm: 'trouble-hang', pid: 128, seconds: 12 },
  ],
  [
    'INFO: task kworker/0:1:9 blocked in I/O wait for more than 122 seconds.',
    'hung-task',
    { comm: 'kworker/0:1', pid: 9, seconds: 122 },
  ],
  ['BUG: kernel NULL pointer dereference, address: 0000000000000010', 'oops', { address: '0000000000000010' }],
  ['BUG: unable to handle page fault for address: ffffc90000ffa000', 'oops', { address: 'ffffc90000ffa000' }],
  [
    'Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008',
    'oops',
    { kind: 'NULL pointer dereference', address: '0000000000000008' },
  ],
  ['kernel BUG at lib/list_debug.c:62!', 'oops', { place: 'lib/list_debug.c:62' }],
  ['Internal error: Oops: 0000000096000046 [#1] SMP', 'oops', { error: 'Oops: 0000000096000046 [#1] SMP' }],
  [
    'general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] SMP',
    'oops',
    { trap: 'general protection fault' },
  ],
  [
    'BUG kmalloc-64 (Tainted: G        W  OE    ): Object already free',
    'memory-corruption',
    { cache: 'kmalloc-64', what: 'Object already free' },
  ],
  [
    'list_del corruption. prev->next should be ffff8881, but was ffff8882. (prev=ffff8881)',
    'memory-corruption',
    { list: expect.stringContaining('list_del corruption') },
  ],
  [
    'BUG: Bad page state in process insmod  pfn:1234',
    'memory-corruption',
    { kasan: 'Bad page state in process insmod  pfn:1234' },
  ],
  [
    'refcount_t: underflow; use-after-free.',
    'memory-corruption',
    { saturated: 'refcount_t: underflow; use-after-free.' },
  ],
  [
    'mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 5: be00000000800400',
    'hardware-error',
    { what: 'CPU 2: Machine Check: 0 Bank 5: be00000000800400' },
  ],
  ['EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0', 'hardware-error', { count: 1, kind: 'CE' }],
  [
    'WARNING: CPU: 1 PID: 124 at /src/trouble.c:61 trouble+0x39/0x1000 [trouble]',
    'kernel-warning',
    { cpu: 1, pid: 124, place: '/src/trouble.c:61', symbol: 'trouble' },
  ],
  [
    'WARNING: trouble.c:61 at trouble+0x3c/0xff0 [trouble], CPU#0: insmod/147',
    'kernel-warning',
    { place: 'trouble.c:61', symbol: 'trouble' },
  ],
  ['TCP: out of memory -- consider tuning tcp_mem', 'network-memory', { protocol: 'TCP', what: 'out of memory' }],
  ['nf_conntrack: nf_conntrack: table full, dropping packet', 'network-memory', { table: 'table full' }],
  ['Out of socket memory', 'network-memory', { sockets: 'Out of socket memory' }],
  ['ipv4: Neighbour table overflow.', 'network-memory', { neighbours: 'Neighbour table overflow' }],
  [
    'neighbour: arp_cache: neighbor table overflow!',
    'network-memory',
    { neighbours: 'arp_cache: neighbor table overflow' },
  ],
  [
    'cgroup: fork rejected by pids controller in /system.slice/docker-0a1b.scope',
    'resource-exhausted',
    { resource: 'pids', cgroup: '/system.slice/docker-0a1b.scope' },
  ],
  ['audit: audit_backlog=65 > audit_backlog_limit=64', 'resource-exhausted', { resource: 'audit', limit: 64 }],
  ['audit: audit_lost=7 audit_rate_limit=0 audit_backlog_limit=64', 'resource-exhausted', { lost: 7 }],
  [
    'cma: cma_alloc: reserved: alloc failed, req-size: 2025 pages, ret: -12',
    'resource-exhausted',
    { resource: 'cma', pages: 2025, error: -12 },
  ],
  ['cma_alloc: alloc failed, req-size: 1 pages, ret: -16', 'resource-exhausted', { pages: 1, error: -16 }],
  [
    '[drm:vc4_bo_create [vc4]] *ERROR* Failed to allocate from CMA:',
    'resource-exhausted',
    { resource: 'CMA', device: 'vc4' },
  ],
  [
    'virtio-pci 0000:00:02.0: swiotlb buffer is full (sz: 4096 bytes), total 64 (slots), used 63 (slots)',
    'resource-exhausted',
    { resource: 'swiotlb', device: 'virtio-pci 0000:00:02.0', requestedBytes: 4096, slots: 64, used: 63 },
  ],
  ['PID 7 killed due to inadequate hugepage pool', 'resource-exhausted', { resource: 'hugepage', pid: 7 }],
  [
    'HugeTLB: allocating 1024 of page size 2.00 MiB failed.  Only allocated 512 hugepages.',
    'resource-exhausted',
    { resource: 'HugeTLB', wanted: 1024, got: 512 },
  ],
  [
    "virtio_balloon virtio0: Out of puff! Can't get 1 pages",
    'resource-exhausted',
    { resource: 'balloon', what: "Out of puff! Can't get 1 pages" },
  ],
  ['xen:balloon: Cannot add additional memory (-17)', 'resource-exhausted', { resource: 'balloon' }],
  ['[TTM] Buffer eviction failed', 'resource-exhausted', { resource: 'TTM', what: 'Buffer eviction failed' }],
  [
    '[drm:amdgpu_cs_ioctl [amdgpu]] *ERROR* Not enough memory for command submission!',
    'resource-exhausted',
    { device: 'amdgpu', what: 'Not enough memory for command submission' },
  ],
  [
    'NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.',
    'hardware-error',
    { what: 'Xid', device: 'PCI:0000:01:00', kind: '79' },
  ],
  ['NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.', 'hardware-error', { device: '0000:01:00.0' }],
  ['NVRM: fallen off the bus and is not responding to commands.', 'hardware-error', { driver: 'NVRM' }],
  [
    'amdgpu 0000:04:00.0: amdgpu: [drm] *ERROR* Not enough memory for command submission!',
    'resource-exhausted',
    { card: 'amdgpu 0000:04:00.0' },
  ],
  ['hv_balloon: Memory hot add failed', 'resource-exhausted', { resource: 'balloon', what: 'Memory hot add failed' }],
  ['hv_balloon: hot_add memory failed error is -17', 'resource-exhausted', { resource: 'balloon' }],
  ['ERROR: 256 KiB atomic DMA coherent pool is too small!', 'resource-exhausted', { poolKib: 256 }],
  ['Watchdog CPU:71 detected Hard LOCKUP other CPUS:42', 'hard-lockup', { cpu: 42 }],
  ['Watchdog CPU:42 Hard LOCKUP', 'hard-lockup', { cpu: 42 }],
  ['watchdog: CPU 3 self-detected hard LOCKUP @ f+0x1/0x2', 'hard-lockup', { cpu: 3 }],
  ['VFS: file-max limit 1024 reached', 'network-memory', { files: 'VFS: file-max limit' }],
  [
    'EXT4-fs error (device vda): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 12',
    'file-system-error',
    { system: 'EXT4-fs' },
  ],
  [
    'I/O error, dev vda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2',
    'file-system-error',
    { io: 'I/O error, dev vda' },
  ],
  ['[ INFO: suspicious rcu_dereference_check() usage. ]', 'lockdep', {}],
  [
    'rbtree testingNMI watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [swapper:1]',
    'soft-lockup',
    { cpu: 0, seconds: 23 },
  ],
  ['Badness at kernel/softirq.c:159', 'kernel-warning', { place: 'kernel/softirq.c:159' }],
  [
    'Memory failure: 0x12345: recovery action for dirty LRU page: Recovered',
    'hardware-error',
    { frame: '12345', what: 'recovery action for dirty LRU page: Recovered' },
  ],
  ['MCE 0x12345: dirty LRU page recovery: Recovered', 'hardware-error', { frame: '12345' }],
  ['SError Interrupt on CPU3, code 0xbe000000 -- SError', 'hardware-error', { cpu: 3 }],
  ['NMI: PCI system error (SERR) for reason b1 on CPU 0.', 'hardware-error', { on: 0 }],
  [
    'pcieport 0000:00:1c.0: AER: Uncorrected (Fatal) error received: 0000:00:1c.0',
    'hardware-error',
    { device: '0000:00:1c.0', kind: 'Uncorrected (Fatal)' },
  ],
  [
    'nvme 0000:01:00.0: PCIe Bus Error: severity=Uncorrected (Non-Fatal), type=Transaction Layer, (Receiver ID)',
    'hardware-error',
    { device: '0000:01:00.0' },
  ],
  ['swap_info_get: Bad swap file entry 3ffffffffffff', 'memory-corruption', {}],
  ['_swap_info_get: Unused swap offset entry 00001234', 'memory-corruption', {}],
  ['IPv4: dst cache overflow', 'network-memory', { routes: 'dst cache overflow' }],
  ['Aborting journal on device sda1-8.', 'file-system-error', { journal: 'Aborting journal on device sda1-8' }],
  ['EXT4-fs (sda1): Remounting filesystem read-only', 'file-system-error', { readOnly: 'sda1' }],
  ['nfs: server 10.0.0.1 not responding, still trying', 'file-system-error', { server: '10.0.0.1' }],
  ['Write-error on swap-device (254:0:123)', 'file-system-error', {}],
  ['nvme nvme0: I/O 123 QID 4 timeout, aborting', 'file-system-error', { controller: 'nvme0' }],
  ['XFS (dm-0): Corruption of in-memory data detected.  Shutting down filesystem', 'file-system-error', {}],
  ['blk_update_request: I/O error, dev fd0, sector 0', 'file-system-error', {}],
  ['EXT4-fs error (device loop0): ext4_find_entry:1: inode #2: comm a: b', 'file-system-error', {}],
  [
    'java: page allocation stalls for 10004ms, order:0, mode:0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null)',
    'allocation-failure',
    { comm: 'java', order: 0, milliseconds: 10004 },
  ],
  [
    'a: vmalloc error: size 4096, page order 0, failed to allocate pages, mode:0xcc2(GFP_KERNEL|__GFP_HIGHMEM), nodemask=(null)',
    'allocation-failure',
    { order: null, vmalloc: 'size 4096, page order 0, failed to allocate pages' },
  ],
  [
    'a: vmalloc: allocation failure, allocated 8192 of 16384 bytes, mode:0x14000c2(GFP_KERNEL|__GFP_HIGHMEM)',
    'allocation-failure',
    { vmalloc: 'allocated 8192 of 16384 bytes' },
  ],
  ['__alloc_pages: 0-order allocation failed (gfp=0x1d2/0)', 'allocation-failure', { order: 0 }],
  ['vmap allocation for size 8192 failed: use vmalloc=<size> to increase size', 'allocation-failure', {}],
  ['percpu: allocation failed, size=8 align=8 atomic=0, alloc from reserved chunk failed', 'allocation-failure', {}],
  ['SLUB: Unable to allocate memory on node -1, gfp=0x820(GFP_ATOMIC)', 'allocation-failure', {}],
  [
    'XFS: java(7) possible memory allocation deadlock size 65536 in kmem_alloc (mode:0x2400240)',
    'allocation-failure',
    {},
  ],
  [
    '__vm_enough_memory: pid: 77, comm: java, bytes: 4096 not enough memory for the allocation',
    'allocation-failure',
    {},
  ],
  ['irq 16: nobody cared (try booting with the "irqpoll" option)', 'kernel-warning', {}],
  ['NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out', 'kernel-warning', {}],
];

test.each(LINES)('%s', (line, code, figures) => {
  const findings = find(line);
  expect(findings.map((one) => one.code)).toEqual([code]);
  expect(findings[0]?.figures).toMatchObject({ ...figures, times: 1 });
  expect(findings[0]?.evidence).toMatchObject([{ kind: 'log', text: line }]);
  // Every code has a sentence that contains all of its figures.
  expect(findingWords(findings[0]!)).not.toMatch(/\?|undefined|null/);
});

test.each([
  'NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.158.01  Release Build',
  'NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1180) installed in this system is not supported by this driver.',
  'amdgpu 0000:04:00.0: amdgpu: VRAM: 4096M 0x0000008000000000 - 0x00000080FFFFFFFF (4096M used)',
  '[drm] amdgpu: 4096M of VRAM memory ready',
  'hv_balloon: Max. dynamic memory size: 16384 MB',
  'DMA: preallocated 256 KiB GFP_KERNEL pool for atomic allocations',
  'watchdog: CPU 42 became unstuck TB:123456789',
  'OOM killer disabled.',
])('a healthy kernel prints: %s', (line) => {
  expect(find(line)).toEqual([]);
});

test.each(LINES)('finds in a long text: %s', (line, code) => {
  const findings = new LogFindings(4096);
  const reader = new TextLogReader(findings);
  reader.push(Buffer.from(`[    0.500000] usb 1-1: x\n[    1.000000] ${line}\n`));
  reader.end();
  expect(findings.finish().map((one) => one.code)).toEqual([code]);
});

test('reports errors of images and empty drives as notes', () => {
  const severities = (...lines: readonly string[]) => find(...lines).map((one) => one.severity);
  expect(
    severities(
      'blk_update_request: I/O error, dev fd0, sector 0',
      'EXT4-fs error (device loop0): ext4_find_entry:1: inode #2: comm a: b',
      'Buffer I/O error on dev sr0, logical block 0, async page read',
    ),
  ).toEqual(['note', 'note', 'note']);
  expect(severities('EXT4-fs error (device sda1): x')).toEqual(['warning']);
});

test('titles a panic that follows another report like any other', () => {
  const found = find(
    'INFO: task a:7 blocked for more than 120 seconds.',
    'Kernel panic - not syncing: hung_task: blocked tasks',
  );
  expect(found.map(({ title }) => title)).toContain('kernel panic: hung_task: blocked tasks');
});

test('reports an allocation that exceeds the machine as a note', () => {
  expect(find('a: vmalloc error: size 1099511627776, exceeds total pages, mode:0xcc2(GFP_KERNEL)')).toMatchObject([
    { severity: 'note', title: 'vmalloc allocation failure' },
  ]);
});

describe('harmless lines', () => {
  test.each([
    'random: crng init done',
    'systemd[1]: WARNING: something of its own',
    'audit: BUG in a name: soft lockup',
    'list_sort_test: ok',
    'TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.',
    'EXT4-fs (vda): mounted filesystem with ordered data mode',
    'EXT4-fs (loop0): unmounting filesystem.',
    'EXT4-fs (loop0): unmounting filesystem 1d0ac0f0-8f9e-4cb8-9a0b-5a2b1f5a0c11.',
    'XFS (loop0): Unmounting Filesystem 1d0ac0f0-8f9e-4cb8-9a0b-5a2b1f5a0c11',
    'BTRFS info (device loop0): last unmount of filesystem 1d0ac0f0-8f9e-4cb8-9a0b-5a2b1f5a0c11',
    'rcu: Hierarchical SRCU implementation.',
    'Freeing unused kernel image (initmem) memory: 3948K',
  ])('%s', (line) => {
    expect(find(line)).toEqual([]);
  });
});

test('a file system that is unmounted after an OOM kill has no error', () => {
  const kill =
    'Out of memory: Killed process 7 (grows) total-vm:4000kB, anon-rss:900kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:44kB oom_score_adj:0';
  const found = find(kill, 'EXT4-fs (loop0): unmounting filesystem 1d0ac0f0-8f9e-4cb8-9a0b-5a2b1f5a0c11.');
  expect(found.map(({ code }) => code)).toEqual(['oom-kill']);
});

test('merges reports of a hung task into one finding with its last time', () => {
  const lines = [3, 4, 5].map((seconds) => `INFO: task a:7 blocked for more than ${seconds} seconds.`);
  const [only, ...others] = find(...lines);
  expect(only?.figures).toMatchObject({ seconds: 5, times: 3 });
  expect(others).toEqual([]);
});

test('limits time and number of findings for a hostile log', () => {
  const nested = `,task_memcg=${',task='.repeat(150)}`;
  const lines = Array.from({ length: 3000 }, (_, index) => [
    `BUG cache${index} (x): y`,
    `oom-kill:constraint=A,,oom_memcg=${nested}`,
    `${'a:1 '.repeat(250)}x`,
    `[ pid ] ${'a '.repeat(400)}name`,
  ]).flat();
  expect(find(...lines).length).toBeLessThanOrEqual(1000);
});

test('reports other findings and a count if the log is full of one kind', () => {
  const hung = Array.from({ length: 1200 }, (_, pid) => `INFO: task a:${pid} blocked for more than 9 seconds.`);
  const findings = find(...hung, 'BUG: kernel NULL pointer dereference, address: 0000000000000010');
  expect(findings.at(-1)?.code).toBe('oops');
  const tasks = findings.filter(({ code }) => code === 'hung-task');
  expect(tasks.length).toBeLessThan(100);
  const rest = tasks.find(({ figures }) => figures.others !== undefined);
  expect(rest?.figures.pid).toBe(1199);
  expect(tasks.length + Number(rest?.figures.others)).toBe(1200);
});

test('ignores what programs write to /dev/kmsg', () => {
  const line = '[    1.000000] Kernel panic - not syncing: for fun';
  const codes = (facility: number) =>
    logFindings(recordsOf(`<${facility * 8 + 5}>${line}`), 4096).map(({ code }) => code);
  expect(codes(0)).toEqual(['panic']);
  expect([...codes(1), ...codes(3)]).toEqual([]);
});

test('counts a hardware error once, with its message', () => {
  const found = find(
    'mce: [Hardware Error]: CPU 2: Machine Check Exception: 5 Bank 5: be00000000800400',
    'mce: [Hardware Error]: RIP !INEXACT! 10:<ffffffff81000000> {f+0x1/0x2}',
    'mce: [Hardware Error]: TSC 12345 ADDR 1000 MISC 86',
    'mce: [Hardware Error]: PROCESSOR 0:306e4 TIME 1700000000 SOCKET 0 APIC 4 microcode 42c',
    "mce: [Hardware Error]: Run the above through 'mcelog --ascii'",
  );
  expect(found).toMatchObject([
    { severity: 'critical', figures: { times: 1, what: 'CPU 2: Machine Check Exception: 5 Bank 5: be00000000800400' } },
  ]);
});

test('reports uncorrected hardware errors next to corrected ones', () => {
  const found = find(
    '{1}[Hardware Error]: event severity: corrected',
    '{2}[Hardware Error]: event severity: fatal',
    '[Hardware Error]: Uncorrected, software containable error.',
    '[Hardware Error]: Corrected error, no action required.',
    '[Hardware Error]: CPU:2 (17:31:0) MC15_STATUS[Over|CE|-|-|-]: 0x9c',
  );
  expect(found.map(({ severity, figures }) => [severity, figures.what ?? figures.kind])).toEqual([
    ['warning', 'corrected'],
    ['critical', 'fatal'],
    ['critical', 'Uncorrected, software containable error.'],
    ['warning', 'Corrected error, no action required'],
  ]);
});

test.each([
  ['RIP: 0010:', 'kthread', 'no-frames'],
  ['EIP: ', 'kthread', null],
  ['RIP: 0010:', 'dump_stack', null],
])('only guesses after %s..., the first %s: corrupted is %s', (instruction, first, corrupted) => {
  const [found] = find(
    'WARNING: CPU: 0 PID: 7 at kernel/sched/core.c:7244 balance_push+0x91/0xa0',
    'CPU: 0 PID: 7 Comm: sh Not tainted 5.10.0 #1',
    `${instruction}balance_push+0x91/0xa0`,
    'Call Trace:',
    ...[first, 'rt_mutex_setprio', 'ret_from_fork'].map((name) => ` ? ${name}+0x1/0x20`),
    'irq event stamp: 3',
    'hardirqs last  enabled at (2): my_enable+0x1/0x20',
    'hardirqs last disabled at (3): my_disable+0x1/0x20',
    '---[ end trace 4c5f669c48269d7c ]---',
  );
  expect(found).toMatchObject({ title: 'WARNING in balance_push', report: { corrupted } });
});

test.each([
  ['_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE', 'core::fmt::Write::write_fmt'],
  ['_Z8fakeNameiii', 'fakeName'],
  ['_ZN', '_ZN'],
  ['_Z9999x', 'x'],
  ['tcp_v4_rcv', 'tcp_v4_rcv'],
])('demangles %s to %s', (symbol, name) => {
  expect(demangled(symbol)).toBe(name);
});
