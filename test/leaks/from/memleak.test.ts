import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { leaksText } from '../../../src/answers/leaks/text.js';
import { leaksAnswer } from '../../../src/leaks/answer.js';
import { recordingFrom } from '../../../src/leaks/from/recording-from.js';
import { noLookup } from '../../../src/leaks/survivors/lookup.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('memleak-');
let files = 0;

type Input = [texts: readonly string[], type?: 'page' | 'slab' | 'vmalloc', seconds?: number];

function recordingOf(...[texts, type = 'page', seconds]: Input) {
  const paths = texts.map((text) => {
    const path = join(folder, `text-${files++}`);
    writeFileSync(path, text);
    return path;
  });
  const limits = { windows: null, seconds: seconds ?? null, pageSize: 4096, maxBlocks: 1000, maxSurvivors: 100 };
  return recordingFrom({ type, paths, ...limits });
}

async function answerOf(...input: Input) {
  return leaksAnswer(await recordingOf(...input), noLookup('from-file'));
}

interface Form {
  readonly head: (second: number, most: number) => string;
  readonly stack: (bytes: number, frames: readonly string[]) => string;
}
const two = (number: number) => String(number).padStart(2, '0');
/** What the versions of memleak print. */
const FORMS: Readonly<Record<string, Form>> = {
  bcc: {
    head: (second, most) => `[23:59:${two(second)}] Top ${most} stacks with outstanding allocations:\n`,
    stack: (bytes, frames) =>
      `\t${bytes} bytes in ${bytes / 64} allocations from stack\n${frames.map((frame) => `\t\t${frame} [kernel]\n`).join('')}`,
  },
  'bcc with addresses and blocks': {
    head: (second, most) =>
      `[23:59:${two(second)}] Top ${most} stacks with outstanding allocations:\n\taddr = ffff888100000000 size = 64\n`,
    stack: (bytes, frames) =>
      `\t${bytes} bytes in ${bytes / 64} allocations from stack\n${frames.map((frame) => `\t\t0xffffffff81000000\t${frame} [kernel]\n`).join('')}`,
  },
  'libbpf tools': {
    head: (second, most) => `[23:59:${second}] Top ${most} stacks with outstanding allocations:\n`,
    stack: (bytes, frames) =>
      `${bytes} bytes in ${bytes / 64} allocations from stack\n${frames.map((frame, at) => `\t${String(at).padStart(3)} [<ffffffff81000000>] ${frame}\n`).join('')}`,
  },
};
const LEAK = ['__kmalloc+0x1a', 'leaky_alloc+0x2b', 'process_one_work+0x3c'];
const STEADY = ['kmem_cache_alloc+0x1a', 'alloc_inode+0x2b'];

/** Ten reports: one stack leaks 6,400 bytes every five seconds, one is steady. */
const text = ({ head, stack }: Form, most = 10) =>
  Array.from(
    { length: 10 },
    (_, at) => head(5 + 5 * at, most) + stack(640, STEADY) + stack(6400 * (at + 1), LEAK),
  ).join('');

describe.each(Object.entries(FORMS))('%s', (_, form) => {
  test('the stack that grows is named, with its bytes and its rate', async () => {
    const found = await answerOf([`Attaching to kernel allocators, Ctrl+C to quit.\n${text(form)}`]);
    const [leak, steady] = found.sites;
    expect([leak?.verdict, leak?.bytes, leak?.blocks]).toEqual(['growing', 64_000, 1000]);
    expect(leak?.growth?.perSecond).toBeCloseTo(1280, 0);
    expect(leak?.frames.map(({ symbol }) => symbol)).toEqual(['__kmalloc', 'leaky_alloc', 'process_one_work']);
    expect([steady?.verdict, steady?.bytes]).toEqual(['transient', 640]);
    expect([found.seconds, found.windows, found.complete]).toEqual([50, 10, false]);
    expect(leaksText(found, { limit: 20, width: null })).toMatch(/leaky_alloc/);
    expect(found).toMatchObject({ method: 'memleak' });
  });

  test('quoted, and with line ends of a mail, it reads alike', async () => {
    const plain = await answerOf([text(form)]);
    const quoted = await answerOf([
      text(form)
        .replace(/^(?=.)/gm, '> ')
        .replaceAll('\n', '\r\n'),
    ]);
    expect(quoted.sites).toEqual(plain.sites);
  });

  test('cut anywhere, it never has more than the whole', async () => {
    const whole = text(form);
    for (let at = 900; at < whole.length; at += 97) {
      const found = await answerOf([whole.slice(0, at)]);
      expect(found.complete).toBe(false);
      for (const { bytes } of found.sites) expect(bytes).toBeLessThanOrEqual(64_000);
    }
  });
});

const BCC = FORMS.bcc!;

test('a stack below the largest counts with the smallest that was printed', async () => {
  const report = (at: number, ...stacks: readonly string[]) => BCC.head(5 * at, 1) + stacks.join('');
  const [steady, leak] = [BCC.stack(6400, STEADY), BCC.stack(12_800, LEAK)];
  const texts = [report(1, steady) + report(2, steady) + report(3, steady) + report(4, leak)];
  const found = await answerOf(texts);
  expect(found.sites.map(({ bytes }) => bytes)).toEqual([12_800]);
  expect((await recordingOf(texts)).readings.map(({ held }) => [...held.values()].map(({ bytes }) => bytes))).toEqual([
    [],
    [6400, 6400],
    [6400, 6400],
    [6400, 6400],
    [12_800],
  ]);
  expect(found.warnings.map(({ code }) => code)).toContain('source-largest');
});

test('midnight is no step back', async () => {
  const reports = ['23:59:50', '23:59:55', '00:00:00'].map(
    (time) => `[${time}] Top 10 stacks with outstanding allocations:\n${BCC.stack(640, STEADY)}`,
  );
  expect((await answerOf([reports.join('')])).seconds).toBe(15);
});

test.each([
  ['one report', [BCC.head(5, 10) + BCC.stack(640, LEAK)], 'one report of memleak does not show growth'],
  [
    'a process',
    [text({ ...BCC, stack: (bytes) => `\t${bytes} bytes in 1 allocations from stack\n\t\tmain+0x1 [app]\n` })],
    'memleak recorded a process, not the kernel',
  ],
  ['two outputs', [text(BCC), text(BCC)], 'they count from different times'],
] as const)('%s is refused', async (_, texts, message) => {
  await expect(answerOf(texts)).rejects.toThrow(message);
});

test('the option for copies, and areas, are refused', async () => {
  await expect(answerOf([text(BCC)], 'page', 60)).rejects.toThrow('it has timestamps');
  await expect(answerOf([text(BCC)], 'vmalloc')).rejects.toThrow('no vmalloc areas');
});

describe('page_owner_sort', () => {
  const block = (times: number, name: string, rest: string) =>
    `${times} times, ${times * 4} pages${rest}:\nPage allocated via order 2, mask 0x0(), pid 1, tgid 1 (a), ts 9 ns\n ${name}+0x1/0x2\n\n`;
  test.each(['', ', allocated by SLAB '])('copies count each block (%j)', async (rest) => {
    const found = await answerOf(
      [block(5, 'leak', rest) + block(3, 'b', rest), block(9, 'leak', rest) + block(3, 'b', rest)],
      'page',
      600,
    );
    expect(
      found.sites.map(({ frames, beforeBytes, bytes, blocks }) => [frames[0]?.symbol, beforeBytes, bytes, blocks]),
    ).toEqual([['leak', 5 * 16_384, 4 * 16_384, 4]]);
  });
});
