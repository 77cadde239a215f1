import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { GrowthAnswer } from '../../src/growth/answer.js';
import { type ProcessesAtTime, ProcessGrowth } from '../../src/growth/processes.js';
import { SAMPLE_HISTORY } from '../../src/growth/trend.js';
import { noise } from './made-up.js';
import { held, look } from './made-up-machine.js';

const MIB = 2 ** 20;
const MINUTE = 60;

function answerOf(looks: Iterable<ProcessesAtTime>, since: 'first' | 'last' = 'last'): GrowthAnswer {
  const growth = new ProcessGrowth(since, SAMPLE_HISTORY);
  for (const one of looks) growth.add(one);
  const answer = growth.answer();
  if (!answer) throw new Error('there was no look');
  return answer;
}

/** Samples, one per minute. */
const minutes = <T = ProcessesAtTime>(many: number, of: (at: number) => T) =>
  Array.from({ length: many }, (_, at) => of(at));

const coursesOf = ({ processes }: GrowthAnswer) =>
  Object.fromEntries(processes.map(({ pid, course }) => [pid, course ?? undefined]));

describe('growing processes', () => {
  test('are listed first, with the rate of a slow leak in its interval', () => {
    const quiet = noise(1);
    const answer = answerOf(
      minutes(600, (at) =>
        look(MINUTE * at, [
          held(1, 300 + quiet()),
          held(2, 100 + quiet() + at / 60),
          // It fills its cache, and then stays level.
          held(3, Math.min(200, 2 * at)),
          // A garbage collector.
          held(4, 50 + (at % 17)),
        ]),
      ),
    );
    expect(coursesOf(answer)).toEqual({ 1: 'steady', 2: 'grows', 3: 'steady', 4: 'steady' });
    const { growth } = answer.processes[0] ?? {};
    const rate = MIB / 3600;
    expect(answer.processes[0]?.pid).toBe(2);
    expect(growth?.low).toBeLessThanOrEqual(rate);
    expect(growth?.high).toBeGreaterThanOrEqual(rate);
    expect(Math.abs((growth?.perSecond ?? 0) / rate - 1)).toBeLessThan(0.1);
    expect(growth).toMatchObject({ samples: 600, seconds: 599 * MINUTE });
  });

  test('have rates by the time of each read, however late it was', () => {
    const late = noise(4);
    const answer = answerOf(
      minutes(40, (at) => {
        const readAt = at + Math.abs(late()) / 4;
        return look(at, [held(1, 100 + readAt, { uptimeSeconds: readAt })]);
      }),
    );
    expect(answer.processes[0]?.growth?.perSecond).toBeCloseTo(MIB, -1);
    expect(answer.processes[0]?.growth?.low).toBeCloseTo(MIB, -1);
  });

  test('exclude samples with unknown values, which are no zeros', () => {
    const answer = answerOf(minutes(60, (at) => look(at, [held(1, at % 3 === 0 ? null : 100), held(2, null)])));
    const [first, second] = answer.processes;
    expect(first?.growth).toMatchObject({ perSecond: 0, low: 0, high: 0, samples: 40 });
    expect(second).toMatchObject({ growth: null, course: null });
    expect(answer.complete).toBe(false);
    expect(answer.loss.processesGrowth).toBeNull();
  });

  test('start a new series if the measure changes', () => {
    const answer = answerOf(
      minutes(60, (at) => look(at, [held(1, at < 30 ? 10 : 100, { heldBy: at < 30 ? 'pss' : 'rss' })])),
    );
    expect(answer.processes[0]).toMatchObject({ course: 'steady', growth: { perSecond: 0, samples: 30 } });
    // The sums change with it, too.
    expect(answer.loss.processesGrowth).toMatchObject({ perSecond: 0, samples: 30 });
  });
});

