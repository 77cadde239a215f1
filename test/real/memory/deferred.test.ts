import { describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { leaves } from '../../../src/account/memory/tree.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { accountAll } from '../../../src/account/sockets.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { zones } from '../../../src/walk/memory/zones.js';
import { struct } from '../../../src/walk/pages/struct-page.js';
import { type Damage, liveKernel } from '../../support/damaged-kernel.js';
import { dumpKernel } from '../../support/opened-kernel.js';

// The kernel initializes all struct pages before kdump can dump it: a free block at the end of its
// node is changed to an uninitialized one.
const { kernel, addressOf, offset, read, set, add, write, damagedBy } = dumpKernel('newest');

const ORDER = 10;
const PAGES = 2 ** ORDER;

const frames = new FrameMap(ramRanges(kernel));
const { kinds } = scanFrames(kernel, frames);
const zone = zones(kernel).at(-1)!;
const page = struct(kernel, 'page');
const block = blockIn(zone);

function blockIn({ start, spanned }: typeof zone): number {
  for (let frame = start + spanned - PAGES; frame > start; frame--) {
    if (frame % PAGES !== 0 || kinds[frames.indexOf(frame)] !== KIND.free) continue;
    if (read(kernel.pages.pageOfFrame(frame), 'page.private') === BigInt(ORDER)) return frame;
  }
  throw new Error(`no free block of order ${ORDER}`);
}

const managed = add(zone.address, 'zone.managed_pages', -PAGES);
const first = (frame: bigint) => set(zone.node, 'pglist_data.first_deferred_pfn', frame);
const area = BigInt(ORDER * struct(kernel, 'free_area').size) + offset('free_area.nr_free');
const free = kernel.enumerators('zone_stat_item')?.get('NR_FREE_PAGES') ?? -1n;
const notFreed = [
  add(addressOf(zone.address, 'zone.free_area') + area, 8, -1),
  add(addressOf(zone.address, 'zone.vm_stat') + 8n * free, 8, -PAGES),
];
const spanned = BigInt(block + PAGES) - read(zone.node, 'pglist_data.node_start_pfn');
const node = set(zone.node, 'pglist_data.node_spanned_pages', spanned);

/** Struct pages that contain earlier data. */
const blank = (byte: number) => write(kernel.pages.pageOfFrame(block), new Uint8Array(PAGES * page.size).fill(byte));

const answer = (of: Kernel) => {
  const { memory, warnings, complete } = accountMemory(of);
  const row = (name: string) => leaves(memory).find(({ category }) => category === name);
  return { warnings, complete, free: row('free-buddy'), row: row('free-uninitialized') };
};
const damaged = (...damages: readonly Damage[]) => answer(damagedBy(...damages));
const sound = answer(kernel);

test('a kernel that initialized all struct pages has none', () => {
  expect(sound).toMatchObject({ complete: true, warnings: [], row: { frames: 0 } });
});

test.each([0, 0xff, 0x5a])(
  'frames with uninitialized struct pages are free, whatever bytes they contain: %i',
  (byte) => {
    const found = damaged(blank(byte), first(BigInt(block)), node, managed, ...notFreed);
    expect(found).toMatchObject({
      complete: true,
      warnings: [],
      row: { frames: PAGES, counterBytes: PAGES * kernel.facts.pageSize },
      free: { frames: (sound.free?.frames ?? 0) - PAGES },
    });
  },
);

describe.each([
  ['a dump', false],
  ['a running kernel', true],
])('procs and sockets of %s', (_, live) => {
  const running = (of: Kernel) => (live ? liveKernel(of) : of);
  const deferred = [first(BigInt(block)), node, managed, ...notFreed];

  test.each([0, 0xff, 0x5a])('match the same kernel with all struct pages initialized: %i', (byte) => {
    const partly = running(damagedBy(blank(byte), ...deferred));
    const whole = running(kernel);
    const [procs, sockets] = [kernelProcesses(partly), accountAll(partly)];
    expect(procs.warnings).toEqual([]);
    expect(procs.complete).toBe(true);
    expect(procs.processes).toEqual(kernelProcesses(whole).processes);
    expect(sockets.warnings).toEqual([]);
    expect(sockets.complete).toBe(true);
    const { sockets: all, totals } = accountAll(whole);
    expect({ sockets: sockets.sockets, totals: sockets.totals }).toEqual({ sockets: all, totals });
  });
});

test('more of them than MemTotal exceeds the zones are inconsistent', () => {
  const { complete, warnings } = damaged(blank(0), first(BigInt(block)), node, ...notFreed);
  expect(complete).toBe(false);
  expect(warnings.map(({ message }) => message)).toContain(
    `the kernel counts 0 pages of uninitialized memory, but ${PAGES} were found`,
  );
});

test('a first frame outside its node is corrupt', () => {
  const { complete, warnings } = damaged(first(2n ** 63n - 1n));
  expect(complete).toBe(false);
  expect(warnings.map(({ message }) => message).join()).toContain('(first_deferred_pfn)');
});
