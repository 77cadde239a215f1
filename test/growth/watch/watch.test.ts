import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { MachineSample } from '../../../src/contracts/growth.js';
import type { DeviceSample } from '../../../src/contracts/watch.js';
import type { DeviceSamples, WatchAnswer, WatchSample } from '../../../src/growth/watch/answer.js';
import { choose, MAX_PROCESSES, WatchGrowth } from '../../../src/growth/watch/watch.js';
import type { CategoryName } from '../../../src/records/categories.js';
import type { DeviceKind } from '../../../src/records/named-memory.js';
import { held, look } from '../made-up-machine.js';
import { MB } from './made-up-weeks.js';

const HOUR = 3600;
const GB = 1e9;

/** A sample with this many MB of slab, and with differences from a quiet machine. */
function sample(
  uptime: number,
  { slab = 100, machine = {}, processes = [held(1, 10)], ...more }: SampleOptions = {},
): WatchSample {
  const categories = new Map<CategoryName, number>([
    ['slab-unreclaimable', slab * MB],
    ['anonymous', GB],
    ['free-buddy', 4 * GB - slab * MB],
  ]);
  return {
    look: look(uptime, processes, { memAvailableBytes: 3 * GB, ...machine }),
    ledger: { source: 'counters', categories },
    noCategories: null,
    hidden: false,
    interval: HOUR,
    lost: 0,
    ...more,
  };
}

interface SampleOptions extends Partial<WatchSample> {
  readonly slab?: number;
  readonly machine?: Partial<MachineSample>;
  readonly processes?: readonly ReturnType<typeof held>[];
}

function answerOf(samples: readonly WatchSample[]): WatchAnswer {
  const growth = new WatchGrowth();
  for (const one of samples) growth.add(one);
  const answer = growth.answer();
  if (!answer) throw new Error('there was no sample');
  return answer;
}

/** Samples, one per hour. */
const hours = <T>(many: number, of: (at: number) => T) => Array.from({ length: many }, (_, at) => of(at));

const codesOf = ({ doubts }: WatchAnswer) => doubts.map(({ code }) => code);

describe('no growth', () => {
  test('is reported if it is known: over two days, without gaps', () => {
    const answer = answerOf(hours(72, (at) => sample(HOUR * at)));
    expect(answer).toMatchObject({ verdict: 'nothing-grows', doubts: [], atMostPerSecond: 0 });
  });

  test.each<[string, () => WatchSample[]]>([
    ['too-short', () => hours(40, (at) => sample(HOUR * at))],
    ['gaps', () => hours(72, (at) => sample(HOUR * (at < 60 ? at : at + 20)))],
    ['no-categories', () => hours(72, (at) => sample(HOUR * at, at % 2 ? {} : { ledger: null, noCategories: 'x' }))],
    ['no-categories', () => hours(72, (at) => sample(HOUR * at, { ledger: null, noCategories: 'denied' }))],
    ['may-grow', () => hours(72, (at) => sample(HOUR * at, { slab: 1000 + 700 * Math.sin(at ** 2) }))],
    [
      'available-falls',
      () => hours(72, (at) => sample(HOUR * at, { machine: { memAvailableBytes: 3 * GB - at * MB } })),
    ],
    [
      'too-short',
      () =>
        hours(90, (at) => {
          const one = sample(HOUR * at);
          return at < 80 || !one.ledger ? one : { ...one, ledger: { ...one.ledger, source: 'pageflags' as const } };
        }),
    ],
    ['clock', () => [...hours(72, (at) => sample(HOUR * at)), sample(5)]],
  ])('is not reported with %s', (code, samples) => {
    const answer = answerOf(samples());
    expect(answer.verdict).toBe('inconclusive');
    expect(codesOf(answer)).toContain(code);
  });

  test('is reported together with losses that do not matter', () => {
    const samples = hours(72, (at) => sample(HOUR * at, { hidden: true, lost: at === 9 ? 1 : 0 }));
    const answer = answerOf(samples);
    expect(answer).toMatchObject({ verdict: 'nothing-grows', lostSamples: 1 });
    expect(codesOf(answer)).toEqual(['lost-samples', 'hidden']);
  });
});