describe('faults per second', () => {
  const looks = minutes(5, (at) => look(2 * at, [held(1, 10, { minorFaults: 10 * at ** 2, majorFaults: at })]));

  test('are computed from the preceding sample', () => {
    expect(answerOf(looks).processes[0]).toMatchObject({ minorFaultsPerSecond: 35, majorFaultsPerSecond: 0.5 });
  });

  test('are computed from the first sample', () => {
    const [process] = answerOf(looks, 'first').processes;
    expect(process).toMatchObject({ minorFaultsPerSecond: 20, majorFaultsPerSecond: 0.5 });
  });

  test('are null for one sample, or for counts that decrease', () => {
    const none = { minorFaultsPerSecond: null, majorFaultsPerSecond: null };
    expect(answerOf(looks.slice(0, 1)).processes[0]).toMatchObject(none);
    const back = [look(0, [held(1, 10, { minorFaults: 5 })]), look(1, [held(1, 10)])];
    expect(answerOf(back).processes[0]).toMatchObject({ minorFaultsPerSecond: null, majorFaultsPerSecond: 0 });
  });
});

describe('exited processes', () => {
  test('include one whose pid is reused', () => {
    const answer = answerOf(
      minutes(60, (at) => look(at, [held(1, 10), at < 50 ? held(7, 10 + at) : held(7, 500 - at, { startTicks: 999 })])),
    );
    expect(answer.pidsReused).toBe(1);
    expect(coursesOf(answer)[7]).toBe('shrank');
    expect(answer.endedGrowing).toHaveLength(1);
    const [ended] = answer.endedGrowing;
    expect(ended).toMatchObject({ pidReused: true, seenSeconds: 49 });
    expect(ended?.growth?.perSecond).toBeCloseTo(MIB, 3);
  });

  test('are reported once, and leave nothing behind', () => {
    const growth = new ProcessGrowth('last', SAMPLE_HISTORY);
    const endings = minutes(40, (at) => {
      // A different process in each sample.
      growth.add(look(at, [held(1, 10), held(100 + at, 5)]));
      const answer = growth.answer();
      expect(answer?.processes).toHaveLength(2);
      return answer?.ended.map(({ pid }) => pid);
    });
    expect(endings).toEqual([[], ...Array.from({ length: 39 }, (_, at) => [100 + at])]);
  });

  test('are not reported from an incomplete sample', () => {
    const answer = answerOf([look(0, [held(1, 10), held(2, 10)]), look(1, [held(1, 10)], {}, false)]);
    expect(answer.ended).toEqual([]);
    expect(answer.processes).toHaveLength(2);
  });

  test('are kept if they grew, up to a limit, the fastest first', () => {
    const answer = answerOf(
      minutes(21, (at) =>
        look(at, at === 20 ? [] : Array.from({ length: 50 }, (_, pid) => held(pid + 1, (pid + 1) * at))),
      ),
    );
    expect(answer.endedGrowing.map(({ pid }) => pid)).toEqual(Array.from({ length: 20 }, (_, index) => 50 - index));
  });
});

describe('clocks', () => {
  test('samples that are not later are dropped and counted', () => {
    const times = [0, 1, 1, 2, 1.5, 3];
    const answer = answerOf(times.map((time) => look(time, [held(1, time)])));
    expect(answer).toMatchObject({ samples: 4, seconds: 3, notLater: 2 });
  });

  test('rates use the boot clock, though the wall clock may be set back', () => {
    const answer = answerOf(
      minutes(40, (at) => look(at, [held(1, at)], { at: new Date(at < 20 ? 2e12 : 1e12).toISOString() })),
    );
    expect(answer.processes[0]?.growth).toMatchObject({ samples: 40 });
    expect(answer.processes[0]?.growth?.perSecond).toBeCloseTo(MIB, 3);
  });

  test('a reboot restarts everything', () => {
    const answer = answerOf([
      ...minutes(40, (at) => look(1000 + at, [held(1, at)])),
      ...minutes(20, (at) => look(at, [held(1, 100)], { bootId: 'second' })),
    ]);
    expect(answer).toMatchObject({ boots: 2, samples: 20, seconds: 19, endedGrowing: [] });
    expect(answer.processes[0]?.growth).toMatchObject({ perSecond: 0, samples: 20 });
  });

  test('a boot before the last one belongs to another machine', () => {
    const growth = new ProcessGrowth('first', SAMPLE_HISTORY);
    const of = (bootId: string) => growth.add(look(growth.answer() ? 9 : 1, [], { bootId }));
    expect(['a', 'b', 'a'].map(of)).toEqual(['taken', 'taken', 'mixed']);
  });
});

