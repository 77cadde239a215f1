import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildOwnKernel, OWN_KERNEL } from '../../../../scripts/lab-parts/own-kernel.mjs';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { whatisSchema } from '../../../../src/contracts/whatis.js';
import { kdumpMem } from '../../../support/cli.js';
import { drgnJson } from '../../../support/drgn.js';
import { jsonInGuest } from '../../../support/guest.js';
import { labKernel } from '../../../support/lab.js';
import type { Kind, LeakGuest, Truth } from '../leak-guest.js';
import { AREAS, bootOwnKernel, COPIES, type Copy, KINDS_IN, OBJECTS, PAGES, REMEMBERS } from '../own-kernel-guest.js';

type Source = NonNullable<MemoryJson['sites']>[number];
type Site = Source['sites'][number];
type Frame = Site['frames'][number];
/** Number of frames to query on the running kernel. */
const FRAMES = 300;
const PAGE = 4096;
/**
 * Minimum share of sites that do not change between two readings, and of those that ours equals
 * exactly.
 */
const STEADY = 0.8;
const EQUAL = 0.85;
/** Memory of the processes that copied a text and exited before the dump. */
const MAX_APART = 2 * 2 ** 20;
const NAMES = Object.keys(COPIES) as Copy[];
const RECORDS = new URL('../own-kernel-records.py', import.meta.url);

const folder = mkdtempSync(join(tmpdir(), 'own-kernel-dump-'));
const vmcore = join(folder, 'elf.vmcore');

let guest: LeakGuest;
let truth: Truth;
let answer: MemoryJson;
/** The same for the running kernel, between the second and the third reading. */
let live: MemoryJson;
/** Answers of the running kernel about single frames, and its page_owner text about them. */
let identities: ReturnType<typeof whatisSchema.parse>['identities'];
const recorded = new Map<number, readonly [string, string]>();
/** Three readings of each text just before the dump. */
const texts = new Map<Copy, readonly string[]>();

const ask = (...args: readonly string[]) =>
  kdumpMem(...args, '--vmcore', vmcore, '--types', labKernel(OWN_KERNEL).vmlinux, '--json');

beforeAll(async () => {
  buildOwnKernel();
  // The kernel has no BTF of its own.
  const btf = join(folder, 'btf');
  execFileSync('pahole', [`--btf_encode_detached=${btf}`, labKernel(OWN_KERNEL).vmlinux]);
  guest = await bootOwnKernel(REMEMBERS, [{ path: '/btf', from: btf }]);
  await guest.leaks({ ...PAGES, ...OBJECTS, ...AREAS });
  await guest.load(8);
  await guest.go();
  await guest.guest.run('sleep 8');
  await guest.halt();
  await guest.unloaded();
  const copying = (at: number) => NAMES.map((name) => `cp ${COPIES[name]} /copies/${name}-${at}`).join('; ');
  await guest.guest.run(`mkdir -p /copies; ${copying(1)}; ${copying(2)}`);
  truth = await guest.truth();
  const inGuest = (command: string) => jsonInGuest(guest.guest, command);
  live = memorySchema.parse(await inGuest('memory --by site --live --types /btf'));
  const read = async (name: string, at: number) =>
    (await guest.guest.run(`cat /copies/${name}-${at}`)).output.toString();
  const frames = [...recordsOf(await read('page_owner', 2)).keys()];
  const some = frames.filter((_, index) => index % Math.ceil(frames.length / FRAMES) === 0);
  const words = some.map((frame) => `pfn:${frame}`).join(' ');
  ({ identities } = whatisSchema.parse(await inGuest(`whatis --live --types /btf ${words}`)));
  await guest.guest.run(copying(3));
  const [before, after] = [await read('page_owner', 2), await read('page_owner', 3)].map(recordsOf);
  for (const frame of some) recorded.set(frame, [before?.get(frame) ?? '', after?.get(frame) ?? '']);
  await guest.guest.pause();
  await guest.guest.dump('elf', vmcore);
  await guest.guest.resume();
  for (const name of NAMES) texts.set(name, [await read(name, 1), await read(name, 2), await read(name, 3)]);
  guest.end();
  const { stdout, stderr, status } = await ask('memory', '--by', 'site');
  expect({ stderr, status }).toEqual({ stderr: expect.any(String), status: 0 });
  answer = memorySchema.parse(JSON.parse(stdout));
});

afterAll(() => {
  guest?.end();
  rmSync(folder, { recursive: true });
});

