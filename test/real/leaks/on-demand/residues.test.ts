import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDisk, readFromDisk } from '../../../../scripts/lab-parts/disk.mjs';
import { estimate } from '../../../../src/leaks/follow/estimate.js';
import { FrameFollower } from '../../../../src/leaks/follow/frame-follower.js';
import type { Held, Sample } from '../../../../src/leaks/recording.js';
import { LAB, LAB_KERNELS, type LabKernel } from '../../../support/lab.js';
import { KINDS, type Kind, LeakGuest, TRACEFS, type Truth } from '../leak-guest.js';
import { inOrder, replay } from '../trace-text.js';

/** Override for a shorter run: KDUMP_MEM_LEAKS_SECONDS=10. */
const SECONDS = Number(process.env.KDUMP_MEM_LEAKS_SECONDS ?? 30);
const FRAME = 4096;
/** Order of the mask's lowest bit: frames in a chunk. */
const CHUNK_ORDER = 3;

/** Allocations whose events fire on every kernel, some of them still held at the end. */
const RATES = {
  leak_single: 80,
  leak_third: 20,
  leak_fifth: 6,
  leak_parts: 20,
  keep_page: 60,
  ring_page: 40,
  ring_split: 20,
  ring_exact: 20,
};
const TAKERS = KINDS.filter((kind) => kind in RATES);

/** All events of a guest under load, as its kernel prints them, and what the module holds then. */
async function recorded(kernel: LabKernel): Promise<{ events: TextEvents; truth: Truth }> {
  const work = mkdtempSync(join(LAB, 'residues-'));
  const disk = join(work, 'disk');
  makeDisk(disk, 600);
  const guest = await LeakGuest.boot(kernel, { memoryMiB: 2048, disks: [{ path: disk }] });
  const run = (command: string) => guest.guest.run(command);
  try {
    await guest.mount();
    await guest.leaks(RATES);
    const instance = (name: string, event: string) =>
      `mkdir ${name}; cd ${name}; echo 0 > tracing_on; echo mono > trace_clock
       echo 65536 > buffer_size_kb; echo 1 > events/kmem/${event}/enable; cd ..`;
    await run(
      `cd ${TRACEFS}/instances; ${instance('freed', 'mm_page_free')}; ${instance('taken', 'mm_page_alloc')}
       echo 1 > taken/options/stacktrace; mkdir /disk; mount -t ext4 /dev/vda /disk`,
    );
    await guest.fed();
    await guest.load(SECONDS);
    await run(`cd ${TRACEFS}/instances; for i in freed taken; do echo 1 > $i/tracing_on; done`);
    await guest.go();
    await run(`sleep ${SECONDS}`);
    await guest.halt();
    await run(`cd ${TRACEFS}/instances; for i in taken freed; do echo 0 > $i/tracing_on; done`);
    const truth = await guest.truth();
    const { output } = await run(`cat ${TRACEFS}/instances/*/per_cpu/cpu*/stats`);
    expect(output.toString()).not.toMatch(/(overrun|dropped events): [1-9]/);
    await run(`cd ${TRACEFS}/instances; for i in taken freed; do cat $i/trace > /disk/$i; done; umount /disk`);
    guest.end();
    await guest.guest.ended;
    const text = (name: string) => {
      readFromDisk(disk, name, join(work, name));
      return readFileSync(join(work, name), 'latin1');
    };
    return { events: inOrder(text('taken'), text('freed')), truth };
  } finally {
    guest.end();
    rmSync(work, { recursive: true });
  }
}
type TextEvents = ReturnType<typeof inOrder>;

const SITES = ['', ...KINDS, 'others'];
const siteOf = (stack: number) => SITES[stack] ?? '';
const numberOf = (stack: readonly string[]) =>
  SITES.indexOf(stack.find((name) => KINDS.some((one) => one === name)) ?? 'others');

/** Estimate by kind from following a sample, at the end. */
function followed(events: TextEvents, sample: Sample): ReadonlyMap<string, Held> {
  const follower = new FrameFollower(sample, { maxBlocks: 100_000, frameBytes: FRAME });
  replay(events, follower, numberOf);
  expect(follower.losses).toMatchObject({ overrun: 0, dropped: 0, missedFrees: 0 });
  return follower.reading(0, siteOf).held;
}

/** Estimate for a site that the sample never saw. */
const unseen = (oneIn: number) => estimate([{ sum: 0, squares: 0, cluster: FRAME << CHUNK_ORDER }], oneIn);

describe.each(LAB_KERNELS)('%s: all allocations and frees', (kernel) => {
  let events: TextEvents;
  let truth: Truth;
  const bytes = (kind: Kind) => truth[kind].bytes;

  beforeAll(async () => {
    ({ events, truth } = await recorded(kernel));
  });

  afterAll(() => {
    events = [];
  });

  test('followed in full match what the module holds, to the byte', () => {
    expect(events.filter(({ isFree }) => isFree).length).toBeGreaterThan(1000);
    const held = followed(events, { oneIn: 1, mask: 0n, residue: 0n });
    for (const kind of TAKERS) expect(bytes(kind)).toBeGreaterThan(0);
    expect(TAKERS.map((kind) => [kind, held.get(kind)?.bytes])).toEqual(TAKERS.map((kind) => [kind, bytes(kind)]));
  });

  // A few residues of one stream are correlated: if one is too high, the others are too low.
  test('in samples with each residue are within the interval: 95 of 100', () => {
    let [inside, comparisons] = [0, 0];
    for (const oneIn of [8, 16, 32, 64])
      for (let residue = 0; residue < oneIn; residue++) {
        const held = followed(events, {
          oneIn,
          mask: BigInt((oneIn - 1) << CHUNK_ORDER),
          residue: BigInt(residue << CHUNK_ORDER),
        });
        for (const kind of TAKERS) {
          const { lowBytes: low, highBytes: high } = held.get(kind) ?? unseen(oneIn);
          comparisons++;
          if (low <= bytes(kind) && bytes(kind) <= high) inside++;
        }
      }
    console.log(kernel, events.length, 'events', `${inside} of ${comparisons}`);
    expect(inside / comparisons).toBeGreaterThanOrEqual(0.95);
  });
});
