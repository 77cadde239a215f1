import { expect, test } from 'vitest';
import { z } from 'zod';
import { foldedStacks, speedscope, stacksJson, stacksText } from '../../../src/answers/stacks/render.js';
import { stacksSchema } from '../../../src/answers/stacks/schema.js';
import type { StacksAnswer } from '../../../src/profile/faults/counts.js';
import type { Frame } from '../../../src/profile/perf/script.js';

const HOSTILE = '\u001b[2Jx;y\nz';
const frame = (symbol: string | null, module = '/bin/x', offset: string | null = null): Frame => ({
  symbol,
  module,
  offset,
});
const [START, MAIN, LEAK, BAD] = [
  frame('_start'),
  frame('main'),
  frame('leak'),
  frame(HOSTILE, `/tmp/${HOSTILE}`),
] as const;
const UNKNOWN = frame(null, '/opt/lib/engine.so', '0x1234');
const sum = (frames: readonly Frame[], pages: number) => ({
  frames,
  anonymous: { faults: pages, bytes: pages * 4096 },
  shared: { faults: 0, bytes: 0 },
  hugetlb: { faults: 0, bytes: 0 },
});
const none = { faults: 0, bytes: 0 };
const ANSWER: StacksAnswer = {
  pid: 7,
  comm: HOSTILE,
  seconds: 2,
  requestedSeconds: 2,
  ended: 'time',
  period: 1,
  samples: 100,
  pageSize: 4096,
  pageSizesKnown: true,
  anonymous: { faults: 100, bytes: 409_600 },
  shared: none,
  hugetlb: none,
  file: none,
  unknown: none,
  swappedIn: none,
  ofChildren: 0,
  minorFaults: 100,
  majorFaults: 0,
  lost: 0,
  truncatedBytes: 0,
  kernelCounts: { atLeast: 99, atMost: 101 },
  anonymousGrowth: 409_600,
  stacks: [sum([LEAK, MAIN, START], 70), sum([BAD, MAIN, START], 20), sum([UNKNOWN, MAIN, START], 10)],
  functions: [sum([LEAK], 70), sum([BAD], 20), sum([UNKNOWN], 10)],
  space: { mmap: [{ frames: [MAIN, START], calls: 2, bytes: 8192 }], brk: [] },
  warnings: [],
  complete: true,
};

test('text names the allocation sites, and escapes names', () => {
  const text = stacksText(ANSWER, { limit: 10, width: null });
  expect(text).toMatch(/allocated 400 KiB in 2\.0 s, 200 KiB\/s/);
  expect(text).toMatch(/^ +280 KiB +70 % +leak +x$/m);
  expect(text).toMatch(/engine\.so\+0x1234/);
  expect(text).toMatch(/_start → main\n/);
  expect(text).not.toContain('\u001b');
  expect(text).toContain('\\x1b[2Jx;y\\x0az');
});

test.each([40, 80])('text fits %i columns', (width) => {
  for (const line of stacksText(ANSWER, { limit: 10, width }).split('\n'))
    expect([...line].length).toBeLessThanOrEqual(width);
});

test('each folded stack is one line, and names cannot forge functions', () => {
  const lines = foldedStacks(ANSWER);
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).toMatch(/^[^;\n]+(;[^;\n]+){3} \d+$/);
  expect(lines.map((line) => Number(line.split(' ').at(-1))).reduce((a, b) => a + b)).toBe(409_600);
});

test('JSON conforms to its schema, with the outermost frame last', () => {
  const json = stacksSchema.parse(JSON.parse(JSON.stringify(stacksJson(ANSWER))));
  expect(json.stacks[0]?.frames.map(({ symbol }) => symbol)).toEqual(['leak', 'main', '_start']);
  expect(json.newBytes).toBe(json.stacks.reduce((all, { newBytes }) => all + newBytes, 0));
  expect(json.newBytesPerSecond).toBe(204_800);
});

/** Requirements of https://www.speedscope.app/file-format-schema.json for a sampled profile. */
const speedscopeSchema = z.strictObject({
  $schema: z.literal('https://www.speedscope.app/file-format-schema.json'),
  exporter: z.string(),
  name: z.string(),
  activeProfileIndex: z.literal(0),
  shared: z.strictObject({ frames: z.array(z.strictObject({ name: z.string(), file: z.string() })) }),
  profiles: z.array(
    z.strictObject({
      type: z.literal('sampled'),
      name: z.string(),
      unit: z.literal('bytes'),
      startValue: z.literal(0),
      endValue: z.number(),
      samples: z.array(z.array(z.int().nonnegative())),
      weights: z.array(z.number()),
    }),
  ),
});

test('speedscope has each stack outermost first, with its bytes', () => {
  const file = speedscopeSchema.parse(speedscope(ANSWER, '1.2.3'));
  const [profile] = file.profiles;
  expect(profile?.samples.length).toBe(profile?.weights.length);
  expect(profile?.endValue).toBe(409_600);
  const names = profile?.samples[0]?.map((index) => file.shared.frames[index]?.name);
  expect(names).toEqual(['_start', 'main', 'leak']);
});