function source(name: Source['source'], from = answer): Source {
  const found = from.sites?.find((one) => one.source === name);
  if (found?.state !== 'on') throw new Error(`${name} is ${found?.state}: ${found?.why}`);
  return found;
}

/** A function as the kernel prints it (%pS): `name+0x12 [module]`. */
const printed = ({ symbol, offset, module }: Frame): string =>
  `${symbol}+0x${offset?.toString(16)}${module === null ? '' : ` [${module}]`}`;
const keyOf = (frames: readonly Frame[]): string => frames.map(printed).join('\n');
/** The same from lines of the kernel’s text, without the lengths of functions. */
const keyOfLines = (lines: readonly string[]): string =>
  lines.map((line) => line.trim().replace(/\/0x[0-9a-f]+/, '')).join('\n');

/**
 * Assembler has labels within functions, and system calls have several names: drgn may choose
 * another one.
 */
const aliased = (name: string): string =>
  /^(entry_|asm_|\w*startup_64|ret_from_fork_asm)/.test(name) ? 'entry' : name.replace(/^__(do|x64)_sys_/, 'sys_');

type Sums = Map<string, { bytes: number; allocations: number | null }>;

function add(sums: Sums, key: string, bytes: number, allocations: number | null): void {
  const sum = sums.get(key) ?? { bytes: 0, allocations: allocations === null ? null : 0 };
  sums.set(key, {
    bytes: sum.bytes + bytes,
    allocations: sum.allocations === null ? null : sum.allocations + (allocations ?? 0),
  });
}

/** Contents of a text by site, read without our parsers. */
const READ: Readonly<Record<Copy, (text: string) => Sums>> = {
  page_owner: (text) => {
    const sums: Sums = new Map();
    for (const block of text.split('\n\n')) {
      const order = /^Page allocated via order (\d+)/.exec(block)?.[1];
      if (order === undefined) continue;
      const lines = block.split('\n').filter((line) => line.startsWith(' '));
      add(sums, keyOfLines(lines), PAGE * 2 ** Number(order), 1);
    }
    return sums;
  },
  show_stacks: (text) => {
    const sums: Sums = new Map();
    for (const block of text.split('\n\n')) {
      const pages = /nr_base_pages: (\d+)/.exec(block)?.[1];
      const lines = block.split('\n').filter((line) => line.startsWith(' '));
      if (pages !== undefined) add(sums, keyOfLines(lines), Number(pages) * PAGE, null);
    }
    return sums;
  },
  allocinfo: (text) => {
    const sums: Sums = new Map();
    for (const line of text.split('\n')) {
      const found = /^ *(\d+) +(\d+) (\S+)(?: \[(\S+)\])? func:(\S+)/.exec(line);
      if (found && found[1] !== '0' && !found[3]?.startsWith('mm/slub.c:'))
        add(sums, `${found[3]} ${found[4] ?? ''} ${found[5]}`, Number(found[1]), Number(found[2]));
    }
    return sums;
  },
  'kmalloc-1k': (text) => {
    const sums: Sums = new Map();
    let open: { readonly count: number; readonly lines: string[] } | undefined;
    const close = () => open && add(sums, keyOfLines(open.lines), 1024 * open.count, open.count);
    for (const line of text.split('\n')) {
      const count = /^ *(\d+) \S+.* age=/.exec(line)?.[1];
      if (count !== undefined) {
        close();
        open = { count: Number(count), lines: [] };
      } else if (line.trim() !== '') open?.lines.push(line);
    }
    close();
    return sums;
  },
  vmallocinfo: (text) => {
    const sums: Sums = new Map();
    for (const line of text.split('\n')) {
      const found = /^0x\S+ +\d+ (\S+?)\+0x\S+(?: \[(\S+)\])? pages=(\d+)/.exec(line);
      if (found) add(sums, `${found[1]} ${found[2] ?? ''}`, Number(found[3]) * PAGE, 1);
    }
    return sums;
  },
};

/** Records in the text of page_owner, by the first frame of their block. */
function recordsOf(text: string): Map<number, string> {
  const records = new Map<number, string>();
  for (const block of text.split('\n\n')) {
    const frame = /^PFN (0x[0-9a-f]+) /m.exec(block)?.[1];
    if (frame !== undefined) records.set(Number(frame), block);
  }
  return records;
}

