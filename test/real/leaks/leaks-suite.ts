import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LeaksAnswer } from '../../../src/contracts/leaks.js';
import type { LabKernel } from '../../support/lab.js';
import { KINDS, type Kind, LeakGuest, type Rates, type Truth } from './leak-guest.js';

const RATES: Rates = {
  leak_single: 60,
  leak_third: 12,
  leak_fifth: 5,
  // Twice the blocks, because half of each is freed: sockets from before the recording free blocks
  // of this order, too.
  leak_parts: 24,
  keep_page: 100,
  ring_page: 40,
  ring_split: 20,
  ring_exact: 20,
};
/** Pages of each of these are unreferenced, and only increase. */
const LEAKS = ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts'] as const;

/** Bulk allocations: those of a page pool are followed, the others have no events. */
const IN_BULK: Rates = { leak_pool: 100, leak_bulk: 20 };
const PAGE = 4096;

type Site = LeaksAnswer['sites'][number];

/** The module's function in a stack, unless it was interrupted. */
export function kindOf({ frames }: Site): Kind | undefined {
  // Slab pages contain objects of several owners.
  if (frames.some(({ symbol }) => symbol === 'allocate_slab')) return undefined;
  return KINDS.find((kind) => frames.slice(0, 8).some(({ symbol }) => symbol === kind));
}

function siteOf({ sites }: LeaksAnswer, kind: Kind): Site {
  const found = sites.filter((site) => kindOf(site) === kind);
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${found.length} sites of ${kind}: ${JSON.stringify(sites.map(kindOf))}`);
  return found[0];
}

/** Details for a failure log. */
function listed({ sites }: LeaksAnswer, truth: Truth): string {
  return sites
    .map((site) => {
      const kind = kindOf(site);
      const names = site.frames.slice(0, 8).map(({ symbol }) => symbol);
      const held = `${site.lowBytes} ≤ ${site.bytes} ≤ ${site.highBytes}`;
      const truly = kind === undefined ? names.join(' ← ') : `${kind}, truly ${truth[kind].bytes}`;
      return `${site.verdict} (${site.reason}): ${held}: ${truly}`;
    })
    .join('\n');
}

/** A module leaks under load, among other allocations; one frame in `oneIn` is followed. */
export function describeLeaks(
  kernel: LabKernel,
  { oneIn, seconds, inBulk = false }: { readonly oneIn: number; readonly seconds: number; readonly inBulk?: boolean },
): void {
  const leaks = inBulk ? [...LEAKS, 'leak_pool' as const] : LEAKS;
  describe(`${kernel}: leaks of a module, by one frame in ${oneIn}`, () => {
    let guest: LeakGuest | undefined;
    let answer: LeaksAnswer;
    let truth: Truth;

    const record = async (booted: LeakGuest) => {
      await booted.mount();
      // khugepaged replaces pages that processes allocated before the recording: each frees 512
      // that match no allocation.
      await booted.guest.run('echo never > /sys/kernel/mm/transparent_hugepage/enabled');
      await booted.leaks(inBulk ? { ...RATES, ...IN_BULK } : RATES);
      await booted.fed();
      // The load starts with the recording: earlier blocks would be freed at any time, and match no
      // allocation.
      return booted.traced(`--sample 1/${oneIn} --windows 6`, seconds, async () => booted.load(seconds + 60));
    };

    beforeAll(async () => {
      // A busy machine sometimes starves the guest: then the leak is uneven, or the recording late.
      for (let left = 5, steady = false; !steady; left--) {
        guest?.end();
        if (left < 5) await setTimeout(30_000);
        guest = await LeakGuest.boot(kernel);
        ({ answer, truth, steady } = await record(guest));
        if (!steady && left === 1) throw new Error('the guest was starved in 5 recordings');
      }
      console.log(`${kernel}, 1/${oneIn}\n${listed(answer, truth)}`);
    });

    afterAll(() => guest?.end());

    test('reports each of its leaks as leaking: unreferenced, or in a page pool', () => {
      const verdicts = leaks.map((kind) => siteOf(answer, kind)).map(({ verdict, reason }) => [verdict, reason]);
      const expected = leaks.map((kind) => ['leaking', kind === 'leak_pool' ? 'queued' : 'unreferenced']);
      expect(verdicts).toEqual(expected);
    });

    if (inBulk)
      test('reports allocations without an event: no all-clear', () => {
        const bulk = truth.leak_bulk.bytes / PAGE;
        expect(bulk).toBeGreaterThan(100);
        const { allocated = 0, traced = 0 } = answer.unseen ?? {};
        expect(allocated - traced).toBeGreaterThanOrEqual(bulk);
        expect(answer.warnings.map(({ code }) => code)).toContain('unseen');
        expect(answer.complete).toBe(false);
      });

    test('reports nothing else as leaking: no filling cache, no ring, no part of the load', () => {
      const others = answer.sites.filter(
        (site) => site.verdict === 'leaking' && !leaks.some((kind) => kind === kindOf(site)),
      );
      expect(others).toEqual([]);
    });

    test('lists the largest leak first', () => {
      const most = [...leaks].sort((one, other) => truth[other].bytes - truth[one].bytes);
      const [first] = answer.sites;
      expect(first && kindOf(first)).toBe(most[0]);
    });

    test('reports what the module holds: to the byte, or within an interval', () => {
      for (const kind of leaks) {
        const { bytes, lowBytes, highBytes } = siteOf(answer, kind);
        if (oneIn === 1) expect([kind, bytes]).toEqual([kind, truth[kind].bytes]);
        // One in twenty is outside of 95 %; outside of twice that width, less than one in a
        // thousand.
        const spread = 2 * Math.max(bytes - lowBytes, highBytes - bytes);
        expect(Math.abs(truth[kind].bytes - bytes), kind).toBeLessThanOrEqual(spread);
      }
      expect(answer.losses).toMatchObject({ overrun: 0, missedFrees: 0, dropped: 0 });
    });

    test('leaves nothing behind', async () => {
      expect(await guest?.instances()).toEqual([]);
    });
  });
}
