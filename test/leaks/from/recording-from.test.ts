import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { FromOrder } from '../../../src/leaks/from/order.js';
import { recordingFrom } from '../../../src/leaks/from/recording-from.js';
import type { Recording } from '../../../src/leaks/recording.js';
import { CAPTURED as COPIES } from '../readings/captured-source.js';

const CAPTURED = new URL('captured/', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'leaks-from-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function of(paths: readonly string[], order: Partial<FromOrder> = {}): Promise<Recording> {
  return recordingFrom({
    ...{ type: 'page', paths, windows: 3, seconds: null, pageSize: 4096 },
    ...{ maxBlocks: 100_000, maxSurvivors: 10_000, ...order },
  });
}

/** Bytes that a function of the module holds at the end, all its sites together. */
function heldBy({ sites, readings }: Recording, name: string): number {
  let bytes = 0;
  for (const { id, frames } of sites.values())
    if (frames.some(({ symbol }) => symbol === name))
      bytes += readings.at(-1)?.held.get(id)?.bytes ?? 0;
  return bytes;
}

const trace = (kernel: string, kind: 'page' | 'slab') =>
  ['alloc', 'free'].map((part) =>
    fileURLToPath(new URL(`${kernel}-${kind}.${part}.txt.gz`, CAPTURED)),
  );

describe('a recording out of what tracefs printed', () => {
  // What the module itself counted.
  it.each([
    [
      '5.10',
      {
        leak_single: 163_840,
        leak_fifth: 393_216,
        leak_parts: 163_840,
        ring_split: 1_310_720,
        ring_exact: 409_600,
      },
    ],
    [
      '6.1',
      {
        leak_single: 184_320,
        leak_fifth: 393_216,
        leak_parts: 180_224,
        ring_split: 1_441_792,
        ring_exact: 450_560,
      },
    ],
  ])('of pages, allocations and frees in two files, packed: %s', async (kernel, truth) => {
    const recording = await of(trace(kernel, 'page'));
    for (const [name, bytes] of Object.entries(truth)) expect(heldBy(recording, name)).toBe(bytes);
    expect(recording).toMatchObject({ method: 'trace-text', gaps: [], survivorsLeftOut: 0 });
    expect(recording.readings.map(({ held }) => held.size > 0)).toEqual([false, true, true, true]);
    expect(recording.losses).toMatchObject({ overrun: 0, missedFrees: 0 });
    const survivor = recording.survivors.find(({ order }) => order === 5);
    expect(survivor).toMatchObject({ bytes: 131_072, command: 'leak' });
    expect(Number(survivor?.place) % 32).toBe(0);
  });

  it('of objects, whose printed addresses stand for others: they pair, and lead nowhere', async () => {
    const recording = await of(trace('6.1', 'slab'), { type: 'slab' });
    expect(heldBy(recording, 'leak_object')).toBe(39_936);
    expect(heldBy(recording, 'keep_object')).toBe(39_936);
    expect(heldBy(recording, 'ring_object')).toBe(32_768);
    expect(recording).toMatchObject({ survivors: [], survivorsLeftOut: null });
  });

  it('tells what was lost, what is strange, and gives stacks to the events that they belong to', async () => {
    const path = file(
      'pipe.txt',
      `  a b-1 [000] ..... 1.000001: mm_page_alloc: page=000000001 pfn=0x10 order=0 migratetype=0 gfp_flags=G
  a b-1 [000] ..... 1.000002: mm_page_alloc: page=000000002 pfn=0x20 order=1 migratetype=0 gfp_flags=G
  c-2 ( 2) [001] d.h1 1.000003: mm_page_free: page=000000003 pfn=0x30 order=0
  a b-1 [000] ..... 1.000004: <stack trace>
 => driver_poll
  a b-1 [000] ..... 1.000005: <stack trace>
 => do_it <ffffffff81000000>
CPU:1 [LOST 7 EVENTS]
what is this
  c-2 [001] ..... 1.000006: mm_page_alloc: page=(nil) pfn=0 order=9 migratetype=0 gfp_flags=G
`,
    );
    const recording = await of([path]);
    expect(heldBy(recording, 'driver_poll')).toBe(8192);
    expect(heldBy(recording, 'do_it')).toBe(4096);
    expect(recording.losses).toMatchObject({ overrun: 7, unknownFrees: 1, withoutStack: 0 });
    expect(recording.gaps).toEqual([{ code: 'strange', source: path, count: 1 }]);
    expect(recording.survivors.map(({ command }) => command).sort()).toEqual(['a b', 'a b']);
  });
});

const PERF = `node 10300 [000] 84688.826923: kmem:mm_page_alloc: page=0x3ddeb5 pfn=0x3ddeb5 order=0 migratetype=1 gfp_flags=G
\tffffffff8161f42b __alloc_frozen_pages_noprof+0x26b ([kernel.kallsyms])
\tffffffffc0201010 receive_buf+0x10 ([virtio_net])
\tffffffffc0301010 other+0x10 (/lib/modules/6.1/kernel/nf-x.ko.xz)
\t    7f8aec23bc4a [unknown] (/tmp/perf-10300.map)

node 10300/10301 [000] 84688.926923:          1         kmem:mm_page_alloc: page=0x3 pfn=3 order=2 migratetype=1 gfp_flags=G
\tffffffff8161f42b __alloc_frozen_pages_noprof+0x26b ([kernel.kallsyms])

node 10300 [001] 84689.826923: kmem:mm_page_free: page=0x3ddeb5 pfn=0x3ddeb5 order=0
`;