/** Our answer, by the same keys. */
function ours(copy: Copy, from = answer): Sums {
  const sums: Sums = new Map();
  const take = (of: Source, key: (site: Site) => string, counts = true) => {
    for (const site of of.sites) add(sums, key(site), site.bytes, counts ? site.allocations : null);
    return sums;
  };
  const byStack = ({ frames }: Site) => keyOf(frames);
  switch (copy) {
    case 'page_owner':
      return take(source('page-owner', from), byStack);
    case 'show_stacks':
      return take(source('page-owner', from), byStack, false);
    case 'allocinfo':
      return take(source('allocation-tags', from), ({ frames: [frame] }) =>
        [frame?.line, frame?.module ?? '', frame?.symbol].join(' '),
      );
    case 'kmalloc-1k': {
      const tracks = source('slab-tracks', from);
      const sites = tracks.sites.filter((one) => one.cache === copy);
      return take({ ...tracks, sites }, byStack);
    }
    case 'vmallocinfo':
      return take(source('vmalloc-callers', from), ({ frames: [frame] }) =>
        [frame?.symbol, frame?.module ?? ''].join(' '),
      );
  }
}

describe('a kernel that records allocations', () => {
  // Processes make both readings; they hold the same memory at each, and none at the dump.
  test.each(NAMES)('%s: unchanged sites hold what the kernel reports', (name) => {
    const [, before, after] = (texts.get(name) ?? []).map(READ[name]);
    if (!before || !after) throw new Error(`${name} was not read`);
    const all = ours(name);
    const steady = [...after].filter(([key, { bytes, allocations }]) => {
      const sum = before.get(key);
      return sum?.bytes === bytes && sum.allocations === allocations;
    });
    const wrong = steady.filter(([key, sum]) => {
      const own = all.get(key);
      return own?.bytes !== sum.bytes || own.allocations !== sum.allocations;
    });
    const bytesOf = (sums: Iterable<readonly [string, { readonly bytes: number }]>) =>
      [...sums].reduce((total, [, { bytes }]) => total + bytes, 0);
    console.log(
      name,
      'sites',
      after.size,
      'steady',
      steady.length,
      'of',
      bytesOf(steady),
      'bytes',
      'wrong',
      wrong.length,
      'total',
      bytesOf(after),
      'ours',
      bytesOf(all),
      JSON.stringify(wrong.slice(0, 5).map(([key, sum]) => [key, sum, all.get(key)])),
    );
    expect(steady.length).toBeGreaterThan(STEADY * after.size);
    expect(wrong.length).toBeLessThanOrEqual((1 - EQUAL) * steady.length);
    const apart = wrong.map(([key, { bytes }]) => Math.abs(bytes - (all.get(key)?.bytes ?? 0)));
    expect(apart.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(MAX_APART);
    if (name === 'kmalloc-1k' || name === 'vmallocinfo') expect(wrong).toEqual([]);
  });

  // Both readings include memory of the reading process; between them kdump-mem uses memory.
  test.each(NAMES)('%s of the running kernel: the same, except for processes that ran', (name) => {
    const [, before, after] = (texts.get(name) ?? []).map(READ[name]);
    if (!before || !after) throw new Error(`${name} was not read`);
    const all = ours(name, live);
    const steady = [...after].filter(([key, { bytes }]) => before.get(key)?.bytes === bytes);
    const bytesOf = (key: string) => all.get(key)?.bytes ?? 0;
    const equal = steady.filter(([key, { bytes }]) => bytesOf(key) === bytes);
    const fewer = steady.filter(([key, { bytes }]) => bytesOf(key) < bytes);
    console.log(
      'live',
      name,
      'sites',
      after.size,
      'steady',
      steady.length,
      'equal',
      equal.length,
      'fewer',
      JSON.stringify(fewer.slice(0, 5).map(([key, sum]) => [key, sum, all.get(key)])),
    );
    expect(steady.length).toBeGreaterThan(STEADY * after.size);
    expect(equal.length).toBeGreaterThan(EQUAL * steady.length);
    expect(fewer.length).toBeLessThan(0.05 * steady.length);
  });

  test('whatis on the running kernel: process, time and stack of a page match its text', () => {
    const still = identities.filter(({ frame }) => {
      const [before, after] = recorded.get(frame ?? -1) ?? [];
      return before !== undefined && before === after;
    });
    // For a slab it names the allocation site of the object there.
    const sources = new Set(still.map(({ site }) => site?.source));
    expect(sources).toEqual(new Set(['page-owner', 'slab-tracks']));
    const noted = still.filter(({ site }) => site?.source === 'page-owner');
    console.log('live whatis', still.length, 'by page_owner', noted.length);
    expect(noted.length).toBeGreaterThan(FRAMES / 3);
    for (const { frame, site } of noted) {
      const [text = ''] = recorded.get(frame ?? -1) ?? [];
      const [, pid, tgid, comm, time] =
        /^Page allocated via order .*, pid (\d+), tgid (\d+) \((.*)\), ts (\d+) ns/.exec(text) ?? [];
      expect(site, text).toMatchObject({ pid: Number(pid), tgid: Number(tgid), comm });
      expect(site?.seconds).toBeCloseTo(Number(time) / 1e9, 5);
      const lines = text.split('\n').filter((line) => line.startsWith(' '));
      expect(keyOf(site?.frames ?? [])).toBe(keyOfLines(lines));
    }
  });

  test.each([
    ['a dump', () => answer],
    ['the running kernel', () => live],
  ])('names what the module holds in %s, to the byte', (_, answerOf) => {
    const kinds: readonly (readonly [Source['source'], readonly Kind[]])[] = [
      ['page-owner', KINDS_IN.page_owner],
      ['allocation-tags', KINDS_IN.allocinfo],
      ['slab-tracks', ['leak_object']],
      ['vmalloc-callers', ['leak_area']],
    ];
    for (const [name, functions] of kinds)
      for (const kind of functions) {
        const sites = source(name, answerOf()).sites.filter(({ frames }) => {
          const symbols = frames.slice(0, 8).map(({ symbol }) => symbol);
          return symbols.includes(kind) && !symbols.includes('allocate_slab');
        });
        const bytes = sites.reduce((sum, site) => sum + site.bytes, 0);
        expect([name, kind, bytes]).toEqual([name, kind, truth[kind].bytes]);
        expect(bytes).toBeGreaterThan(0);
        const modules = sites.map(({ frames }) => frames.find(({ module }) => module)?.module);
        expect(new Set(modules)).toEqual(new Set(['leak']));
      }
    const [first] = source('page-owner', answerOf()).modules.filter(({ module }) => module !== null);
    expect(first?.module).toBe('leak');
  });

  test('modules and categories sum to the total', () => {
    // The kernel marks sites of early boot that it could not count.
    const ours = answer.warnings.filter(({ message }) =>
      /page_owner|tracking|profiling: (?!\d+ sites have allocations that)/.test(message),
    );
    expect(ours).toEqual([]);
    for (const { bytes, sites, modules, omitted } of answer.sites ?? []) {
      const sum = (all: readonly { readonly bytes: number }[]) => all.reduce((total, one) => total + one.bytes, 0);
      expect(sum(modules)).toBe(bytes);
      expect(sum(sites) + omitted.bytes).toBe(bytes);
      for (const site of sites) if (site.categories.length > 0) expect(sum(site.categories)).toBe(site.bytes);
    }
    const { bytes, countedBytes } = source('page-owner');
    expect(countedBytes).toBe(bytes);
  });

  test('drgn reads the same pages by stack, and the same records of single pages', async () => {
    interface Drgn {
      readonly stacks: readonly (readonly [frames: string[], pages: number, blocks: number])[];
      readonly records: Readonly<
        Record<string, { pid: number; tgid: number; comm: string; seconds: number; stack: string[] }>
      >;
    }
    const frames = Array.from({ length: 300 }, (_, index) => 1000 + 397 * index);
    const { stdout } = await ask('whatis', ...frames.map((frame) => `pfn:${frame}`));
    const { identities } = whatisSchema.parse(JSON.parse(stdout));
    const noted = identities.filter(({ site }) => site?.source === 'page-owner');
    const of = noted.map(({ frame }) => String(frame));
    const drgn = drgnJson<Drgn>(vmcore, OWN_KERNEL, RECORDS, ...of);
    // drgn has no debug information of the module.
    const names = (all: readonly Frame[]) =>
      all.map(({ symbol, offset, module }) => (module === null ? aliased(`${symbol}+${offset}`) : '?'));
    const records = noted.map(({ site }) => ({
      pid: site?.pid,
      tgid: site?.tgid,
      comm: site?.comm,
      seconds: site?.seconds,
      stack: names(site?.frames ?? []),
    }));
    const theirRecords = of.map((frame) => drgn.records[frame]);
    expect(records).toEqual(theirRecords.map((one) => ({ ...one, stack: one?.stack.map(aliased) })));
    expect(records.length).toBeGreaterThan(30);
    const theirs: Sums = new Map();
    for (const [stack, pages, blocks] of drgn.stacks) add(theirs, stack.map(aliased).join(), pages * PAGE, blocks);
    const own: Sums = new Map();
    for (const site of source('page-owner').sites) add(own, names(site.frames).join(), site.bytes, site.allocations);
    expect(own).toEqual(theirs);
  });
});