describe('the loss of MemAvailable', () => {
  const losing = (lostAt: (at: number) => number, holds: (at: number) => number) => {
    const wanders = noise(8);
    return answerOf(
      minutes(120, (at) =>
        look(MINUTE * at, [held(1, 100 + holds(at)), held(2, 50)], {
          memAvailableBytes: Math.round((512 - lostAt(at) + wanders()) * MIB),
        }),
      ),
    ).loss;
  };

  test('is attributed to a process, with an estimated end', () => {
    const loss = losing(
      (at) => at,
      (at) => at,
    );
    expect(loss.explanation).toBe('processes');
    // 512 - 119 MiB are left, and one is lost per minute.
    const { soonest = 0, likely = 0, latest = 0 } = loss.memAvailableExhausted ?? {};
    expect(likely / MINUTE).toBeGreaterThan(385);
    expect(likely / MINUTE).toBeLessThan(401);
    expect(soonest).toBeLessThan(likely);
    expect(latest).toBeGreaterThan(likely);
  });

  test('is attributed to nothing if no process explains it', () => {
    expect(
      losing(
        (at) => at,
        () => 0,
      ).explanation,
    ).toBe('nothing');
    expect(
      losing(
        (at) => at,
        (at) => at / 4,
      ).explanation,
    ).toBe('nothing');
    expect(
      losing(
        (at) => at,
        (at) => 0.8 * at,
      ).explanation,
    ).toBe('processes');
  });

  test('has no end and no explanation if there is none', () => {
    for (const lostAt of [() => 0, (at: number) => -at, (at: number) => (at < 30 ? 0 : 200)])
      expect(losing(lostAt, (at) => at)).toMatchObject({ memAvailableExhausted: null, explanation: null });
  });

  const shared = (by: 'pss' | 'rss') =>
    answerOf(
      minutes(120, (at) =>
        look(
          MINUTE * at,
          Array.from({ length: 4 }, (_, pid) => held(pid + 1, at / 4, { heldBy: by })),
          { memAvailableBytes: Math.round((512 - at) * MIB) },
        ),
      ),
    );

  test('is not attributed with certainty to memory that counts for each sharing process', () => {
    expect(shared('pss').loss.explanation).toBe('processes');
    expect(shared('pss').complete).toBe(true);
    expect(shared('rss').loss.explanation).toBeNull();
    expect(shared('rss').complete).toBe(false);
  });

  test('has no sum for a sample without all processes', () => {
    const { loss } = answerOf(minutes(120, (at) => look(at, [held(1, 5)], { memAvailableBytes: 1e9 - at }, false)));
    expect(loss).toMatchObject({ processesGrowth: null, otherGrowth: null, explanation: null });
    expect(loss.memAvailableCourse).toBe('shrinks');
  });
});

/** Bytes in use after garbage collection. */
function inUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('uses memory in proportion to concurrent processes, 20 MiB for 5,000', () => {
  const growth = new ProcessGrowth('last', SAMPLE_HISTORY);
  const looking = (from: number, to: number) => {
    for (let at = from; at < to; at++)
      // A tenth of them are new in each sample.
      growth.add(
        look(
          at,
          Array.from({ length: 5000 }, (_, pid) => held(pid + 1, pid % 50, { startTicks: pid % 10 === 0 ? at : 1 })),
        ),
      );
  };
  const before = inUse();
  looking(0, 20);
  const after = inUse();
  expect(after - before).toBeLessThan(20 * MIB);
  looking(20, 50);
  // If 30 times 500 processes left data behind, it would be 20 MiB.
  expect(inUse() - after).toBeLessThan(10 * MIB);
  expect(growth.answer()?.processes).toHaveLength(5000);
});
