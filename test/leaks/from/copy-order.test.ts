import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { leaksText } from '../../../src/answers/leaks/text.js';
import { leaksAnswer } from '../../../src/leaks/answer.js';
import { recordingFrom } from '../../../src/leaks/from/recording-from.js';
import type { AllocationType } from '../../../src/leaks/recording.js';
import { noLookup } from '../../../src/leaks/survivors/lookup.js';
import { scratchFolder } from '../../support/scratch.js';
import { CAPTURED } from '../readings/captured-source.js';

const folder = scratchFolder('leaks-order-');

let files = 0;
const of = (type: AllocationType, ...texts: readonly string[]) => {
  const paths = texts.map((text) => {
    const path = join(folder, `kmalloc-1k-${files++}`);
    writeFileSync(path, text);
    return path;
  });
  return recordingFrom({ type, paths, windows: null, seconds: 60, pageSize: 4096, maxBlocks: 1000, maxSurvivors: 100 });
};

const captured = (name: string) =>
  [1, 2].map((at) => readFileSync(fileURLToPath(new URL(`${name}-${at}.txt`, CAPTURED)), 'utf8')) as [string, string];

const untold = async (...asked: Parameters<typeof of>) => (await of(...asked)).unknownOrder;
const EARLIER = { code: 'unreadable', message: expect.stringContaining('is not later than') };
const UNRELATED = { code: 'unreadable', message: expect.stringMatching(/from different machines or boots/) };

const count = (most: number) => Array.from({ length: most }, (_, at) => at);

describe('page_owner with the allocation times of blocks', () => {
  const copy = (times: readonly number[]) =>
    times
      .map(
        (ts, at) =>
          `Page allocated via order 0, mask 0x0(), pid 1, tgid 1 (a, ts 9 ns), ts ${ts} ns\nPFN 0x${(at + 1).toString(16)} type Unmovable Block 0 type Unmovable Flags 0x0()\n f+0x1/0x2\n\n`,
      )
      .join('');
  const began = count(20).map((at) => 1000 + 7 * at);

  it('shows the order of two copies, and refuses the reverse order', async () => {
    const [one, two] = [copy([...began, 50_000]), copy([...began.slice(3), 60_000])];
    expect(await untold('page', one, two)).toBeUndefined();
    await expect(of('page', two, one)).rejects.toMatchObject(EARLIER);
    await expect(of('page', one, copy([...began, 50_000]))).rejects.toMatchObject(EARLIER);
  });

  it('refuses copies of two boots, which have almost no block in common', async () => {
    const other = began.map((time) => time + 3);
    await expect(of('page', copy([...began, 50_000]), copy([...other, 60_000]))).rejects.toMatchObject(UNRELATED);
    // Half of it was freed meanwhile, and everything newer was allocated since.
    const later = [...began.slice(10), ...count(50).map((at) => 51_000 + at)];
    expect(await untold('page', copy([...began, 50_000]), copy(later))).toBeUndefined();
  });

  it('reports the order as unknown without times, as before 5.11', async () => {
    const bare = copy(began).replaceAll(/, ts \d+ ns$/gm, '');
    expect(await untold('page', bare, `${bare}\n`)).toBe(1);
  });
});

describe('show_stacks with stacks in one order', () => {
  const copy = (stacks: readonly number[]) =>
    stacks.map((at) => ` f${at}+0x1/0x2\n g+0x1/0x2\nnr_base_pages: 2\n\n`).join('');
  const known = count(20);

  it('reports the order as unknown: new stacks come first, and so do those that vanished', async () => {
    expect(await untold('page', copy(known), copy([30, 31, ...known]))).toBe(1);
    expect(await untold('page', copy([30, 31, ...known]), copy(known))).toBe(1);
    const [one, two] = captured('show_stacks');
    expect(await untold('page', one, two)).toBe(1);
  });

  it('refuses copies of two boots, with other stacks or another order', async () => {
    await expect(of('page', copy(known), copy(known.toReversed()))).rejects.toMatchObject(UNRELATED);
    const others = known.map((at) => at + 100);
    await expect(of('page', copy(known), copy(others))).rejects.toMatchObject(UNRELATED);
  });
});