describe('growth', () => {
  const leaking = (at: number) => sample(HOUR * at, { slab: 100 + 60 * at });

  test('is named with its rate, except in reclaimable and free memory', () => {
    const answer = answerOf(
      hours(72, (at) => {
        const one = leaking(at);
        const categories = new Map(one.ledger?.categories).set('page-cache', at * MB);
        return { ...one, ledger: { source: 'counters', categories } };
      }),
    );
    expect(answer.verdict).toBe('grows');
    const [first] = answer.categories;
    expect(first).toMatchObject({ category: 'slab-unreclaimable', reclaimable: false });
    expect(first?.growth?.perSecond).toBeCloseTo((60 * MB) / HOUR, -1);
    const caches = answerOf(
      hours(72, (at) => ({
        ...sample(HOUR * at),
        ledger: {
          source: 'counters' as const,
          categories: new Map<CategoryName, number>([
            ['page-cache', at * MB],
            ['slab-unreclaimable', MB],
            ['free-buddy', at * MB],
            ['anonymous', GB - 2 * at * MB],
          ]),
        },
      })),
    );
    expect(caches.verdict).toBe('nothing-grows');
    expect(caches.categories.filter(({ course }) => course === 'grows')).toHaveLength(2);
  });

  test('is reported for a single process', () => {
    const answer = answerOf(hours(72, (at) => sample(HOUR * at, { processes: [held(1, 10), held(7, 10 + at)] })));
    expect(answer.verdict).toBe('grows');
    expect(answer.growth.processes[0]?.pid).toBe(7);
  });

  test('is not joined for a process whose pid is reused', () => {
    const answer = answerOf(
      hours(72, (at) =>
        sample(HOUR * at, { processes: [at < 60 ? held(7, 10 + at) : held(7, 10, { startTicks: 999 })] }),
      ),
    );
    expect(answer.growth.pidsReused).toBe(1);
    expect(answer.growth.processes).toHaveLength(1);
    expect(answer.growth.processes[0]?.growth?.samples).toBe(12);
    expect(answer.growth.endedGrowing[0]).toMatchObject({ pidReused: true });
  });

  test('is not joined either if a sample lacks processes of the preceding one', () => {
    const growth = new WatchGrowth();
    const part = (at: number, processes: ReturnType<typeof held>[]) =>
      growth.add({ ...sample(HOUR * at), look: look(HOUR * at, processes, {}, false) });
    part(0, [held(7, 10), held(8, 10)]);
    part(1, [held(7, 10, { startTicks: 999 })]);
    const answer = growth.answer();
    expect(answer?.growth.pidsReused).toBe(1);
    expect(answer?.growth.ended.map(({ pid }) => pid)).toEqual([7]);
  });
});

