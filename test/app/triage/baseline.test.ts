import { describe, expect, test } from 'vitest';
import { changesSince as changes } from '../../../src/app/triage/baseline.js';
import type { HostState } from '../../../src/diff/state.js';

const GIB = 2 ** 30;

const changesSince = (before: HostState, { origin, memory }: HostState) =>
  changes(before, origin, { source: memory!.depth, memory: memory!.tree } as Parameters<
    typeof changes
  >[2]);

interface Made {
  readonly uptime?: number | null;
  readonly at?: number;
  readonly bootId?: string | null;
  readonly host?: string;
  readonly depth?: string;
  readonly unattributed?: number;
  readonly slab?: number;
}

function state({
  uptime = 1000,
  at = 50_000,
  bootId = 'one',
  host = 'db1',
  depth = 'counters',
  unattributed = 0,
  slab = 0,
}: Made): HostState {
  const leaf = (category: string, bytes: number) => ({ category, bytes, children: [] });
  return {
    name: 'monday',
    origin: { at: new Date(at * 1000), host, bootId, uptime },
    release: null,
    pageSize: 4096,
    memory: {
      depth,
      drift: 0,
      tree: {
        category: 'memory',
        bytes: 10 * GIB,
        children: [
          {
            category: 'kernel',
            bytes: unattributed + slab,
            children: [leaf('unattributed', unattributed), leaf('slab-unreclaimable', slab)],
          },
        ],
      },
    },
    lists: {},
    flaws: [],
  };
}

const LATER = { uptime: 4600, at: 53_600 };

describe('changes since a baseline', () => {
  test('growth of memory that cannot be reclaimed, by its share', () => {
    const before = state({ unattributed: 1, slab: GIB });
    const found = changesSince(before, state({ ...LATER, unattributed: GIB, slab: 1.2 * GIB }));
    expect(found).toMatchObject([
      {
        code: 'memory-growth',
        severity: 'warning',
        figures: { category: 'unattributed', grownBytes: GIB - 1, beforeBytes: 1, seconds: 3600 },
      },
      { code: 'memory-growth', severity: 'note', figures: { category: 'slab-unreclaimable' } },
    ]);
  });

  test.each([
    ['less than 1 % of memory', { unattributed: 0.009 * 10 * GIB }],
    ['a decline', { slab: -GIB }],
    ['nothing', {}],
  ])('%s is no finding', (_, change) => {
    const before = state({ unattributed: 0, slab: GIB });
    const now = { slab: GIB + ('slab' in change ? change.slab : 0), unattributed: 0, ...change };
    expect(changesSince(before, state({ ...LATER, ...now, slab: Math.max(0, now.slab) }))).toEqual(
      [],
    );
  });

  test('another boot: its memory is not compared', () => {
    const now = state({ ...LATER, bootId: 'two', uptime: 20, unattributed: 5 * GIB });
    expect(changesSince(state({}), now)).toMatchObject([
      { code: 'rebooted', figures: { uptimeSeconds: 20 } },
    ]);
  });

  test.each([300, -300])('a step of the clock by %i s, against the uptime', (step) => {
    const found = changesSince(state({}), state({ ...LATER, at: LATER.at + step }));
    expect(found).toMatchObject([
      { code: 'clock-step', figures: { stepSeconds: step, seconds: 3600 } },
    ]);
  });

  test.each([
    ['is of another host', state({ host: 'db2', bootId: null }), state({ ...LATER, bootId: null })],
    ['not older', state(LATER), state({})],
    ['categories are from kcore, not from counters', state({ depth: 'kcore' }), state(LATER)],
    ['boot of the baseline is unknown', state({ bootId: null, uptime: null }), state(LATER)],
  ])('a baseline that cannot be compared is an error: %s', (words, before, now) => {
    expect(() => changesSince(before, now)).toThrow(words);
  });
});
