import { describe, expect, test } from 'vitest';
import { formatFigures } from '../../../src/account/memory/figures.js';
import { flaggedMemory } from '../../../src/account/memory/flagged.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { memoryMetrics } from '../../../src/answers/memory/prometheus.js';
import { memoryText } from '../../../src/answers/memory/text.js';
import { HostError } from '../../../src/base/errors.js';
import { type CategoryJson, memorySchema } from '../../../src/contracts/memory.js';
import type { FrameFile } from '../../../src/host/proc/frames/frame-files.js';
import { readHostFrames } from '../../../src/host/proc/frames/machine.js';
import { FakeHost } from '../fake-host.js';

const PAGE = 4096;

const bit = (...bits: number[]) => bits.reduce((word, one) => word + 2n ** BigInt(one), 0n);

/** Words of /proc/kpageflags as kernels write them (test/real/memory compares them with real ones). */
const WORD = {
  none: 0n,
  hole: bit(20),
  free: bit(10),
  reserved: bit(32),
  slab: bit(7),
  // A slab whose fields look like a mapping (6.12).
  slabHead: bit(7, 12, 15, 21),
  slabTail: bit(7, 12, 16, 21),
  anonymous: bit(3, 5, 11, 12, 14),
  swapCache: bit(3, 5, 12, 13, 14),
  file: bit(2, 3, 5, 6),
  // Pages that are being added to an LRU list.
  waiting: bit(3, 35),
  shmem: bit(3, 4, 5, 14),
  huge: bit(15, 17),
  hugeTail: bit(16, 17),
  thpHead: bit(3, 5, 12, 14, 15, 22),
  // Tail pages of old kernels have their own flags.
  thpTail: bit(12, 16, 22),
  table: bit(2, 26),
  offline: bit(23),
  head: bit(15),
  tail: bit(16),
  mapped: bit(11),
} as const;

/** A machine with 64 frames: RAM from 16 to 79, of which the last 8 are behind a hole. */
function machine(words: readonly bigint[], meminfo: Record<string, number | string> = {}): FakeHost {
  const host = new FakeHost();
  const lines = { MemTotal: 60, MemFree: 0, Slab: 0, SReclaimable: 0, VmallocUsed: 0, VmallocChunk: 0, ...meminfo };
  host.files.set(
    '/proc/meminfo',
    Object.entries(lines)
      .map(([name, pages]) => `${name}:  ${typeof pages === 'string' ? pages : `${4 * pages} kB`}\n`)
      .join(''),
  );
  host.files.set(
    '/proc/iomem',
    '00000000-0000ffff : Reserved\n00010000-00047fff : System RAM\n' +
      '  00012000-00013fff : Kernel code\n  00014000-00014fff : Kernel bss\n' +
      '00060000-00067fff : System RAM (virtio_mem)\n',
  );
  host.files.set(
    '/proc/zoneinfo',
    'Node 0, zone   Normal\n  pages free     3\n        min      1\n        low      2\n        high     3\n' +
      '        spanned  96\n        present  64\n        managed  60\n  pagesets\n    cpu: 0\n' +
      '              count:    2\n              high:     6\n  start_pfn:           16\n',
  );
  host.files.set('/proc/buddyinfo', 'Node 0, zone   Normal      1      1      0 \n');
  host.files.set('/proc/slabinfo', SLABINFO);
  host.files.set('/sys/kernel/slab/dentry/reclaim_account', '1\n');
  host.files.set('/sys/kernel/slab/dentry/object_size', '188\n');
  host.files.set(
    '/proc/vmallocinfo',
    '0x01-0x02    8192 acpi_os_map_iomem+0x1cc/0x210 phys=0x1 ioremap\n' +
      '0x03-0x04   12288 kernel_clone+0x94/0x3e0 pages=2 vmalloc N0=2\n' +
      '0x05-0x06    8192 load_module+0x9f4/0x1d00 pages=1 vmalloc N0=1\n' +
      '0x07-0x08    8192 evil+0x1/0x2 [mod\u001b] pages=1 vmalloc N0=1\n',
  );
  host.frames = words;
  return host;
}

