import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recordingFrom } from '../../../src/leaks/from/recording-from.js';
import type { FromOrder } from '../../../src/leaks/from/text-event.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('leaks-doubtful-');

let files = 0;
const of = (...texts: readonly string[]) => of2(texts);

function of2(texts: readonly string[], order: Partial<FromOrder> = {}) {
  const paths = texts.map((text) => {
    const path = join(folder, `${files++}.txt`);
    writeFileSync(path, text);
    return path;
  });
  return recordingFrom({
    type: 'page',
    paths,
    windows: 3,
    seconds: null,
    pageSize: 4096,
    maxBlocks: 1000,
    maxSurvivors: 100,
    ...order,
  });
}

const codes = async (...texts: readonly string[]) => (await of(...texts)).gaps?.map(({ code, count }) => [code, count]);

const alloc = (seconds: number, pfn: number, cpu = 0) =>
  `  a-1 [00${cpu}] ..... ${seconds.toFixed(6)}: mm_page_alloc: page=00001 pfn=0x${pfn.toString(16)} order=0 migratetype=0 gfp_flags=G\n`;
const free = (seconds: number, pfn: number, cpu = 0) =>
  `  a-1 [00${cpu}] ..... ${seconds.toFixed(6)}: mm_page_free: page=00001 pfn=0x${pfn.toString(16)} order=0\n`;
const stack = (seconds: number) => `  a-1 [000] ..... ${seconds.toFixed(6)}: <stack trace>\n => f\n`;
const head = (entries: number, written = entries) =>
  `# tracer: nop\n#\n# entries-in-buffer/entries-written: ${entries}/${written}   #P:1\n#\n`;

const EVENTS = alloc(1, 16) + stack(1) + free(2, 16) + alloc(3, 32) + stack(3);

describe('a text trace', () => {
  it('is complete if it has as many entries as its header counts', async () => {
    expect(await codes(head(5) + EVENTS)).toEqual([]);
    expect((await of(head(5) + EVENTS)).losses.overrun).toBe(0);
    // A malformed entry counts, too.
    expect(await codes(`${head(6)}${EVENTS}damaged\n`)).toEqual([['malformed', 1]]);
  });

  it('is truncated if it has fewer, even if it ends with a complete line', async () => {
    expect(await codes(head(6) + EVENTS)).toEqual([['truncated', 1]]);
    const [lines] = [EVENTS.split('\n').slice(0, -3).join('\n')];
    expect(await codes(`${head(5)}${lines}\n`)).toEqual([['truncated', 1]]);
    // Two copies in sequence.
    expect(await codes(head(5) + EVENTS + head(3) + alloc(4, 64) + free(5, 64))).toEqual([['truncated', 1]]);
  });

  it('with several recordings, or with a damaged time, is reported', async () => {
    const later = alloc(500, 64) + free(501, 64);
    expect(await codes(later + EVENTS)).toEqual([['order', 5 - 2]]);
    expect(await codes(EVENTS, later)).toEqual([['order', 1]]);
    expect(await codes(later, EVENTS)).toEqual([['order', 1]]);
    const damaged = EVENTS.replace('2.000000: mm_page_free', '9000002.000000: mm_page_free');
    expect(await codes(damaged)).toEqual([['order', 1]]);
    // Buffers of two CPUs, and one that begins when the other ends.
    expect(await codes(EVENTS, alloc(1.5, 64, 1) + free(2.5, 64, 1))).toEqual([]);
    expect(await codes(EVENTS, alloc(3.9, 64, 1) + free(4, 64, 1))).toEqual([]);
    expect(await codes(alloc(1, 16) + free(0.5, 8) + alloc(1.4, 8))).toEqual([]);
  });

  it('may have CRLF line ends, as in mail', async () => {
    const recording = await of((head(5) + EVENTS).replaceAll('\n', '\r\n'));
    expect(recording.gaps).toEqual([]);
    expect(recording.survivors).toMatchObject([{ place: 32n }]);
    expect([...recording.sites.values()][0]?.frames[0]?.symbol).toBe('f');
  });
});

it('assigns no allocation the stack of another thread', async () => {
  // Its own stack was overwritten; that of the next thread on the CPU was not.
  const recording = await of(alloc(1, 16) + stack(1.1).replace('a-1', 'b-2') + free(2, 17) + alloc(3, 18) + stack(3));
  expect(recording.losses.withoutStack).toBe(1);
});

it('refuses options that do not apply: the interval of events, windows of copies', async () => {
  const refusal = (text: string, order: { seconds?: number; windows?: number | null }) =>
    expect(of2([text, text], order)).rejects;
  await refusal(EVENTS, { seconds: 60 }).toMatchObject({ next: expect.stringContaining('--interval') });
  const copy = 'allocinfo - version: 1.0\n 1 1 a.c:1 func:f \n';
  await refusal(copy, { seconds: 60 }).toMatchObject({ next: expect.stringContaining('--windows') });
});

describe('output of perf script', () => {
  const event = (seconds: number, what: string, pfn: number, ...frames: readonly string[]) =>
    `x 7 [000] ${seconds.toFixed(6)}: kmem:mm_page_${what}: page=0x1 pfn=${pfn} order=0\n${frames.map((frame) => `\t${frame}\n`).join('')}\n`;
  const unknown = (address: string) => `${address} [unknown] ([kernel.kallsyms])`;

  it('keeps functions without names apart by address', async () => {
    const recording = await of(
      event(1, 'alloc', 16, unknown('ffffffff81000010'), unknown('ffffffff81000020')) +
        event(2, 'alloc', 17, unknown('ffffffff81000010'), unknown('ffffffff81000030')) +
        event(3, 'alloc', 18, unknown('ffffffff81000010'), unknown('ffffffff81000020')) +
        event(4, 'free', 19),
    );
    const held = [...(recording.readings.at(-1)?.held.values() ?? [])];
    expect(held.map(({ blocks }) => blocks)).toEqual([2, 1]);
  });

  it('has no stacks if only user-space stacks were recorded', async () => {
    const recording = await of(event(1, 'alloc', 16, '    7f8aec23bc4a main+0x10 (/usr/bin/x)') + event(2, 'free', 19));
    expect(recording.losses.withoutStack).toBe(1);
  });

  it('has no module for inlined functions', async () => {
    const recording = await of(event(1, 'alloc', 16, 'ffffffff81000010 f+0x10 (inlined)') + event(2, 'free', 19));
    expect([...recording.sites.values()][0]?.frames[0]).toMatchObject({ symbol: 'f', module: null });
  });
});