describe('clocks', () => {
  test('a reboot restarts everything, and earlier results are kept', () => {
    const answer = answerOf([
      ...hours(72, (at) => sample(HOUR * at, { slab: 60 * at })),
      ...hours(60, (at) => sample(HOUR * at, { machine: { bootId: 'second' } })),
    ]);
    expect(answer).toMatchObject({ verdict: 'nothing-grows', seconds: 59 * HOUR });
    expect(codesOf(answer)).toEqual(['rebooted']);
    expect(answer.earlierBoots).toHaveLength(1);
    const [before] = answer.earlierBoots;
    expect(before).toMatchObject({ bootId: 'first', verdict: 'grows', samples: 72 });
    expect(before?.growing.map(({ category }) => category)).toEqual(['slab-unreclaimable']);
  });

  test('the number of stored boots is limited', () => {
    const growth = new WatchGrowth();
    for (let boot = 0; boot < 50; boot++)
      for (const at of [1, 2]) growth.add(sample(at, { machine: { bootId: `${boot}` } }));
    expect(growth.answer()?.earlierBoots.map(({ bootId }) => bootId)).toEqual(
      Array.from({ length: 10 }, (_, index) => `${39 + index}`),
    );
    expect(growth.answer()?.growth.boots).toBe(50);
    expect(growth.add(sample(5, { machine: { bootId: '3' } }))).toBe('mixed');
  });

  test('rates use the boot clock, though the wall clock may be set back', () => {
    const answer = answerOf(
      hours(72, (at) =>
        sample(HOUR * at, { slab: 60 * at, machine: { at: new Date(at < 40 ? 2e12 : 1e12).toISOString() } }),
      ),
    );
    expect(answer.verdict).toBe('grows');
    expect(answer.categories[0]?.growth?.perSecond).toBeCloseTo((60 * MB) / HOUR, -1);
  });

  test('an uptime that disagrees with the wall clock makes the answer inconclusive', () => {
    // A virtual machine that is paused and resumed: each hour of uptime takes two by the wall clock.
    const stopped = hours(72, (at) =>
      sample(HOUR * at, { machine: { at: new Date(1e12 + 2 * 3.6e6 * at).toISOString() } }),
    );
    expect(answerOf(stopped).verdict).toBe('inconclusive');
    expect(answerOf(stopped).doubts).toEqual([{ code: 'clock', count: 71, seconds: 71 * HOUR }]);
    // One step of ten minutes in three days, as a daemon sets a clock.
    const once = hours(72, (at) =>
      sample(HOUR * at, { machine: { at: new Date(1e12 + 3.6e6 * at + (at > 9 ? 6e5 : 0)).toISOString() } }),
    );
    expect(answerOf(once)).toMatchObject({ verdict: 'nothing-grows', doubts: [] });
  });

  test('gaps are counted, with their durations', () => {
    const { gaps } = answerOf([0, 1, 2, 10, 11, 31].map((at) => sample(HOUR * at)));
    expect(gaps).toEqual({ count: 2, seconds: 26 * HOUR, longestSeconds: 19 * HOUR });
  });
});

describe('the sum of all categories', () => {
  /** A sample in which one category has this many bytes, on a machine with this many. */
  const saying = (at: number, bytes: number, total = 5 * GB) => {
    const one = sample(HOUR * at, { machine: { memTotalBytes: total } });
    const categories = new Map(one.ledger?.categories).set('anonymous', bytes);
    return { ...one, ledger: { source: 'counters', categories } } as const;
  };

  test.each([71, 30])('exceeds the machine in sample %i, so that a line is damaged', (wrong) => {
    const answer = answerOf(hours(72, (at) => saying(at, at === wrong ? 9 * GB : GB)));
    expect(codesOf(answer)).toContain('sum-changed');
    expect(answer.verdict).toBe('inconclusive');
  });

  test('grows after memory was plugged in, of which the kernel uses a part', () => {
    const answer = answerOf(hours(72, (at) => (at < 30 ? saying(at, GB) : saying(at, 2 * GB, 5.98 * GB))));
    expect(codesOf(answer)).not.toContain('sum-changed');
  });
});

test('a bad clock before a reboot causes no doubt after it', () => {
  const after = { machine: { bootId: 'second' } };
  const answer = answerOf([sample(2 * HOUR), sample(HOUR), ...hours(72, (at) => sample(HOUR * at, after))]);
  expect(codesOf(answer)).toEqual(['rebooted']);
  expect(answer.verdict).toBe('nothing-grows');
});

test('categories restart if the source changes', () => {
  const answer = answerOf(
    hours(72, (at) => {
      const one = sample(HOUR * at, { slab: at < 70 ? 100 : 900 });
      const source = at < 70 ? 'counters' : 'pageflags';
      return { ...one, ledger: { source, categories: one.ledger?.categories ?? new Map() } } as const;
    }),
  );
  expect(codesOf(answer)).toContain('source-changed');
  expect(answer).toMatchObject({ verdict: 'inconclusive', source: 'pageflags', sourceChanges: 1 });
  expect(answer.categories[0]?.growth).toBeNull();
});