const SLABINFO = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
dentry                41     42    192   21    1 : tunables    0    0    0 : slabdata      2      2      0
kmalloc-8k             3      4   8192    4    8 : tunables    0    0    0 : slabdata      1      1      0
`;

/** The words in a host's /proc/kpageflags from frame 0 on, and the reads of them. */
const readSizes: number[] = [];
function open(host: FakeHost): (path: string) => FrameFile {
  return (path) => {
    if (path !== '/proc/kpageflags') throw new HostError('gone', `${path}: not found`);
    return {
      words: (first, count) => {
        readSizes.push(count);
        const words = host.frames.slice(first, first + count);
        const bytes = Buffer.alloc(8 * words.length);
        words.forEach((word, index) => {
          bytes.writeBigUInt64LE(word, 8 * index);
        });
        return bytes;
      },
      close: () => undefined,
    };
  };
}

const look = (host: FakeHost) => flaggedMemory(readHostFrames(host, () => undefined, open(host)));

/** RAM whose frames have these words, in order; the remaining frames are free. */
function ram(...words: readonly (readonly [bigint, number])[]): bigint[] {
  const all = words.flatMap(([word, count]) => new Array<bigint>(count).fill(word));
  const frames = new Array<bigint>(16).fill(WORD.hole);
  frames.push(...all.slice(0, 56), ...new Array<bigint>(Math.max(0, 56 - all.length)).fill(WORD.free));
  frames.push(...new Array<bigint>(24).fill(WORD.hole));
  frames.push(...all.slice(56), ...new Array<bigint>(8 - Math.max(0, all.length - 56)).fill(WORD.free));
  return frames;
}

function pages(host: FakeHost): Record<string, number> {
  const json = memoryJson(look(host));
  expect(memorySchema.parse(json)).toEqual(json);
  const found: Record<string, number> = {};
  const visit = ({ category, bytes, children }: CategoryJson): void => {
    if (children.length > 0) expect(children.reduce((sum, child) => sum + child.bytes, 0)).toBe(bytes);
    else if (bytes > 0) found[category] = bytes / 4096;
    children.forEach(visit);
  };
  visit(json.memory);
  return found;
}

describe('flags of page frames', () => {
  test('put each frame into one category, tails with their heads', () => {
    const words = ram(
      [WORD.reserved, 6],
      [WORD.slab, 1],
      [WORD.slabHead, 1],
      [WORD.slabTail, 3],
      [WORD.anonymous, 3],
      [WORD.swapCache, 1],
      [WORD.file, 4],
      [WORD.waiting, 1],
      [WORD.shmem, 2],
      [WORD.huge, 1],
      [WORD.hugeTail, 3],
      [WORD.thpHead, 1],
      [WORD.thpTail, 3],
      [WORD.table, 2],
      [WORD.offline, 1],
      [WORD.head, 1],
      [WORD.tail, 3],
      [WORD.none, 8],
      [WORD.mapped, 1],
    );
    const host = machine(words, { SReclaimable: 1, VmallocUsed: 4, KernelStack: 1 });
    expect(pages(host)).toEqual({
      image: 3,
      'reserved-other': 3,
      'slab-reclaimable': 1,
      'slab-unreclaimable': 4,
      anonymous: 7,
      'swap-cache': 1,
      'page-cache': 5,
      shared: 2,
      hugetlb: 4,
      'page-tables': 2,
      balloon: 1,
      // Of 13 frames without a flag: 2 in per-CPU free lists, a stack, a stack being freed, a module.
      'free-cpu-lists': 2,
      'kernel-stacks': 1,
      modules: 1,
      vmalloc: 2,
      unattributed: 7,
      'free-buddy': 18,
    });
    const { unflagged } = look(host);
    expect(unflagged).toMatchObject({ bytes: 13 * PAGE, mappedBytes: PAGE, chargedBytes: null });
    expect(unflagged?.sizes).toEqual([
      { order: 0, blocks: 9, frames: 9 },
      { order: 2, blocks: 1, frames: 4 },
    ]);
  });

  test('also report huge, locked, poisoned and zero pages, tails like their heads', () => {
    const words = ram(
      [WORD.thpHead, 1],
      [WORD.thpTail, 3],
      [WORD.file | bit(33), 2],
      [WORD.anonymous | bit(19, 33), 1],
      [WORD.reserved | bit(24), 1],
    );
    expect(look(machine(words)).notes).toEqual([
      { note: 'thp', category: 'anonymous', bytes: 4 * PAGE },
      { note: 'mlocked', category: 'anonymous', bytes: PAGE },
      { note: 'hwpoison', category: 'anonymous', bytes: PAGE },
      { note: 'mlocked', category: 'page-cache', bytes: 2 * PAGE },
      { note: 'zero-page', category: 'reserved-other', bytes: PAGE },
    ]);
    const text = memoryText(look(machine(words)), { source: '--live', width: null, verbose: true });
    expect(text).toContain('Included above: 16.0 KiB of anonymous (in transparent huge pages');
  });

  test('report a tail that lost its head during the scan as unread, in no other category', () => {
    const answer = look(machine(ram([WORD.free, 4], [WORD.tail, 2], [WORD.anonymous, 1])));
    expect(category(answer, 'unread')).toMatchObject({ frames: 2, complete: false });
    expect(answer.warnings.map(({ code }) => code)).toContain('torn-list');
  });

  /** Flags that change after the first read, which is of one frame. */
  const changing = (first: readonly bigint[], ...later: readonly (readonly bigint[])[]) => {
    const host = machine([...first]);
    const file = open(host)('/proc/kpageflags');
    let reads = 0;
    const words: FrameFile['words'] = (from, count) => {
      host.frames = [...((reads++ < 2 ? first : later[Math.min(reads - 3, later.length - 1)]) ?? [])];
      return file.words(from, count);
    };
    return flaggedMemory(
      readHostFrames(
        host,
        () => undefined,
        (path) => (path === '/proc/kpageflags' ? { ...file, words } : open(host)(path)),
      ),
    );
  };
  const torn = ram([WORD.free, 4], [WORD.tail, 2], [WORD.anonymous, 1]);

  test('are read again for a tail and its head, which was allocated or freed meanwhile', () => {
    const allocated = ram([WORD.thpHead, 1], [WORD.thpTail, 5], [WORD.anonymous, 1]);
    const later = changing(torn, torn, allocated);
    expect(category(later, 'unread')).toMatchObject({ frames: 0 });
    expect(category(later, 'anonymous')).toMatchObject({ frames: 3 });
    expect(later.warnings.map(({ code }) => code)).not.toContain('torn-list');
    const freed = changing(torn, ram([WORD.free, 6], [WORD.anonymous, 1]));
    expect(category(freed, 'unread')).toMatchObject({ frames: 0 });
    expect(category(freed, 'anonymous')).toMatchObject({ frames: 1 });
    expect(freed.warnings.map(({ code }) => code)).not.toContain('torn-list');
  });

  test('are unread for frames behind the end of the file, which are not free', () => {
    const answer = look(machine(ram([WORD.anonymous, 10]).slice(0, 50)));
    expect(category(answer, 'unread')).toMatchObject({ frames: 30, complete: false });
    expect(answer.memory.frames).toBe(64);
  });

  test('count no offline pages, and report zones with more frames than the flags', () => {
    const answer = look(machine(ram([WORD.hole, 5])));
    expect(category(answer, 'unread').frames).toBe(5);
    expect(category(answer, 'unread').why).toContain('zones have 64 page frames');
    expect(answer.memory.frames).toBe(64);
  });

  test('are refused if the file is empty', () => {
    expect(() => look(machine([]))).toThrow('/proc/kpageflags is empty');
  });

  test('are not interpreted without addresses in /proc/iomem', () => {
    const host = machine(ram());
    host.files.set('/proc/iomem', '00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n');
    expect(() => look(host)).toThrow('/proc/iomem shows no addresses');
  });
});

describe('counters', () => {
  test('with more frames than exist are not split into categories', () => {
    const host = machine(ram([WORD.none, 5]), { VmallocUsed: 4 });
    expect(pages(host)).toEqual({ unattributed: 5, 'free-buddy': 59 });
    expect(category(look(host), 'vmalloc').why).toContain('fewer than the 6 that the counters in /proc report');
  });

  test('of vmalloc that contradict its areas are put into no category', () => {
    const host = machine(ram([WORD.none, 50]), { VmallocUsed: 400 });
    expect(pages(host)).toMatchObject({ unattributed: 48, 'free-cpu-lists': 2 });
    expect(category(look(host), 'vmalloc')).toMatchObject({ complete: false, frames: 0 });
  });

  test('with more reclaimable slabs than exist leave all slabs in one row', () => {
    const host = machine(ram([WORD.slab, 4]), { SReclaimable: 5 });
    expect(pages(host)).toMatchObject({ 'slab-unreclaimable': 4 });
    expect(category(look(host), 'slab-reclaimable')).toMatchObject({ complete: false, frames: 0 });
  });

  test('that differ from flags by more than sampling explains are reported', () => {
    const host = machine(ram([WORD.anonymous, 10]), { MemFree: 1000 });
    expect(look(host).warnings[0]?.message).toMatch(/^free-buddy: page flags show 54 pages/);
  });

  test('with text in place of a number are reported, and not treated as zero', () => {
    const host = machine(ram([WORD.anonymous, 10]), { SReclaimable: 'many kB', AnonPages: '-1 kB' });
    const answer = look(host);
    expect(category(answer, 'slab-reclaimable').why).toBe('/proc/meminfo says “many kB” of SReclaimable');
    expect(category(answer, 'anonymous')).toMatchObject({ frames: 10, counterBytes: null });
  });
});

/**
 * 4 GiB, of which the kernel has initialized 2,048 frames, as with deferred_init=lazy. MemTotal and MemFree
 * include the others, except 48 that were reserved at boot.
 */
function deferred(meminfo: Record<string, number> = {}): FakeHost {
  const all = 2 ** 20;
  const host = machine([], { MemTotal: all - 100, MemFree: all - 2048 - 48 + 900, ...meminfo });
  host.files.set('/proc/iomem', `00000000-${(all * 4096 - 1).toString(16)} : System RAM\n`);
  host.files.set(
    '/proc/zoneinfo',
    'Node 0, zone   Normal\n  pages free     900\n' +
      `        spanned  ${all}\n        present  ${all}\n        managed  ${2048 - 52}\n  pagesets\n` +
      '    cpu: 0\n              count:    2\n  start_pfn:           0\n',
  );
  const words = (word: bigint, count: number) => new Array<bigint>(count).fill(word);
  host.frames = [
    ...words(WORD.reserved, 52),
    ...words(WORD.free, 900),
    ...words(WORD.anonymous, 1000),
    ...words(WORD.none, all - 1952),
  ];
  return host;
}

describe('memory that the kernel has not initialized', () => {
  test('is free, and neither unattributed nor in the buddy allocator', () => {
    expect(pages(deferred())).toMatchObject({
      'free-uninitialized': 2 ** 20 - 2048 - 48,
      'free-buddy': 900,
      anonymous: 1000,
      // Frames whose struct pages are marked reserved, and frames with uninitialized struct pages.
      'reserved-other': 100,
      // Initialized frames without a flag, less those in per-CPU free lists and vmalloc.
      unattributed: 96 - 2 - 4,
    });
    const answer = look(deferred());
    expect(answer.warnings).toEqual([]);
    const [first] = memoryText(answer, { source: '--live', width: null }).split('\n');
    expect(first).toMatch(/^Memory is not short: 4.00 GiB of 4.00 GiB is free \(100 %\)\. Largest use: anonymous/);
    expect(memoryMetrics(answer)).toContain(
      `{group="free",category="free-uninitialized"} ${(2 ** 20 - 2048 - 48) * 4096}`,
    );
    const { lines } = formatFigures(answer, 'free');
    const used = lines.find(({ name }) => name === 'used (before)');
    expect(used?.bytes).toBe((1000 + 96) * 4096);
  });

  test('is separate if other counters changed; memory initialized during the scan is reported', () => {
    const host = deferred();
    const zoneinfo = host.files.get('/proc/zoneinfo') ?? '';
    host.files.set('/proc/zoneinfo', zoneinfo.replace('count:    2', 'count:    200'));
    expect(pages(host)).toMatchObject({ 'free-uninitialized': 2 ** 20 - 2048 - 48, unattributed: 96 });
    const before = deferred();
    const read = readHostFrames(before, () => undefined, open(before));
    const meminfo = new Map(read.before.meminfo);
    meminfo.set('MemTotal', (meminfo.get('MemTotal') ?? 0) + 4096);
    const amid = flaggedMemory({ ...read, before: { ...read.before, meminfo } });
    expect(category(amid, 'unattributed').why).toMatch(/^the kernel initialized 1 pages during/);
  });

  test('contradicts MemFree if page flags show that it is in use', () => {
    const host = deferred();
    host.frames = host.frames.map((word, at) => (at < 4096 ? word : WORD.anonymous));
    expect(look(host).freeConflict).toMatchObject({ foundBytes: 900 * 4096 });
    expect(look(host).freeConflict?.countedBytes).toBeGreaterThan(2 ** 31);
  });

  test('is not inferred from MemTotal alone; a contradicted MemFree leads the answer', () => {
    const answer = look(deferred({ MemFree: 500_000 }));
    expect(answer.freeConflict).toEqual({ foundBy: 'pageflags', foundBytes: 900 * 4096, countedBytes: 500_000 * 4096 });
    expect(category(answer, 'free-uninitialized')).toMatchObject({ frames: 0, complete: false });
    expect(category(answer, 'unattributed').complete).toBe(false);
    const text = memoryText(answer, { source: '--live', width: null });
    expect(text).toMatch(/^Free memory of 4.00 GiB is contradictory: page flags show 3.52 MiB, MemFree counts 1/);
    expect(text.split('\n')[0]).toContain('Largest use: anonymous');
    expect(text).toMatch(/Next: kdump-mem memory --live --source counters$/);
    const metrics = memoryMetrics(answer);
    expect(metrics).toContain('kdump_mem_memory_bytes{group="applications-and-files",category="anonymous"}');
    for (const one of ['free-buddy', 'free-uninitialized', 'unattributed'])
      expect(metrics).not.toMatch(new RegExp(`kdump_mem_memory_bytes.*"${one}"`));
  });
});

describe('lists in addition to page flags', () => {
  test('of caches are reported with the attributes in /sys', () => {
    expect(look(machine(ram())).caches).toEqual([
      {
        name: 'kmalloc-8k',
        reclaimable: null,
        bytes: 8 * 4096,
        slabs: 1,
        slots: 4,
        used: 3,
        objectSize: null,
        slotSize: 8192,
      },
      {
        name: 'dentry',
        reclaimable: true,
        bytes: 2 * 4096,
        slabs: 2,
        slots: 42,
        used: 41,
        objectSize: 188,
        slotSize: 192,
      },
    ]);
  });

  test('that are missing are reported individually', () => {
    const host = machine(ram([WORD.none, 10]));
    host.files.set('/proc/slabinfo', 'denied');
    host.files.delete('/proc/vmallocinfo');
    host.files.delete('/proc/buddyinfo');
    expect(look(host).noDetails).toEqual({
      caches: '/proc/slabinfo: permission denied',
      callers: '/proc/vmallocinfo: not found',
      zones: 'malformed /proc/buddyinfo (a zone is missing)',
    });
    expect(category(look(host), 'vmalloc').why).toBe('/proc/vmallocinfo: not found');
  });

  test('are refused if a line is malformed', () => {
    const host = machine(ram());
    host.files.set('/proc/slabinfo', SLABINFO.replace('41     42', 'x      42'));
    expect(look(host).noDetails?.caches).toContain('malformed line in /proc/slabinfo: dentry');
  });
});

test('reads large memory in pieces of half a MiB', () => {
  const host = machine([]);
  host.files.set('/proc/iomem', '00000000-3fffffff : System RAM\n');
  host.frames = new Array<bigint>(2 ** 18).fill(WORD.free);
  readSizes.length = 0;
  expect(look(host).memory.frames).toBe(2 ** 18);
  expect(Math.max(...readSizes)).toBe(2 ** 16);
  expect(readSizes.length).toBe(5);
});

test('names the source and its limits in the text, without escape sequences', () => {
  const found = look(machine(ram([WORD.none, 9], [WORD.head, 1], [WORD.tail, 7]), { Percpu: 3 }));
  const answer = {
    ...found,
    unavailable: [{ source: 'kcore', code: 'permission', why: 'no\u001b[31m kcore' } as const],
  };
  const text = memoryText(answer, { source: '--live', width: null, verbose: true });
  expect(text).toMatch(/^Source: page flags .*; no\\x1b\[31m kcore\.$/m);
  expect(text).toContain('“network: socket queues”, “network: other” (not identified without /proc/kcore; ');
  expect(text).toContain('9 order-0 blocks (36.0 KiB), 1 order-3 block (32.0 KiB)');
  expect(text).toContain('Counters partly included: Percpu 12.0 KiB.');
  expect(text).toMatch(/Next: skcheck --stale$/);
  expect(text).not.toContain('\u001b');
});

function category(answer: ReturnType<typeof look>, name: string) {
  const found = answer.memory.children.flatMap(({ children }) => children).find((one) => one.category === name);
  if (!found) throw new Error(`no category ${name}`);
  return found;
}
