import { describe, expect, it } from 'vitest';
import type { HostError } from '../../../src/base/errors.js';
import type { ReadingMethod } from '../../../src/leaks/readings/take.js';
import { recordReadings } from '../../../src/leaks/readings/takes.js';
import type { KernelArea } from '../../../src/leaks/readings/vmallocinfo.js';
import type { Recording } from '../../../src/leaks/recording.js';
import { captured, MadeSource } from './captured-source.js';

type Files = Readonly<Record<string, string | readonly string[] | HostError>>;

function two(name: string): string[] {
  return [captured(`${name}-1.txt`), captured(`${name}-2.txt`)];
}

async function record(
  method: ReadingMethod,
  files: Files,
  windows = 1,
  stop = false,
  areas?: () => readonly KernelArea[] | null,
) {
  const source = new MadeSource(files);
  const control = new AbortController();
  if (stop) control.abort();
  const told: number[] = [];
  const recording = await recordReadings({
    type: 'page',
    method,
    source,
    windows,
    seconds: 0.01,
    pageSize: 4096,
    maxSurvivors: 12,
    stop: control.signal,
    ...(areas && { areas }),
    progress: ({ readings, of }) => {
      told.push(readings, of);
      source.moment++;
    },
  });
  return { recording, told };
}

/** Bytes and blocks at each reading for a function of the module, and its site. */
function heldBy(recording: Recording, name: string) {
  const sites = [...recording.sites.values()].filter(({ frames }) => frames.some(({ symbol }) => symbol === name));
  expect(sites).toHaveLength(1);
  return recording.readings.map(({ held }) => {
    const found = held.get(sites[0]?.id ?? '');
    return found && [found.bytes, found.blocks];
  });
}

const PROFILING = '/proc/sys/vm/mem_profiling';
const OWN = '/sys/kernel/debug/page_owner';
const STACKS = '/sys/kernel/debug/page_owner_stacks/show_stacks';
const THRESHOLD = '/sys/kernel/debug/page_owner_stacks/count_threshold';

