import { execFileSync } from 'node:child_process';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { recognise, recordingFrom } from '../../../src/leaks/from/recording-from.js';
import type { FromOrder } from '../../../src/leaks/from/text-event.js';
import type { Recording } from '../../../src/leaks/recording.js';
import { scratchFolder } from '../../support/scratch.js';
import { CAPTURED as COPIES } from '../readings/captured-source.js';

const CAPTURED = new URL('captured/', import.meta.url);
const folder = scratchFolder('leaks-from-');

function file(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function of(paths: readonly string[], order: Partial<FromOrder> = {}): Promise<Recording> {
  return recordingFrom({
    type: 'page',
    paths,
    windows: null,
    seconds: null,
    pageSize: 4096,
    maxBlocks: 100_000,
    maxSurvivors: 10_000,
    ...order,
  });
}

/** Bytes that a function of the module holds at the end, over all its sites. */
function heldBy({ sites, readings }: Recording, name: string): number {
  let bytes = 0;
  for (const { id, frames } of sites.values())
    if (frames.some(({ symbol }) => symbol === name)) bytes += readings.at(-1)?.held.get(id)?.bytes ?? 0;
  return bytes;
}

const trace = (kernel: string, kind: 'page' | 'slab') =>
  ['alloc', 'free'].map((part) => fileURLToPath(new URL(`${kernel}-${kind}.${part}.txt.gz`, CAPTURED)));

describe('a recording read from tracefs output', () => {
  // The counts of the module itself.
  it.each([
    [
      '5.10',
      { leak_single: 163_840, leak_fifth: 393_216, leak_parts: 163_840, ring_split: 1_310_720, ring_exact: 409_600 },
    ],
    [
      '6.1',
      { leak_single: 184_320, leak_fifth: 393_216, leak_parts: 180_224, ring_split: 1_441_792, ring_exact: 450_560 },
    ],
  ])('reads pages from allocations and frees in two files, compressed with: %s', async (kernel, truth) => {
    const recording = await of(trace(kernel, 'page'), { windows: 3 });
    for (const [name, bytes] of Object.entries(truth)) expect(heldBy(recording, name)).toBe(bytes);
    expect(recording).toMatchObject({ method: 'trace-text', survivorsLeftOut: 0 });
    // They contain everything the module did, of all that their headers count.
    expect(recording.gaps?.map(({ code, count }) => [code, count])).toEqual([['truncated', 2]]);
    expect(recording.readings.map(({ held }) => held.size > 0)).toEqual([false, true, true, true]);
    expect(recording.losses).toMatchObject({ overrun: 0, missedFrees: 0 });
    const survivor = recording.survivors.find(({ order }) => order === 5);
    expect(survivor).toMatchObject({ bytes: 131_072, command: 'leak' });
    expect(Number(survivor?.place) % 32).toBe(0);
  });

  it('pairs objects by their hashed addresses, which cannot be looked up', async () => {
    const recording = await of(trace('6.1', 'slab'), { type: 'slab' });
    expect(heldBy(recording, 'leak_object')).toBe(39_936);
    expect(heldBy(recording, 'keep_object')).toBe(39_936);
    expect(heldBy(recording, 'ring_object')).toBe(32_768);
    expect(recording).toMatchObject({ survivors: [], survivorsLeftOut: null });
  });

  it('reports losses and malformed lines, and assigns stacks to their events', async () => {
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
    expect(recording.gaps).toEqual([{ code: 'malformed', source: path, count: 1 }]);
    expect(recording.survivors.map(({ command }) => command).sort()).toEqual(['a b', 'a b']);
  });
});

const PERF = `node 10300 [000] 84688.826923: kmem:mm_page_alloc: page=0x3ddeb5 pfn=0x3ddeb5 order=0 migratetype=1 gfp_flags=G
\tffffffff8161f42b __alloc_frozen_pages_noprof+0x26b ([kernel.kallsyms])
\tffffffffc0201010 receive_buf+0x10 ([virtio_net])
\tffffffffc0301010 other+0x10 (/lib/modules/6.1/kernel/nf-x.ko.xz)
\t    7f8aec23bc4a [unknown] (/tmp/perf-10300.map)

node 10300/10301 [000] 84688.926923:          1         kmem:mm_page_alloc: page=0x4 pfn=4 order=2 migratetype=1 gfp_flags=G
\tffffffff8161f42b __alloc_frozen_pages_noprof+0x26b ([kernel.kallsyms])

node 10300 [001] 84689.826923: kmem:mm_page_free: page=0x3ddeb5 pfn=0x3ddeb5 order=0
`;

/** The text before its end: its last line may be the only free. */
const FREE = 'node 10300 [001] 84689.5: kmem:mm_page_free: page=0x77 pfn=0x77 order=0\n';

describe('incomplete or contradictory input is reported', () => {
  it.each([
    ['in the middle of the last line, which may be a truncated number', PERF.slice(0, -5)],
    ['just before its last newline', PERF.slice(0, -1)],
    [
      'in the middle of a call chain, whose outer functions are missing',
      `${PERF}\nnode 1 [001] 84690.8: kmem:mm_page_alloc: page=0x8 pfn=8 order=0 migratetype=1\n\tffffffff8161f42b a+0x26b ([kernel.kallsyms])\n`,
    ],
  ])('perf script that ends %s', async (_, text) => {
    const path = file('cut.txt', text.replace(/\n\nnode 10300 \[001\]/, `\n\n${FREE}node 10300 [001]`));
    const { gaps } = await of([path]);
    expect(gaps).toEqual([{ code: 'truncated', source: path, count: 1 }]);
  });

  it('a trace with a truncated last line, which is not an event of another order', async () => {
    const line = (micro: number, what: string) => `  a-1 [000] ..... 1.00000${micro}: ${what}\n`;
    const text =
      line(1, 'mm_page_alloc: page=1 pfn=0x10 order=0 migratetype=0') +
      line(2, 'mm_page_free: page=1 pfn=0x10 order=0') +
      line(3, 'mm_page_alloc: page=1 pfn=0x1000 order=10 migratetype=0');
    const whole = file('whole.txt', text);
    expect(await of([whole])).toMatchObject({ gaps: [], survivors: [{ order: 10 }] });
    const cut = file('cut-trace.txt', text.slice(0, text.indexOf('order=10') + 'order=1'.length));
    expect(await of([cut])).toMatchObject({ gaps: [{ code: 'truncated', source: cut, count: 1 }], survivors: [] });
  });

  it.each([
    ['a block that does not begin at a multiple of its size', 'page', 'mm_page_alloc: page=0x3 pfn=3 order=2'],
    [
      'an object smaller than what was asked for',
      'slab',
      'kmalloc: call_site=f ptr=0xff11000000000080 bytes_req=64 bytes_alloc=8',
    ],
  ] as const)('events: %s', async (_, type, fields) => {
    const others = {
      page: ['mm_page_alloc: page=0x8 pfn=8 order=0', 'mm_page_free: page=0x9 pfn=9 order=0'],
      slab: [
        'kmalloc: call_site=f ptr=0xff11000000000040 bytes_req=8 bytes_alloc=8',
        'kfree: call_site=f ptr=0xff110000000000c0',
      ],
    }[type];
    const text = [...others, fields].map((each, at) => `a 1 [000] 1.00000${at}: kmem:${each}\n\n`);
    const path = file('contradicts.txt', text.join(''));
    const recording = await of([path], { type });
    expect(recording.gaps).toEqual([{ code: 'malformed', source: path, count: 1 }]);
    expect(recording.survivors).toHaveLength(1);
  });

  it.each([
    [
      'more pages than the area can have',
      '0xffffc90000000000-0xffffc90000003000   12288 leak_area+0x1/0x2 [leak] pages=4 vmalloc',
    ],
    [
      'a range that is larger than its size',
      '0xffffc90000000000-0xffffc90000005000   12288 leak_area+0x1/0x2 [leak] pages=2 vmalloc',
    ],
    [
      'an end before its start',
      '0xffffc90000003000-0xffffc90000000000   12288 leak_area+0x1/0x2 [leak] pages=2 vmalloc',
    ],
  ])('vmallocinfo: %s', async (_, line) => {
    const good = '0xffffc90000010000-0xffffc90000013000   12288 f+0x1/0x2 pages=2 vmalloc N0=2\n';
    const paths = [1, 2].map((at) => file(`areas-${at}`, `${good}${line}\n`));
    const recording = await of(paths, { type: 'vmalloc', seconds: 60 });
    expect(recording.gaps).toEqual([{ code: 'malformed', source: paths.join(', '), count: 1 }]);
    expect(heldBy(recording, 'leak_area')).toBe(0);
    expect(heldBy(recording, 'f')).toBe(8192);
  });

  it('vmallocinfo with hashed addresses has no ranges to compare', async () => {
    const line = '0x00000000a77bbe3b-0x000000005e1cc0de   12288 f+0x1/0x2 pages=2 vmalloc\n';
    const paths = [1, 2].map((at) => file(`hashed-${at}`, line));
    const recording = await of(paths, { type: 'vmalloc', seconds: 60 });
    expect(recording.gaps).toEqual([]);
    expect(heldBy(recording, 'f')).toBe(8192);
  });

  it.each([
    [
      'page_owner: a block within another',
      'page',
      'Page allocated via order 2, mask 0x0(), pid 1, ts 5 ns\nPFN 0x101 type Unmovable Block 0 type Unmovable Flags 0x0()\n f+0x1/0x2\n\n',
    ],
    [
      'slab traces: the least age above the most',
      'slab',
      '      3 f+0x1/0x2 age=9/5/7 pid=1 cpus=0\n        f+0x1/0x2\n\n',
    ],
    [
      'slab traces: pids from the last to the first',
      'slab',
      '      3 f+0x1/0x2 age=5/5/7 pid=9-1 cpus=0\n        f+0x1/0x2\n\n',
    ],
  ] as const)('%s', async (_, type, text) => {
    const paths = [1, 2].map((at) => file(`kmalloc-1k-strange-${at}`, text.replace('ts 5 ns', `ts ${at} ns`)));
    const recording = await of(paths, { type, seconds: 60 });
    expect(recording.gaps?.map(({ code }) => code)).toContain('malformed');
    expect(heldBy(recording, 'f')).toBe(0);
  });

  it('a copy of vmallocinfo that ends within a line: fewer digits would be fewer pages', async () => {
    const line = (start: number, pages: number) =>
      `0xffffc9000${start}000000-0xffffc9000${start}065000   413696 f+0x1/0x2 pages=${pages} vmalloc\n`;
    const text = `${line(1, 1)}${line(2, 100)}`;
    const one = file('v1', text);
    const two = file('v2', text.slice(0, text.indexOf('pages=100') + 'pages=10'.length));
    const recording = await of([one, two], { type: 'vmalloc', seconds: 60 });
    expect(recording.gaps).toEqual([{ code: 'truncated', source: `${one}, ${two}`, count: 1 }]);
    expect(heldBy(recording, 'f')).toBe(4096);
  });
});

describe('a recording read from perf script', () => {
  it('has kernel functions only, and modules by name', async () => {
    const recording = await of([file('perf.txt', PERF)]);
    expect(recording.method).toBe('perf-script');
    expect([...recording.sites.values()][0]?.frames).toEqual([
      { symbol: '__alloc_frozen_pages_noprof', offset: 0x26b, module: null, line: null, guess: false },
      { symbol: 'receive_buf', offset: 0x10, module: 'virtio_net', line: null, guess: false },
      { symbol: 'other', offset: 0x10, module: 'nf_x', line: null, guess: false },
    ]);
    expect(recording.readings.at(-1)?.at).toBeCloseTo(1000, 3);
    expect(recording.survivors).toMatchObject([{ bytes: 16_384, tid: 10_301, order: 2 }]);
    // The output does not show whether events were lost.
    expect(recording.losses.overrun).toBeNull();
  });

  it.each([
    ['one half of memory', ['ff11000000000040', 'ff11000000000080'], 0xff11000000000040n],
    ['both halves', ['ff11000000000040', 'ff21000000000040'], undefined],
    ['hashed addresses', ['ff11000000000040', '00000000a77bbe3b'], undefined],
  ])('has full addresses of objects in %s', async (_, addresses, place) => {
    const text = addresses.map(
      (ptr, at) =>
        `a 1 [000] 1.00000${at}: kmem:kmalloc: call_site=f+0x1 ptr=0x${ptr} bytes_req=8 bytes_alloc=8 gfp_flags=G\n\tffffffff8161f42b f+0x26b ([kernel.kallsyms])\n\n`,
    );
    const free = 'a 1 [000] 1.000009: kmem:kfree: call_site=f+0x1 ptr=0xff110000000000c0\n\n';
    const recording = await of([file('objects.txt', text.join('') + free)], { type: 'slab' });
    expect(recording.survivors[0]?.place).toBe(place);
    expect(recording.survivorsLeftOut).toBe(place === undefined ? null : 0);
  });

  it('refuses allocations without any frees, which would all appear held', async () => {
    const allocations = PERF.slice(0, PERF.lastIndexOf('node 10300'));
    await expect(of([file('allocations.txt', allocations)])).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('but no frees'),
      next: expect.stringContaining('kmem:mm_page_free'),
    });
  });

  it('refuses input without events of the requested type', async () => {
    const path = file('perf2.txt', PERF);
    await expect(of([path], { type: 'slab' })).rejects.toMatchObject({
      code: 'unreadable',
      next: expect.stringContaining('--type page'),
    });
    await expect(of([path], { type: 'vmalloc' })).rejects.toMatchObject({ code: 'unreadable' });
  });
});

