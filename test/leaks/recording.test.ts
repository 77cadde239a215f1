import { expect, test } from 'vitest';
import { merged } from '../../src/leaks/recording.js';
import { callers, ownFrames } from '../../src/records/allocation-sites.js';
import { framesOf, made, siteOf, survivor } from './made-recording.js';

const names = (frames: ReturnType<typeof ownFrames>) => frames.map(({ symbol }) => symbol);
const RECEIVE = ['__alloc_pages', 'add_recvbuf_mergeable [virtio_net]', 'virtnet_poll [virtio_net]'];

test.each([
  ['__do_softirq', '__irq_exit_rcu', 'common_interrupt', 'do_idle'],
  ['handle_softirqs', 'run_ksoftirqd', 'smpboot_thread_fn', 'kthread'],
  ['asm_common_interrupt', 'memcpy', 'copy_page'],
  ['el1h_64_irq', 'default_idle_call'],
])('removes frames that %s interrupted', (entry, ...beyond) => {
  const frames = framesOf(...RECEIVE, entry, ...beyond);
  expect(ownFrames(frames)).toEqual(framesOf(...RECEIVE, entry));
});

test('keeps a stack without an interrupt unchanged', () => {
  const frames = framesOf('__alloc_pages', 'pipe_write', 'vfs_write', 'do_syscall_64');
  expect(ownFrames(frames)).toBe(frames);
});

test('names the caller of the allocator as the allocating function', () => {
  const inner = ['__alloc_pages_noprof', 'alloc_pages_mpol_noprof', '___kmalloc_large_node'];
  expect(names(callers(framesOf(...inner, '__kmalloc_noprof', 'leak_buffer [leak]')))).toEqual(['leak_buffer']);
  expect(names(callers(framesOf('new_slab.isra.0', '___slab_alloc.constprop.3', '__alloc_skb')))).toEqual([
    '__alloc_skb',
  ]);
  // Nothing else is in the stack.
  expect(names(callers(framesOf('__alloc_pages')))).toEqual(['__alloc_pages']);
});

test('merges stacks that differ only beyond an interrupt, with their sum', () => {
  const sites = [
    siteOf('a', ...RECEIVE, '__do_softirq', 'do_idle'),
    siteOf('b', ...RECEIVE, '__do_softirq', 'vfs_read', 'ksys_read'),
    siteOf('c', '__alloc_pages', 'pipe_write'),
  ];
  const recording = made(
    sites,
    { a: [4096, 8192], b: [0, 12288], c: [4096, 4096] },
    { survivors: [survivor('a'), survivor('b'), survivor('c')] },
  );
  const { sites: found, readings, survivors } = merged(recording);
  expect([...found.keys()]).toEqual(['a', 'c']);
  expect(names(found.get('a')!.frames)).toEqual([
    '__alloc_pages',
    'add_recvbuf_mergeable',
    'virtnet_poll',
    '__do_softirq',
  ]);
  expect(readings.map(({ held }) => held.get('a')?.bytes)).toEqual([undefined, 4096, 20480]);
  expect(readings[2]?.held.get('a')).toEqual({
    bytes: 20480,
    blocks: 5,
    lowBytes: 20480,
    highBytes: 20480,
    sampled: null,
  });
  expect(survivors.map(({ site }) => site)).toEqual(['a', 'a', 'c']);
});

test('combines the intervals of two samples into less than their sum, without loss', () => {
  const half = { bytes: 100, blocks: 1, lowBytes: 60, highBytes: 160, sampled: 10 };
  const recording = made([siteOf('a', 'f', '__do_softirq', 'x'), siteOf('b', 'f', '__do_softirq')], {});
  const held = new Map([
    ['a', half],
    ['b', half],
  ]);
  const { readings } = merged({ ...recording, readings: [{ at: 0, held }] });
  expect(readings[0]?.held.get('a')).toEqual({
    bytes: 200,
    blocks: 2,
    lowBytes: 200 - Math.hypot(40, 40),
    highBytes: 200 + Math.hypot(60, 60),
    sampled: 20,
  });
});

test('never merges different functions without names', () => {
  const unnamed = (id: string) => ({
    id,
    kind: 'stack' as const,
    frames: [{ symbol: null, offset: null, module: null, line: null, guess: false }],
  });
  const recording = made([unnamed('a'), unnamed('b')], { a: [4096], b: [4096] });
  expect(merged(recording).sites.size).toBe(2);
});