describe("readings of the kernel's own records", () => {
  it("match the module's counts in allocation profiling, by source line", async () => {
    const { recording } = await record('allocinfo', { '/proc/allocinfo': two('allocinfo') });
    expect(heldBy(recording, 'leak_single')).toEqual([undefined, [593_920, 145]]);
    expect(heldBy(recording, 'leak_fifth')).toEqual([undefined, [1_310_720, 10]]);
    expect(heldBy(recording, 'keep_page')).toEqual([undefined, [1_228_800, 300]]);
    const site = [...recording.sites.values()].find(({ frames }) => frames[0]?.symbol === 'leak_third');
    expect(site).toMatchObject({
      kind: 'line',
      frames: [{ symbol: 'leak_third', module: 'leak', line: 'leak.c:55', offset: null, guess: false }],
    });
    // Pages of slabs are not included, but the objects in them are.
    expect([...recording.sites.values()].some(({ frames }) => frames[0]?.line?.includes('slub'))).toBe(false);
    expect(recording.gaps).toEqual([{ code: 'inaccurate', source: '/proc/allocinfo', count: expect.any(Number) }]);
    expect(recording.survivorsLeftOut).toBeNull();
  });

  it('refuse allocation profiling that is off or counts nothing', async () => {
    const zeros = 'allocinfo - version: 2.0\n           0        0 a.c:1 func:f \n';
    await expect(record('allocinfo', { '/proc/allocinfo': zeros })).rejects.toMatchObject({
      code: 'unreadable',
      message: '/proc/allocinfo: lists no allocations',
    });
    const files = { '/proc/allocinfo': two('allocinfo') };
    await expect(record('allocinfo', { ...files, [PROFILING]: '0\n' })).rejects.toMatchObject({
      code: 'unreadable',
      next: 'Turn it on: sysctl vm.mem_profiling=1',
    });
    const { recording } = await record('allocinfo', { ...files, [PROFILING]: ['1\n', '0\n'] });
    expect(recording.gaps).toContainEqual({ code: 'truncated', source: '/proc/allocinfo', count: 1 });
  });

  it('report caches that are not tracked: slub_debug=U,kmalloc-1k tracks only one', async () => {
    const files = {
      '/sys/kernel/slab/kmalloc-1k/object_size': '1024\n',
      '/sys/kernel/slab/kmalloc-2k/object_size': '2048\n',
      '/sys/kernel/slab/dentry/object_size': '192\n',
      '/sys/kernel/debug/slab/kmalloc-1k/alloc_traces': two('alloc_traces'),
    };
    const { recording } = await record('slab-traces', files);
    expect(recording.gaps).toEqual([{ code: 'unreadable', source: '/sys/kernel/debug/slab', count: 2 }]);
  });

  it('read version 1 of allocation profiling', async () => {
    const text =
      'allocinfo - version: 1.0\n#     <size>  <calls> <tag info>\n        8192        2 drivers/net/virtio_net.c:900 module:virtio_net func:receive_mergeable \n';
    const { recording } = await record('allocinfo', { '/proc/allocinfo': text });
    expect(heldBy(recording, 'receive_mergeable')).toEqual([
      [8192, 2],
      [8192, 2],
    ]);
    expect([...recording.sites.values()][0]?.frames[0]?.module).toBe('virtio_net');
    expect(recording.gaps).toEqual([]);
  });

  it.each([
    ['of an unknown version', 'allocinfo - version: 3.0\n', 'truncated'],
    ['without its header', '       4096        1 a.c:1 func:f \n', 'truncated'],
    ['with malformed lines', 'allocinfo - version: 1.0\nmore\n', 'malformed'],
  ])('report a file %s', async (_, text, code) => {
    const { recording } = await record('allocinfo', { '/proc/allocinfo': text });
    expect(recording.gaps).toEqual([{ code, source: '/proc/allocinfo', count: 1 }]);
  });

  it('read page_owner, with its stacks and the blocks since the first reading', async () => {
    const { recording, told } = await record('page-owner', { [OWN]: two('page_owner') });
    expect(told).toEqual([1, 2, 2, 2]);
    expect(heldBy(recording, 'leak_third')).toEqual([undefined, [1_179_648, 36]]);
    expect(heldBy(recording, 'leak_fifth')).toEqual([undefined, [1_310_720, 10]]);
    expect(recording.gaps).toEqual([]);
    const { survivors, survivorsLeftOut } = recording;
    expect(survivors).toHaveLength(12);
    expect(survivorsLeftOut).toBeGreaterThan(30);
    for (const survivor of survivors) {
      expect(survivor).toMatchObject({ command: 'leak', tid: expect.any(Number) });
      expect(survivor.since).toBeGreaterThan(0);
      expect(survivor.bytes).toBe(2 ** (survivor.order ?? 0) * 4096);
    }
  });

  it('read page_owner of older kernels: decimal frames, no time, no command', async () => {
    const block = (pfn: number) =>
      `Page allocated via order 1, mask 0x100dca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO)\nPFN ${pfn} type Movable Block 1 type Movable Flags 0xfffffc0080068(uptodate|lru)\n f+0x1/0x2\n g+0x1/0x2 [m]\nCharged to memcg x\n\n`;
    const { recording } = await record('page-owner', { [OWN]: [block(6), block(6) + block(8)] });
    expect(heldBy(recording, 'f')).toEqual([
      [8192, 1],
      [16_384, 2],
    ]);
    expect(recording.survivors).toMatchObject([{ place: 8n, since: null, tid: null, order: 1 }]);
    expect(recording.gaps).toEqual([]);
  });

  it('report a page_owner that is truncated or has malformed lines', async () => {
    const text = 'nothing\nPage allocated via order 0, mask 0x0(), pid 1, tgid 1 (a, b), ts 1 ns\n';
    const { recording } = await record('page-owner', { [OWN]: text });
    expect(recording.gaps?.map(({ code, count }) => [code, count])).toEqual([
      ['truncated', 1],
      ['malformed', 1],
    ]);
  });

  it('read page_owner_stacks, which counts pages only', async () => {
    const files = { [STACKS]: two('show_stacks'), [THRESHOLD]: '0\n' };
    const { recording } = await record('page-owner-stacks', files);
    expect(heldBy(recording, 'leak_fifth')).toEqual([undefined, [1_310_720, null]]);
    expect(heldBy(recording, 'ring_split')).toEqual([undefined, [3_112_960, null]]);
    expect(recording.gaps).toEqual([]);
  });

  it('refuse page_owner_stacks with a count threshold', async () => {
    const files = { [STACKS]: two('show_stacks'), [THRESHOLD]: '100\n' };
    await expect(record('page-owner-stacks', files)).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('100'),
      next: expect.any(String),
    });
  });

  it('read slab traces: objects by stack, and by caller in older kernels', async () => {
    const size = { '/sys/kernel/slab/kmalloc-1k/object_size': '1024\n' };
    const traces = { '/sys/kernel/debug/slab/kmalloc-1k/alloc_traces': two('alloc_traces') };
    const { recording } = await record('slab-traces', { ...size, ...traces });
    expect(heldBy(recording, 'leak_object')).toEqual([undefined, [183_296, 179]]);
    const calls = { '/sys/kernel/slab/kmalloc-1k/alloc_calls': two('alloc_calls') };
    const older = await record('slab-traces', { ...size, ...calls });
    expect(heldBy(older.recording, 'leak_object')).toEqual([undefined, [145_408, 142]]);
    expect(older.recording.gaps).toEqual([]);
    const unsized = { '/sys/kernel/slab/other/alloc_calls': 'No data\n' };
    const { recording: partly } = await record('slab-traces', { ...size, ...calls, ...unsized });
    expect(partly.gaps).toEqual([{ code: 'unreadable', source: '/sys/kernel/debug/slab', count: 1 }]);
  });

  it('report traces of older kernels that fill a page, since the rest is missing', async () => {
    const line = '      1 some_function_with_a_name+0x1/0x2 age=1 pid=1 cpus=0\n';
    const files = {
      '/sys/kernel/slab/kmalloc-1k/object_size': '1024\n',
      '/sys/kernel/slab/kmalloc-1k/alloc_calls': line.repeat(65),
    };
    const { recording } = await record('slab-traces', files);
    expect(recording.gaps).toMatchObject([{ code: 'truncated', count: 1 }]);
  });

  it('read vmallocinfo, with the areas since the first reading', async () => {
    const { recording } = await record('vmallocinfo', { '/proc/vmallocinfo': two('vmallocinfo') });
    expect(heldBy(recording, 'leak_area')).toEqual([undefined, [139_264, 17]]);
    expect(recording.survivors[0]).toMatchObject({ order: null, since: null });
    expect(recording.survivors[0]?.place).toBeGreaterThan(0xffff_0000_0000_0000n);
    expect(recording.gaps).toEqual([]);
  });

  it('take a last reading if interrupted, and fail if nothing is readable', async () => {
    const files = { '/proc/vmallocinfo': two('vmallocinfo') };
    const { recording } = await record('vmallocinfo', files, 5, true);
    expect(recording).toMatchObject({ endedEarly: true, readings: [{}, {}] });
    const { recording: whole } = await record('vmallocinfo', files, 5);
    expect(whole).toMatchObject({ endedEarly: false });
    expect(whole.readings).toHaveLength(6);
    await expect(record('vmallocinfo', {})).rejects.toMatchObject({ code: 'gone' });
    await expect(record('slab-traces', {})).rejects.toMatchObject({ code: 'unreadable' });
  });

  it("read hidden addresses of vmalloc areas from the kernel's own list", async () => {
    const line = (number: string, size: number, caller: string, pages: number) =>
      `0x00000000${number}-0x00000000fffffff0 ${size} ${caller} pages=${pages} vmalloc N0=${pages}\n`;
    const old = line('12345678', 12_288, 'load_module+0x1f/0x30', 2);
    const leaked = line('23456789', 12_288, 'leak_area+0x14/0x50 [leak]', 2);
    const files = { '/proc/vmallocinfo': [old, `${old}${leaked}`] };
    const area = (address: bigint, symbol: string, offset: number, module: string | null) => ({
      address,
      bytes: 8192,
      caller: { symbol, offset, module, line: null, guess: false },
    });
    const first = [area(0xffff_c900_0000_1000n, 'load_module', 0x1f, null)];
    const now = [...first, area(0xffff_c900_0000_5000n, 'leak_area', 0x14, 'leak')];
    const told = async (...lists: (readonly KernelArea[] | null)[]) => {
      let at = 0;
      const { recording } = await record('vmallocinfo', files, 1, false, () => lists[at++] ?? null);
      return recording;
    };
    const recording = await told(first, now);
    const [site] = [...recording.sites.values()].filter(({ frames }) => frames[0]?.symbol === 'leak_area');
    expect(recording.survivors).toMatchObject([{ site: site?.id, place: 0xffff_c900_0000_5000n, bytes: 8192 }]);
    expect([recording.sites.size, recording.survivorsLeftOut]).toEqual([2, 0]);
    // If a list is unreadable once, all areas would be new, or none.
    for (const lists of [
      [null, now],
      [first, null],
    ])
      expect(await told(...lists)).toMatchObject({ survivors: [], survivorsLeftOut: null });
    // The list is not read either if the text contains addresses.
    const real = files['/proc/vmallocinfo'].map((text) =>
      text.replace(/0x00000000(\w{8})-0x\w+ (\d+)/g, (_, at: string, size: string) => {
        const start = 0xffff_c900_0000_0000n + BigInt(`0x${at}`);
        return `0x${start.toString(16)}-0x${(start + BigInt(size)).toString(16)} ${size}`;
      }),
    );
    const { recording: plain } = await record('vmallocinfo', { '/proc/vmallocinfo': real }, 1, false, () => {
      throw new Error('it is asked');
    });
    expect(plain.survivors).toHaveLength(1);
  });
});