describe('traces of SLUB with ages', () => {
  const copy = (ages: readonly number[]) =>
    ages.map((age, at) => `      1 f${at}+0x1/0x2 age=1/2/${age} pid=1 cpus=0\n        f${at}+0x1/0x2\n\n`).join('');
  const old = [90_000, 90_010, 90_020, 88_000, 87_000];
  const aged = (ticks: number) => old.map((age) => age + ticks);

  it('shows the order if surviving objects are older in the later copy by one interval', async () => {
    expect(await untold('slab', copy(old), copy(aged(2500)))).toBeUndefined();
    await expect(of('slab', copy(aged(2500)), copy(old))).rejects.toMatchObject(EARLIER);
    expect(await untold('slab', ...captured('alloc_calls'))).toBe(1);
  });

  it('reports the order of copies of two boots as unknown, since no interval agrees', async () => {
    const other = old.map((age, at) => age + 1000 + 300 * at);
    expect(await untold('slab', copy(old), copy(other))).toBe(1);
  });

  it('reports the order as unknown if a restarted service has younger objects', async () => {
    const service = [1000, 1001, 1002, 1003];
    const again = service.map((age) => age - 700);
    expect(await untold('slab', copy(service), copy(again))).toBe(1);
    expect(await untold('slab', copy([...service, 90_000]), copy([...again, 92_500]))).toBe(1);
  });

  it('reports the order as unknown if too few ages agree', async () => {
    expect(await untold('slab', copy([90_000, 80_000]), copy([92_500, 82_500]))).toBe(1);
    expect(await untold('slab', copy(old), copy(aged(3)))).toBe(1);
  });
});

describe('vmallocinfo with the addresses of areas', () => {
  const copy = (starts: readonly number[], caller = 'f') =>
    starts
      .map((at) => {
        const from = 0xff000000 + at * 0x3000;
        return `0xffff${from.toString(16)}0000-0xffff${from.toString(16)}3000   12288 ${caller}+0x1/0x2 pages=2 vmalloc\n`;
      })
      .join('');

  it('reports the order as unknown', async () => {
    expect(await untold('vmalloc', copy(count(20)), copy(count(30)))).toBe(1);
    expect(await untold('vmalloc', ...captured('vmallocinfo'))).toBe(1);
  });

  it('refuses copies of two boots, which have almost no area in common', async () => {
    const others = count(20).map((at) => at + 1000);
    await expect(of('vmalloc', copy(count(20)), copy(others))).rejects.toMatchObject(UNRELATED);
    // Zeros (kernel.kptr_restrict=2) match any address.
    const zeros = copy(count(20)).replaceAll(/0x[0-9a-f]{16}(?=[- ])/g, '0x0000000000000000');
    expect(await untold('vmalloc', zeros, zeros.replaceAll('f+0x1', 'g+0x1'))).toBe(1);
  });
});

describe('allocinfo with lines of the kernel', () => {
  const copy = (lines: readonly number[], bytes = 4096) =>
    `allocinfo - version: 2.0\n${lines.map((at) => `        ${bytes}        1 mm/x.c:${at} func:f \n`).join('')}`;

  it('reports the order as unknown, with the amount by which sites shrink', async () => {
    const recording = await of('page', copy(count(20), 8192), copy(count(20)));
    expect(recording.unknownOrder).toBe(1);
    const answer = leaksAnswer(recording, noLookup('from-file'));
    expect(answer.complete).toBe(false);
    expect(answer.warnings).toContainEqual(
      expect.objectContaining({ code: 'unknown-order', count: 1, bytes: 20 * 4096 }),
    );
  });

  it('refuses copies of two kernels, but accepts modules that are loaded or unloaded', async () => {
    const other = count(20).map((at) => at + 1);
    await expect(of('page', copy(count(20)), copy([...other]))).rejects.toMatchObject(UNRELATED);
    const module = '        4096        1 a.c:1 [leak] func:g \n';
    expect(await untold('page', copy(count(20)), copy(count(20)) + module.repeat(20))).toBe(1);
  });

  it('does not report that nothing leaks if the order is unknown', async () => {
    const texts = [4, 3, 2, 1].map((blocks) => copy(count(20), 4096 * blocks));
    const answer = leaksAnswer(await of('page', ...texts), noLookup('from-file'));
    const [first = '', ...rest] = leaksText(answer, { limit: 20, width: null }).split('\n\n');
    expect(first).toBe(
      'Inconclusive after 60 s: no stack grows if the copies are in the right order, which they do not show.',
    );
    expect(rest.join('\n')).toContain('in the reverse order, they leaked');
  });
});