describe('compressed files', () => {
  const text = `${PERF}\n`;
  const pack = (command: string, input = text) => execFileSync(command, ['-c'], { input });

  it.each(['gzip', 'xz', 'zstd'])('yield the same recording: %s', async (command) => {
    const plain = await of([file('plain.txt', text)]);
    const packed = await of([file('packed', pack(command))]);
    expect(packed.readings).toEqual(plain.readings);
    expect(packed.survivors).toEqual(plain.survivors);
    expect(packed.survivors).toHaveLength(1);
  });

  it.each(['gzip', 'xz', 'zstd'])('are read only as far as needed to recognize them: %s', async (command) => {
    const input = `# tracer: nop\n${'#\n'.repeat(4_000_000)}`;
    const path = file('long', pack(command, input));
    expect(await recognise(path)).toBe('trace-text');
    // The decompressor has exited by then, and reports no signal.
    await new Promise((resolve) => setTimeout(resolve, 200));
  });

  it.each(['gzip', 'xz', 'zstd'])('are refused if they are truncated: %s', async (command) => {
    const path = file('truncated', pack(command).subarray(0, -9));
    await expect(of([path])).rejects.toMatchObject({ code: 'unreadable', message: expect.stringContaining(path) });
  });

  it.each([
    ['xz', 'xz-utils'],
    ['zstd', 'zstd'],
  ])('name the missing program that decompresses them: %s', async (command, name) => {
    const path = file('packed', pack(command));
    vi.stubEnv('PATH', folder);
    try {
      await expect(of([path])).rejects.toMatchObject({
        code: 'unreadable',
        message: `${path}: compressed with ${command}, which is not installed`,
        next: expect.stringContaining(name),
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('a recording read from copies', () => {
  const copies = (name: string) => [1, 2].map((at) => fileURLToPath(new URL(`${name}-${at}.txt`, COPIES)));

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

  it('reads slab traces, whose file name contains the object size', async () => {
    const texts = [1, 2].map((at) => gzipSync(`      ${at * 3} f+0x1/0x2 age=1 pid=1 cpus=0\n        f+0x1/0x2\n\n`));
    const named = texts.map((text, at) => file(`kmalloc-1k-${at}.gz`, text));
    const recording = await of(named, { type: 'slab', seconds: 1 });
    expect(heldBy(recording, 'f')).toBe(6 * 1024);
    const unnamed = texts.map((text, at) => file(`filp-${at}.gz`, text));
    await expect(of(unnamed, { type: 'slab', seconds: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('the object size is unknown'),
    });
  });

  it('requires the interval between copies if the files do not contain it', async () => {
    const paths = [1, 2].map((at) => file(`a${at}.txt`, `allocinfo - version: 1.0\n 1 ${at} a.c:1 func:f \n`));
    for (const path of paths) utimesSync(path, 1000, 1000);
    await expect(of(paths)).rejects.toMatchObject({ next: expect.stringContaining('--interval') });
    utimesSync(paths[1] ?? '', 1030, 1030);
    const { readings } = await of(paths);
    expect(readings.map(({ at }) => at)).toEqual([0, 30_000]);
  });

  it('refuses the same file twice, and copies of page_owner in the wrong order', async () => {
    for (const name of ['allocinfo', 'page_owner', 'vmallocinfo']) {
      const [one = ''] = copies(name);
      await expect(of([one, one], { seconds: 60 })).rejects.toMatchObject({
        code: 'unreadable',
        message: `${one} and ${one} are the same file`,
      });
    }
    const [one = '', two = ''] = copies('page_owner');
    await expect(of([two, one], { seconds: 60 })).rejects.toMatchObject({
      code: 'unreadable',
      message: `${one} is not later than ${two}`,
    });
    const same = file('page_owner.again', readFileSync(two, 'utf8'));
    await expect(of([two, same], { seconds: 60 })).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('refuses copies of allocation profiling that is off', async () => {
    const paths = [1, 2].map((at) => file(`off${at}.txt`, 'allocinfo - version: 2.0\n 0 0 a.c:1 func:f \n'));
    await expect(of(paths, { seconds: 60 })).rejects.toMatchObject({
      code: 'unreadable',
      message: `${paths[0]}: lists no allocations`,
    });
  });

  it('refuses a single copy, copies of different formats, and other files', async () => {
    const [one = '', two = ''] = copies('allocinfo');
    await expect(of([one], { seconds: 1 })).rejects.toMatchObject({ code: 'unreadable' });
    const other = copies('vmallocinfo')[1] ?? '';
    await expect(of([two, other], { seconds: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('cannot be combined'),
    });
    await expect(of([file('x', 'x\n'.repeat(1000))])).rejects.toMatchObject({ code: 'unreadable' });
    await expect(of([join(folder, 'none')])).rejects.toMatchObject({ code: 'gone' });
    await expect(of([folder])).rejects.toMatchObject({ code: 'unreadable' });
    const broken = file('broken.gz', gzipSync(PERF.repeat(100)).subarray(0, 100));
    await expect(of([broken])).rejects.toMatchObject({ code: 'unreadable' });
  });
});
