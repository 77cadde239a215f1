import { describe, expect, test } from 'vitest';
import { freedCell, freedLegend, killingText } from '../../../src/answers/text/freed.js';
import type { Freed } from '../../../src/contracts/sockets.js';

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

describe('kill impact', () => {
  test.each<[Freed, number, string | undefined]>([
    [freed(MIB, MIB), MIB, 'Killing pid 7 would free 1.00 MiB of socket memory and lose its unread data.'],
    [freed(MIB, null), MIB, 'Killing pid 7 would free at least 1.00 MiB of socket memory and lose its unread data.'],
    [freed(0, null), MIB, 'How much killing pid 7 would free is unknown.'],
    [freed(0, 0), 0, undefined],
    [freed(0, 0), MIB, 'Killing pid 7 would free none of it: all of it has another holder.'],
    [
      freed(0, 0, { keptByPools: { low: MIB, high: MIB } }),
      MIB,
      'Killing pid 7 would free none of it. The driver’s page pool keeps 1.00 MiB for new packets.',
    ],
    [
      freed(8 * MIB, 22 * MIB, { between: { ...NOTHING, shared: 12 * MIB - 5, peers: 2 * MIB, unsent: 5 } }),
      20 * MIB,
      'Killing pid 7 would free 8.00 MiB to 22.0 MiB of socket memory and lose its unread data. Not certain to be freed: 12.0 MiB that other processes or the kernel also hold, 2.00 MiB of unsent data of peers on this machine.',
    ],
    [
      freed(0, MIB, { between: { ...NOTHING, uncertain: MIB } }),
      MIB,
      'Killing pid 7 would free up to 1.00 MiB of socket memory and lose its unread data. Not certain to be freed: 1.00 MiB of sockets with a reference of unknown origin.',
    ],
    [
      freed(MIB, 2 * MIB, { keptByPools: { low: MIB, high: 2 * MIB }, between: { ...NOTHING, pools: MIB } }),
      3 * MIB,
      'Killing pid 7 would free 1.00 MiB to 2.00 MiB of socket memory and lose its unread data. Not certain to be freed: 1.00 MiB that the driver’s page pool may keep for new packets. The driver’s page pool keeps 1.00 MiB for new packets.',
    ],
  ])('is a sentence that explains its range (%#)', (one, pinned, text) => {
    expect(killingText(7, one, pinned, true)).toBe(text);
    const [of = '', ...more] = text?.split(/(?<=Killing pid 7|killing pid 7) would free/) ?? [];
    // A machine that no longer runs.
    const past =
      more.length === 0 ? text : `${of} would have freed${more.join('')}`.replace('and lose its', 'and lost its');
    expect(killingText(7, one, pinned, false)).toBe(past);
  });

  test('of one socket: other sockets of the process are no other process', () => {
    const one = freed(7 * MIB, 8 * MIB, { between: { ...NOTHING, shared: MIB } });
    expect(killingText(7, one, 8 * MIB, true, true)).toBe(
      'Killing pid 7 would free 7.00 MiB to 8.00 MiB of the memory of this socket and lose its unread data. Not certain to be freed: 1.00 MiB that other sockets or the kernel also hold (skb --pid 7 counts the sockets of this process together).',
    );
  });

  test('is a cell, and one legend explains ranges', () => {
    const peers = freed(MIB, 2 * MIB, { between: { ...NOTHING, peers: MIB } });
    const kept = freed(0, 0, { keptByPools: { low: MIB, high: MIB } });
    expect([null, freed(MIB, null), peers, kept].map(freedCell)).toEqual([
      '-',
      '≥ 1.00 MiB',
      '1.00 MiB to 2.00 MiB',
      '0',
    ]);
    expect(freedLegend([null, freed(MIB, null), freed(MIB, MIB)])).toBeUndefined();
    expect(freedLegend([peers])).toBe(
      'FREED IF KILLED: the lower figure is certain; the unread data is lost. The upper one includes unsent data of peers on this machine (so it may exceed PINNED).',
    );
    expect(freedLegend([kept])).toBe('Drivers’ page pools keep the pages that they have room for.');
  });
});