describe('a recording out of perf script', () => {
  it('has functions of the kernel alone, and modules by name', async () => {
    const recording = await of([file('perf.txt', PERF)]);
    expect(recording.method).toBe('perf-script');
    expect([...recording.sites.values()][0]?.frames).toEqual([
      { symbol: '__alloc_frozen_pages_noprof', offset: 0x26b, module: null, line: null },
      { symbol: 'receive_buf', offset: 0x10, module: 'virtio_net', line: null },
      { symbol: 'other', offset: 0x10, module: 'nf_x', line: null },
    ]);
    expect(recording.readings.at(-1)?.at).toBeCloseTo(1000, 3);
    expect(recording.survivors).toMatchObject([{ bytes: 16_384, tid: 10_301, order: 2 }]);
    // It does not say whether something was lost.
    expect(recording.losses.overrun).toBeNull();
  });

  it.each([
    ['one half of memory', ['ff11000000000040', 'ff11000000000080'], 0xff11000000000040n],
    ['both halves', ['ff11000000000040', 'ff21000000000040'], undefined],
    ['numbers that stand for addresses', ['ff11000000000040', '00000000a77bbe3b'], undefined],
  ])('has whole addresses of objects, of %s', async (_, addresses, place) => {
    const text = addresses.map(
      (ptr, at) =>
        `a 1 [000] 1.00000${at}: kmem:kmalloc: call_site=f+0x1 ptr=0x${ptr} bytes_req=8 bytes_alloc=8 gfp_flags=G\n\tffffffff8161f42b f+0x26b ([kernel.kallsyms])\n\n`,
    );
    const free = 'a 1 [000] 1.000009: kmem:kfree: call_site=f+0x1 ptr=0xff110000000000c0\n\n';
    const recording = await of([file('objects.txt', text.join('') + free)], { type: 'slab' });
    expect(recording.survivors[0]?.place).toBe(place);
    expect(recording.survivorsLeftOut).toBe(place === undefined ? null : 0);
  });

  it('refuses allocations without any free: all of them would look held', async () => {
    const allocations = PERF.slice(0, PERF.lastIndexOf('node 10300'));
    await expect(of([file('allocations.txt', allocations)])).rejects.toMatchObject({
      ...{ code: 'unreadable', message: expect.stringContaining('and no frees') },
      next: expect.stringContaining('kmem:mm_page_free'),
    });
  });

  it('refuses what has no events of that type', async () => {
    const path = file('perf2.txt', PERF);
    await expect(of([path], { type: 'slab' })).rejects.toMatchObject({
      ...{ code: 'unreadable', next: expect.stringContaining('--type page') },
    });
    await expect(of([path], { type: 'vmalloc' })).rejects.toMatchObject({ code: 'unreadable' });
  });
});

describe('a recording out of copies', () => {
  const copies = (name: string) =>
    [1, 2].map((at) => fileURLToPath(new URL(`${name}-${at}.txt`, COPIES)));

  it.each([
    ['allocinfo', 'allocinfo', 'leak_fifth', 1_310_720],
    ['page_owner', 'page-owner', 'leak_third', 1_179_648],
    ['show_stacks', 'page-owner-stacks', 'leak_fifth', 1_310_720],
    ['vmallocinfo', 'vmallocinfo', 'leak_area', 139_264],
  ])('of %s', async (name, method, site, bytes) => {
    const recording = await of(copies(name), { seconds: 60 });
    expect(recording.method).toBe(method);
    expect(recording.readings.map(({ at }) => at)).toEqual([0, 60_000]);
    expect(heldBy(recording, site)).toBe(bytes);
  });

  it('of slab’s traces, where the name tells how large objects are', async () => {
    const texts = [1, 2].map((at) =>
      gzipSync(`      ${at * 3} f+0x1/0x2 age=1 pid=1 cpus=0\n        f+0x1/0x2\n\n`),
    );
    const named = texts.map((text, at) => file(`kmalloc-1k-${at}.gz`, text));
    const recording = await of(named, { type: 'slab', seconds: 1 });
    expect(heldBy(recording, 'f')).toBe(6 * 1024);
    const unnamed = texts.map((text, at) => file(`filp-${at}.gz`, text));
    await expect(of(unnamed, { type: 'slab', seconds: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('how large'),
    });
  });

  it('asks for the time between them where files do not tell it', async () => {
    const paths = [1, 2].map((at) =>
      file(`a${at}.txt`, `allocinfo - version: 1.0\n 1 ${at} a.c:1 func:f \n`),
    );
    for (const path of paths) utimesSync(path, 1000, 1000);
    await expect(of(paths)).rejects.toMatchObject({ next: expect.stringContaining('--interval') });
    utimesSync(paths[1] ?? '', 1030, 1030);
    const { readings } = await of(paths);
    expect(readings.map(({ at }) => at)).toEqual([0, 30_000]);
  });

  it('refuses one alone, two of different forms, and what is neither', async () => {
    const [one = '', two = ''] = copies('allocinfo');
    await expect(of([one], { seconds: 1 })).rejects.toMatchObject({ code: 'unreadable' });
    const other = copies('vmallocinfo')[1] ?? '';
    await expect(of([two, other], { seconds: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('do not belong together'),
    });
    await expect(of([file('x', 'x\n'.repeat(1000))])).rejects.toMatchObject({ code: 'unreadable' });
    await expect(of([join(folder, 'none')])).rejects.toMatchObject({ code: 'gone' });
    await expect(of([folder])).rejects.toMatchObject({ code: 'unreadable' });
    const broken = file('broken.gz', gzipSync(PERF.repeat(100)).subarray(0, 100));
    await expect(of([broken])).rejects.toMatchObject({ code: 'unreadable' });
  });
});
