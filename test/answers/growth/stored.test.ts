import { expect, test } from 'vitest';
import { processSampleLine, procsEnd, procsGrowth, procsSample } from '../../../src/answers/growth/lines.js';
import { StoredSamples } from '../../../src/answers/growth/stored.js';
import { formatJson } from '../../../src/base/util.js';
import {
  processSampleSchema,
  procsEndSchema,
  procsGrowthSchema,
  procsSampleSchema,
} from '../../../src/contracts/growth.js';
import { type ProcessesAtTime, ProcessGrowth } from '../../../src/growth/processes.js';
import { SAMPLE_HISTORY } from '../../../src/growth/trend.js';
import { held, look } from '../../growth/made-up-machine.js';

const PSI = {
  some: { avg10: 1.5, avg60: 0, avg300: 0, totalMicroseconds: 9 },
  full: { avg10: 0, avg60: 0, avg300: 0, totalMicroseconds: 0 },
};
const NO_SIZES = {
  rssBytes: 1,
  pssBytes: 1,
  ussBytes: 1,
  anonBytes: 1,
  fileBytes: 1,
  shmemBytes: 0,
  swapBytes: 0,
  swapPssBytes: null,
  hugetlbBytes: 0,
  pageTableBytes: 1,
  lockedBytes: 0,
  pinnedBytes: 0,
  networkPinnedBytes: null,
  freedIfKilledBytes: 2,
};

const LOOKS = Array.from({ length: 20 }, (_, at) =>
  look(
    at,
    [
      held(1, 10 + at, { comm: 'a"\n\u001b', minorFaults: at, cgroupPressure: PSI }),
      held(2, null, { startTicks: null, majorFaults: null }),
      ...(at < 19 ? [held(3, 7, { heldBy: 'rss' })] : []),
    ],
    { pressure: PSI, noPressure: null, noPressureCode: null, memAvailableBytes: null },
  ),
);

/** Output of `procs --ndjson` for these samples. */
function written(looks: readonly ProcessesAtTime[]): string[] {
  const growth = new ProcessGrowth('last', SAMPLE_HISTORY);
  const lines = looks.flatMap((one, index) => {
    growth.add(one);
    const answer = growth.answer();
    if (!answer) return [];
    const listed = answer.processes;
    const facts = { sample: index + 1, processes: listed.length, allListed: one.whole, warnings: [] };
    return [
      formatJson(procsSampleSchema.parse(procsSample(answer, facts))),
      ...listed.map((grown) => {
        const figures = {
          ...grown,
          ...NO_SIZES,
          uid: 0,
          threads: 1,
          ageSeconds: 1,
          startTicks: 1,
          pssUnknown: null,
          pssByKind: null,
          networkEstimate: null,
          oomScore: 1,
          oomScoreAdj: 0,
          sharedWith: [],
          complete: true,
        };
        return formatJson(processSampleSchema.parse(processSampleLine(figures, grown)));
      }),
    ];
  });
  return [...lines, formatJson(procsEndSchema.parse(procsEnd(looks.length, false)))];
}

function stored(lines: readonly string[]) {
  const looks: ProcessesAtTime[] = [];
  const reader = new StoredSamples((one) => looks.push(one));
  for (const line of lines) reader.line(line);
  reader.end();
  return { looks, torn: reader.torn, cut: reader.cut };
}

test('reads its own output back without loss, and without turning null into a number', () => {
  const { looks, torn, cut } = stored(written(LOOKS));
  expect({ torn, cut }).toEqual({ torn: 0, cut: 0 });
  const inOrder = (all: readonly ProcessesAtTime[]) =>
    all.map(({ processes, ...rest }) => ({ ...rest, processes: processes.toSorted((a, b) => a.pid - b.pid) }));
  expect(inOrder(looks)).toEqual(inOrder(LOOKS));
});

test('growth in stored samples conforms to its schema', () => {
  const growth = new ProcessGrowth('first', SAMPLE_HISTORY);
  for (const one of LOOKS) growth.add(one);
  const answer = growth.answer();
  if (!answer) throw new Error('there is no answer');
  const json = procsGrowthSchema.parse(procsGrowth(answer, []));
  expect(json.processes[0]).toMatchObject({
    pid: 1,
    comm: 'a"\n\u001b',
    course: 'grows',
    heldBy: 'pss',
    growth: { samples: 20, seconds: 19, confidence: 0.99 },
  });
  expect(json.processes[1]).toMatchObject({ pid: 2, heldBytes: null, growth: null, course: null });
  expect(json.complete).toBe(false);
});

test('identifies a container by the path of its cgroup', () => {
  const container = 'ab'.repeat(32);
  const place = { cgroup: `/docker/${container}`, pod: null, container };
  const one = held(1, 5);
  const { looks } = stored(written([look(1, [{ ...one, ...place }])]));
  expect(looks[0]?.processes[0]).toMatchObject(place);
});

test('counts truncated lines; their samples report no sum and no exited process', () => {
  const lines = written(LOOKS.slice(0, 3));
  const without = (at: number) => lines.map((line, index) => (index === at ? line.slice(0, 40) : line));
  // A process line, then the sample's own line.
  expect(stored(without(2))).toMatchObject({ torn: 1, cut: 1 });
  expect(stored(without(2)).looks.map(({ whole }) => whole)).toEqual([false, true, true]);
  expect(stored(without(4))).toMatchObject({ torn: 1, cut: 1 });
  expect(stored(without(4)).looks.map(({ whole }) => whole)).toEqual([true, true]);
});

test('counts a stream that ends within a sample as cut', () => {
  expect(stored(written(LOOKS).slice(0, 3))).toMatchObject({ cut: 1, looks: [{ whole: false }] });
});

test('ignores empty lines', () => {
  expect(stored(['', ...written(LOOKS.slice(0, 1)), ' '])).toMatchObject({ torn: 0, cut: 0 });
});

const [firstLine = '', secondLine = ''] = written(LOOKS.slice(0, 1));

test.each([
  ['5', 'it contains no schema'],
  ['{"a":1}', 'it contains no schema'],
  ['{"schema":"kdump-mem.memory/1"}', 'kdump-mem.memory/1 is not a sample of procs --ndjson'],
  [firstLine.replace('"uptimeSeconds":0', '"uptimeSeconds":-1'), 'uptimeSeconds: Too small'],
  [firstLine.replace('"processes":3', '"processes":"3"'), 'processes: Invalid input'],
  [secondLine.replace(/"heldBytes":\d+/, '"heldBytes":1.5'), 'heldBytes: Invalid input'],
])('refuses a line: %s', (line, words) => {
  expect(() => stored([line])).toThrow(words);
});

test('refuses more processes than a sample declares', () => {
  const lines = written(LOOKS.slice(0, 1));
  expect(() => stored([...lines.slice(0, 4), secondLine])).toThrow('more than the 3 processes');
});

test('ignores fields of a later release', () => {
  const lines = written(LOOKS.slice(0, 1)).map((line) => line.replace(/}$/, ',"later":[1]}'));
  expect(stored(lines)).toMatchObject({ torn: 0, cut: 0, looks: [{ whole: true }] });
});
