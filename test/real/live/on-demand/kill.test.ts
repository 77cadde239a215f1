import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootScenario, settledTruth } from '../../../../scripts/lab-parts/scenario.mjs';
import { accountAll, type CensusAnswer } from '../../../../src/account/sockets.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import { drgnJson } from '../../../support/drgn.js';
import { LAB, type Oracle, role, type Truth } from '../../../support/lab.js';

const ORACLE = new URL('../../../../scripts/lab-parts/oracle.py', import.meta.url);
const FRAMES = new URL('frames.py', import.meta.url);

/** A page frame's number, and the order of the allocation that it begins. */
type Frame = readonly [pfn: number, order: number];

/** Of a frame's base pages, by the kernel's own free lists and flags; see frames.py. */
interface Fate {
  readonly free: number;
  readonly otherwise: number;
  readonly held: number;
  /** A driver's page pool owns the frame, and may keep it for its next packets. */
  readonly pooled: boolean;
}

// Processes are really killed. Which page frames their sockets held is told by drgn, from the guest's
// memory before; which of them are free, by the kernel's free lists in its memory after.
describe.each(['6.1', 'newest'] as const)('processes of %s are killed', (kernel) => {
  const work = mkdtempSync(join(LAB, 'kill-'));
  const before = join(work, 'before.vmcore');
  const after = join(work, 'after.vmcore');
  let truth: Truth;
  let oracle: Oracle;
  let answer: CensusAnswer;

  beforeAll(async () => {
    const guest = await bootScenario({ kernel, limitMs: 400_000 });
    try {
      truth = await settledTruth(guest);
      await guest.pause();
      await guest.dump('elf', before);
      await guest.resume();
      await guest.run(`kill -9 ${victims(truth).join(' ')}; sleep 1`);
      await guest.pause();
      await guest.dump('elf', after);
    } finally {
      guest.kill();
    }
    oracle = drgnJson<Oracle>(before, kernel, ORACLE);
    const native = openNative({ files: [before] });
    answer = accountAll(native);
    native.close();
  }, 400_000);

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  function fates(vmcore: string, frames: readonly Frame[]): Fate[] {
    const list = join(work, 'frames.json');
    writeFileSync(list, JSON.stringify(frames));
    return drgnJson<Fate[]>(vmcore, kernel, FRAMES, list);
  }

  test('what goes back lies between the bounds, for each of them', () => {
    const pids = victims(truth);
    expect(pids.length).toBeGreaterThan(20);
    const frames = pids.map((pid) => framesOf(oracle, pid));
    const [then, now] = [before, after].map((vmcore) => fates(vmcore, frames.flat()));
    let at = 0;
    const freed = frames.map((mine) => {
      let pages = 0;
      for (const [index] of mine.entries()) {
        const old = then?.[at + index];
        const young = now?.[at + index];
        // Taken by somebody else since: it was free in between.
        if (old && young) pages += young.free + Math.max(0, young.otherwise - old.otherwise);
      }
      at += mine.length;
      return pages * truth.pageSize;
    });
    for (const [index, pid] of pids.entries()) {
      const { key, bounds, slots } = toldOf(answer, pid);
      const bytes = (freed[index] ?? 0) + slots;
      const words = `${key}: ${bytes} bytes freed, of ${bounds.low} to ${bounds.high}`;
      expect.soft(bytes, words).toBeGreaterThanOrEqual(bounds.low);
      expect.soft(bytes, words).toBeLessThanOrEqual(bounds.high);
    }
  });

  test('the bounds of the plain starving reader lie within 5 %, and what a page pool may keep', () => {
    const { pid } = role(truth, 'starving');
    const { bounds } = toldOf(answer, pid);
    const frames = framesOf(oracle, pid);
    const pooled = fates(before, frames).reduce(
      (sum, fate, index) => sum + (fate.pooled ? 2 ** (frames[index]?.[1] ?? 0) : 0),
      0,
    );
    if (kernel === '6.1') expect(pooled).toBe(0);
    const kept = pooled * truth.pageSize;
    expect(bounds.high).toBeGreaterThan(100_000);
    expect(bounds.low + kept).toBeLessThanOrEqual(bounds.high);
    expect(bounds.low + kept).toBeGreaterThanOrEqual(bounds.high * 0.95);
  });

  test('nothing goes back while another process has the socket open, all with the last duplicate', () => {
    const shared = role(truth, 'forked');
    expect(toldOf(answer, shared.pid).bounds).toEqual({ low: 0, high: 0 });
    const frames = framesOf(oracle, shared.pid);
    expect(frames.length).toBeGreaterThan(0);
    for (const { free, otherwise } of fates(after, frames)) {
      expect({ free, otherwise }).toEqual({ free: 0, otherwise: 0 });
    }
    const duplicated = framesOf(oracle, role(truth, 'duplicated').pid);
    expect(duplicated.length).toBeGreaterThan(0);
    for (const { held } of fates(after, duplicated)) expect(held).toBe(0);
  });
});

/** Every process of the scenario with a socket, but for one of the two that share one. */
function victims(truth: Truth): number[] {
  const shared = role(truth, 'forked');
  const others = shared.holders.map(({ pid }) => pid).filter((pid) => pid !== shared.pid);
  const all = truth.roles.filter(({ kind }) => kind === 'socket').map(({ pid }) => pid);
  return [...new Set(all)].filter((pid) => !others.includes(pid));
}

/** What drgn finds that a process's sockets hold, each frame once. */
function framesOf(oracle: Oracle, pid: number): Frame[] {
  const orders = new Map<number, number>();
  for (const { holders, pages } of oracle.sockets) {
    if (!holders.some((holder) => holder.pid === pid)) continue;
    for (const { pfn, order } of Object.values(pages).flat()) orders.set(pfn, order);
  }
  return [...orders];
}

/**
 * Our bounds, and the bytes of slab slots that they count: those leave no trace in page frames. With a
 * listener go the connections that wait in its queue.
 */
function toldOf(answer: CensusAnswer, pid: number) {
  const group = answer.groups.process?.find(({ key }) => key.startsWith(`${pid} `));
  if (!group?.freedIfKilled) throw new Error(`the census has no process ${pid}`);
  const own = answer.sockets.filter(({ holders }) => holders.some((one) => one.pid === pid));
  const socks = new Set(own.map(({ socket }) => socket.sock));
  const waiting = answer.sockets.filter(({ acceptedFrom }) => socks.has(acceptedFrom ?? 0n));
  const slots = waiting.reduce((sum, { total }) => sum + total.slabBytes, group.total.slabBytes);
  const bounds = group.freedIfKilled;
  return { key: group.key, bounds, slots: bounds.high === 0 ? 0 : slots };
}
