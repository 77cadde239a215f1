import { describe, expect, test } from 'vitest';
import type { Freed } from '../../../src/account/freed.js';
import { freedCell, freedLegend, killingText } from '../../../src/answers/text/freed.js';

const MIB = 1024 * 1024;
const NOTHING = { shared: 0, pools: 0, unsent: 0, peers: 0, uncertain: 0 };
const freed = (low: number, high: number | null, more: Partial<Freed> = {}): Freed => ({
  low,
  high,
  toPools: 0,
  keptByPools: { low: 0, high: 0 },
  between: high === null ? null : NOTHING,
  ...more,
});

describe('a kill', () => {
  test.each<[Freed, number, string | undefined]>([
    [freed(MIB, MIB), MIB, 'Killing pid 7 gives back 1.00 MiB.'],
    [freed(MIB, null), MIB, 'Killing pid 7 gives back at least 1.00 MiB.'],
    [freed(0, null), MIB, 'What killing pid 7 gives back cannot be told.'],
    [freed(0, 0), 0, undefined],
    [
      freed(0, 0),
      MIB,
      'Killing pid 7 alone gives none of it back: something else has all of it open too.',
    ],
    [
      freed(0, 0, { keptByPools: { low: MIB, high: MIB } }),
      MIB,
      'Killing pid 7 gives none of it back: the driver’s page pool keeps 1.00 MiB for new packets.',
    ],
    [
      freed(8 * MIB, 22 * MIB, {
        between: { ...NOTHING, shared: 12 * MIB - 5, peers: 2 * MIB, unsent: 5 },
      }),
      20 * MIB,
      'Killing pid 7 gives back 8.00 MiB to 22.0 MiB: 12.0 MiB others hold too; 2.00 MiB other ends have still to send.',
    ],
    [
      freed(0, MIB, { between: { ...NOTHING, uncertain: MIB } }),
      MIB,
      'Killing pid 7 gives back up to 1.00 MiB: 1.00 MiB is of sockets to which something refers that was not found.',
    ],
    [
      freed(MIB, 2 * MIB, {
        keptByPools: { low: MIB, high: 2 * MIB },
        between: { ...NOTHING, pools: MIB },
      }),
      3 * MIB,
      'Killing pid 7 gives back 1.00 MiB to 2.00 MiB: 1.00 MiB the driver’s page pool may keep for new packets; the driver’s page pool keeps 1.00 MiB for new packets.',
    ],
  ])('is told in a sentence, with why there is a range (%#)', (one, pinned, text) => {
    expect(killingText(7, one, pinned)).toBe(text);
  });

  test('is told in a cell, and why it has two figures in one line for all', () => {
    const peers = freed(MIB, 2 * MIB, { between: { ...NOTHING, peers: MIB } });
    const kept = freed(0, 0, { keptByPools: { low: MIB, high: MIB } });
    expect([null, freed(MIB, null), peers, kept].map(freedCell)).toEqual([
      ...['-', '≥ 1.00 MiB', '1.00 MiB to 2.00 MiB', '0'],
    ]);
    expect(freedLegend([null, freed(MIB, null), freed(MIB, MIB)])).toBeUndefined();
    expect(freedLegend([peers])).toBe(
      'FREED IF KILLED: the first figure is sure, the second has with it what other ends on this machine have still to send (so it may exceed PINNED).',
    );
    expect(freedLegend([kept])).toBe('What drivers’ page pools have room for they keep.');
  });
});