describe('processes in a sample', () => {
  const many = Array.from({ length: 400 }, (_, index) => held(index + 1, 400 - index));

  test('are the largest, with sums of the others', () => {
    const { processes, others, droppedProcesses: letGo } = choose(many, new Set());
    expect(processes).toEqual(many.slice(0, MAX_PROCESSES));
    expect(others.processes).toBe(400 - MAX_PROCESSES);
    const all = many.reduce((sum, one) => sum + (one.takenBytes ?? 0), 0);
    const own = processes.reduce((sum, one) => sum + (one.takenBytes ?? 0), 0);
    expect([others.takenBytes, others.seenBytes, letGo]).toEqual([all - own, all - own, 0]);
  });

  test('keep those of the preceding sample while there is room', () => {
    const before = (pids: number[]) => new Set(pids.map((pid) => `${pid} ${100 + pid}`));
    expect(choose(many, before([300])).processes.at(-1)?.pid).toBe(300);
    const all = choose(many, before(many.map(({ pid }) => pid)));
    expect(all.processes).toHaveLength(2 * MAX_PROCESSES);
    expect(all.droppedProcesses).toBe(400 - 2 * MAX_PROCESSES);
  });

  test('make the sum unknown if one value is unknown', () => {
    expect(choose([...many, held(900, null)], new Set()).others.takenBytes).toBeNull();
  });
});

/** Bytes in use after garbage collection. */
function inUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('memory is limited for 100,000 samples with changing processes', () => {
  const growth = new WatchGrowth();
  const watch = (from: number, to: number) => {
    for (let at = from; at < to; at++) {
      const processes = Array.from({ length: 5 }, (_, index) =>
        // A tenth of them are new in each sample, and samples do not list exits.
        held(index < 2 ? 10 * at + index + 100 : index, index),
      );
      growth.add({ ...sample(60 * at, { interval: 60 }), look: look(60 * at, processes, {}, false) });
    }
  };
  watch(0, 20_000);
  const before = inUse();
  watch(20_000, 100_000);
  expect(inUse() - before).toBeLessThan(4 * 2 ** 20);
  const answer = growth.answer();
  expect(answer?.growth?.samples).toBe(100_000);
  expect(answer?.seconds).toBe(60 * 99_999);
  expect(answer?.growth.processes.length).toBeLessThanOrEqual(400);
});

describe('rings and pins', () => {
  const perf = (mib: number | null): DeviceSample => {
    const bytes = mib === null ? null : mib * MB;
    return { kind: 'trace-rings', name: 'perf', bytes, leastBytes: bytes ?? 0, mostBytes: bytes ?? GB, process: null };
  };
  const of = (lists: readonly DeviceSamples[]) =>
    answerOf(lists.map((devices, at) => sample(HOUR * at, { devices }))).devices;
  const grown = hours(72, (at) => ({ devices: [perf(10 + at)], unread: [] as DeviceKind[] }));

  test('that grow have a rate, and do not change the verdict', () => {
    const [one] = of(grown);
    expect(one).toMatchObject({ name: 'perf', bytes: 81 * MB, course: 'grows' });
    expect(one?.growth?.perSecond).toBeCloseTo(MB / HOUR, 3);
    const answer = answerOf(grown.map((devices, at) => sample(HOUR * at, { devices })));
    expect(answer).toMatchObject({ verdict: 'nothing-grows', doubts: [] });
  });

  test('a list that could not be read, or in part, is no decline and no growth', () => {
    const cut = grown.map((list, at) =>
      at % 5 === 4 ? { devices: [perf(1)], unread: ['trace-rings' as const] } : list,
    );
    expect(of(cut.slice(0, -1))[0]?.growth?.perSecond).toBeCloseTo(MB / HOUR, 3);
  });

  test('one that was closed starts again, and an unknown amount has no rate', () => {
    const again = grown.map((list, at) => (at === 70 ? { devices: [], unread: [] } : list));
    expect(of(again)).toMatchObject([{ bytes: 81 * MB, growth: null }]);
    expect(of([...grown, { devices: [perf(null)], unread: [] }])).toMatchObject([{ bytes: null, growth: null }]);
  });
});
