import { expect, test } from 'vitest';
import { z } from 'zod';
import { foldedStacks, speedscope, stacksText } from '../../../src/answers/stacks/render.js';
import { type AllocationStacks, type Frame, stacksSchema } from '../../../src/contracts/stacks.js';

const HOSTILE = '\u001b[2Jx;y\nz';
const frame = (symbol: string | null, module = '/bin/x', offset: string | null = null): Frame => ({
  symbol,
  module,
  offset,
  guess: false,
});
const [START, MAIN, LEAK, BAD] = [
  frame('_start'),
  frame('main'),
  frame('leak'),
  frame(HOSTILE, `/tmp/${HOSTILE}`),
] as const;
const UNKNOWN = frame(null, '/opt/lib/engine.so', '0x1234');
const sum = (pages: number) => ({
  newBytes: pages * 4096,
  anonymous: { faults: pages, bytes: pages * 4096 },
  shared: { faults: 0, bytes: 0 },
  hugetlb: { faults: 0, bytes: 0 },
});
const none = { faults: 0, bytes: 0 };
const ANSWER: AllocationStacks = {
  schema: 'kdump-mem.stacks/1',
  source: 'perf',
  pid: 7,
  comm: HOSTILE,
  seconds: 2,
  requestedSeconds: 2,
  ended: 'time',
  period: 1,
  samples: 100,
  pageSize: 4096,
  pageSizesKnown: true,
  newBytes: 409_600,
  newBytesPerSecond: 204_800,
  anonymous: { faults: 100, bytes: 409_600 },
  shared: none,
  hugetlb: none,
  file: none,
  unknown: none,
  swappedIn: none,
  childFaults: 0,
  minorFaults: 100,
  majorFaults: 0,
  lostRecords: 0,
  truncatedBytes: 0,
  kernelFaults: { atLeast: 99, atMost: 101 },
  anonymousGrowthBytes: 409_600,
  stacks: [
    { frames: [LEAK, MAIN, START], ...sum(70) },
    { frames: [BAD, MAIN, START], ...sum(20) },
    { frames: [UNKNOWN, MAIN, START], ...sum(10) },
  ],
  functions: [
    { frame: LEAK, ...sum(70) },
    { frame: BAD, ...sum(20) },
    { frame: UNKNOWN, ...sum(10) },
  ],
  addressSpace: { mmap: [{ frames: [MAIN, START], calls: 2, bytes: 8192 }], brk: [] },
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

test('JSON conforms to its schema', () => {
  expect(stacksSchema.parse(JSON.parse(JSON.stringify(ANSWER)))).toEqual(ANSWER);
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
