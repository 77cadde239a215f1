import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LeaksJson } from '../../../src/answers/leaks/schema.js';
import type { LabKernel } from '../../support/lab.js';
import { KINDS, type Kind, LeakGuest, type Rates, type Truth } from './leak-guest.js';

const MOST_MS = 1_200_000;
const RATES: Rates = {
  leak_single: 60,
  leak_third: 12,
  leak_fifth: 5,
  // Twice the blocks, since half of each is freed: sockets of before the recording free blocks of this order, too.
  leak_parts: 24,
  keep_page: 100,
  ring_page: 40,
  ring_split: 20,
  ring_exact: 20,
};
/** Pages of each of these are nobody's, and only more of them come. */
const LEAKS = ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts'] as const;

/** What comes many at once: a page pool's are followed, of others no event tells. */
const IN_BULK: Rates = { leak_pool: 100, leak_bulk: 20 };
const PAGE = 4096;

type Site = LeaksJson['sites'][number];

/** What the module did: the function of its table, unless that was interrupted. */
export function kindOf({ frames }: Site): Kind | undefined {
  // Memory of a slab, which objects of anybody's share.
  if (frames.some(({ symbol }) => symbol === 'allocate_slab')) return undefined;
  return KINDS.find((kind) => frames.slice(0, 8).some(({ symbol }) => symbol === kind));
}

function siteOf({ sites }: LeaksJson, kind: Kind): Site {
  const found = sites.filter((site) => kindOf(site) === kind);
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${found.length} sites of ${kind}: ${JSON.stringify(sites.map(kindOf))}`);
  return found[0];
}

/** For whoever reads the log of a failure. */
function listed({ sites }: LeaksJson, truth: Truth): string {
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

/** A module leaks among other things, under load; one frame in so many is followed. */
export function describeLeaks(
  kernel: LabKernel,
  {
    oneIn,
    seconds,
    inBulk = false,
  }: { readonly oneIn: number; readonly seconds: number; readonly inBulk?: boolean },
): void {
  const leaks = inBulk ? [...LEAKS, 'leak_pool' as const] : LEAKS;
  describe(`${kernel}: leaks of a module, by one frame in ${oneIn}`, () => {
    let guest: LeakGuest | undefined;
    let answer: LeaksJson;
    let truth: Truth;

    const record = async (booted: LeakGuest) => {
      await booted.mount();
      // khugepaged replaces pages that processes had before the recording: 512 frees each that match no allocation.
      await booted.guest.run('echo never > /sys/kernel/mm/transparent_hugepage/enabled');
      await booted.leaks(inBulk ? { ...RATES, ...IN_BULK } : RATES);
      await booted.fed();
      // Its load begins with the recording: blocks of before it are freed at any time, and match no allocation.
      return booted.traced(`--sample 1/${oneIn} --windows 6`, seconds, async () =>
        booted.load(seconds + 60),
      );
    };

    beforeAll(async () => {
      // A machine that is busy at times starves the guest: then the leak is uneven, or the recording late.
      for (let left = 5, steady = false; !steady; left--) {
        guest?.end();
        if (left < 5) await setTimeout(30_000);
        guest = await LeakGuest.boot(kernel);
        ({ answer, truth, steady } = await record(guest));
        if (!steady && left === 1) throw new Error('the guest was starved in 5 recordings');
      }
      console.log(`${kernel}, 1/${oneIn}\n${listed(answer, truth)}`);
    }, MOST_MS);

    afterAll(() => guest?.end());

    test('each of its leaks is called leaking: nobody has the blocks, or a page pool', () => {
      const told = leaks
        .map((kind) => siteOf(answer, kind))
        .map(({ verdict, reason }) => [verdict, reason]);
      const expected = leaks.map((kind) => [
        'leaking',
        kind === 'leak_pool' ? 'queued' : 'unreferenced',
      ]);
      expect(told).toEqual(expected);
    });

    if (inBulk)
      test('what came without an event is told: there is no all-clear', () => {
        const bulk = truth.leak_bulk.bytes / PAGE;
        expect(bulk).toBeGreaterThan(100);
        const { allocated = 0, traced = 0 } = answer.unseen ?? {};
        expect(allocated - traced).toBeGreaterThanOrEqual(bulk);
        expect(answer.warnings.map(({ code }) => code)).toContain('unseen');
        expect(answer.complete).toBe(false);
      });

    test('nothing else is: no cache that fills, no ring, nothing of the load', () => {
      const others = answer.sites.filter(
        (site) => site.verdict === 'leaking' && !leaks.some((kind) => kind === kindOf(site)),
      );
      expect(others).toEqual([]);
    });

    test('what it leaks most comes first', () => {
      const most = [...leaks].sort((one, other) => truth[other].bytes - truth[one].bytes);
      const [first] = answer.sites;
      expect(first && kindOf(first)).toBe(most[0]);
    });

    test('what the module holds is told: to the byte, or within an interval', () => {
      for (const kind of leaks) {
        const { bytes, lowBytes, highBytes } = siteOf(answer, kind);
        if (oneIn === 1) expect([kind, bytes]).toEqual([kind, truth[kind].bytes]);
        // One in twenty lies outside of 95 %; outside of twice as much lies none in a thousand.
        const spread = 2 * Math.max(bytes - lowBytes, highBytes - bytes);
        expect(Math.abs(truth[kind].bytes - bytes), kind).toBeLessThanOrEqual(spread);
      }
      expect(answer.losses).toMatchObject({ overrun: 0, missedFrees: 0, dropped: 0 });
    });

    test('nothing stays behind', async () => {
      expect(await guest?.instances()).toEqual([]);
    });
  });
}
