import { expect, test } from 'vitest';
import { type RefsTargets, searchReferences } from '../../../src/account/references/search.js';
import { describeUnattributed } from '../../../src/account/references/unattributed.js';
import { describeUnreachable } from '../../../src/account/references/unreachable.js';
import { AddressIdentifier } from '../../../src/account/whatis.js';
import { KernelError, ReadError } from '../../../src/base/errors.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const BASE = new FixtureBase('6.1');
const [FIRST, FRAMES, PAGE] = [0x2000, 64, 4096] as const;

const PAGES = BASE.kernel.pages;
/** Frames of: roots, slab objects, an area of two pages, a page that an object holds, a split block, VMCOREINFO. */
const [ROOT, SLAB, AREA, HELD, ORPHAN, SPLIT, INFO] = [1, 8, 16, 3, 5, 24, 40].map((frame) => FIRST + frame) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const LEAKED = FIRST + 42;

/** A machine with 64 page frames of RAM; those without another use are reserved. */
class Memory extends OverlaidKernel {
  readonly address = 0xffff_c900_0000_0000n;
  readonly areas: bigint[] = [];
  /** A frame that cannot be read. */
  lost = -1;

  constructor() {
    super(BASE);
    const ram = this.make('resource', { start: FIRST * PAGE, end: (FIRST + FRAMES) * PAGE - 1, flags: 0x0100_0200 });
    this.symbols.iomem_resource = this.make('resource', { end: -1, child: ram });
    this.set('resource', ram, { parent: this.symbols.iomem_resource });
    for (const name of ['vmap_area_list', 'slab_caches']) this.list(name);
    const loose = [
      HELD,
      ORPHAN,
      INFO,
      LEAKED,
      ...Array.from({ length: 8 }, (_, index) => SPLIT + index),
      AREA,
      AREA + 1,
    ];
    for (let frame = FIRST; frame < FIRST + FRAMES; frame++) {
      this.write(PAGES.pageOfFrame(frame), new Uint8Array(this.size('page')));
      const flags = loose.includes(frame) ? 0n : this.flag('PG_reserved');
      this.set('page', PAGES.pageOfFrame(frame), { flags, '_refcount.counter': 1, '_mapcount.counter': -1 });
      this.write(this.page(frame), new Uint8Array(PAGE));
    }
    this.cache();
    this.vmap(AREA, this.address);
    this.store(FRAMES);
    this.word(this.page(ROOT) + 16n, this.object(0));
    this.word(this.page(ROOT) + 24n, PAGES.pageOfFrame(SPLIT));
    this.word(this.page(ROOT) + 32n, this.page(SPLIT));
    this.word(this.page(ROOT) + 40n, BASE.kernel.symbol('init_task')! + 8n);
    this.word(this.object(0) + 8n, this.page(HELD));
    this.word(this.object(0) + 16n, this.address);
    this.word(this.object(1) + 8n, this.page(ORPHAN));
    this.word(this.page(AREA), this.object(2) + 8n);
    this.write(this.page(INFO), Buffer.from('OSRELEASE=6.1'));
  }

  /** The first frames are stored, the others are not. */
  store(frames: number, isExtract = false): void {
    this.members.physical = {
      isExtract,
      stored: [{ start: FIRST * PAGE, end: (FIRST + frames) * PAGE }],
      inFile: undefined,
      read: (address, length) => {
        const frame = Math.floor(address / PAGE);
        if (frame === this.lost) throw new ReadError('absent', BigInt(address));
        return this.read(this.page(frame) + BigInt(address % PAGE), length);
      },
    };
  }

  page(frame: number): bigint {
    return PAGES.addressOfFrame(frame)!;
  }

  /** An object of the cache. */
  object(index: number): bigint {
    return this.page(SLAB) + BigInt(256 * index);
  }

  flag(name: string): bigint {
    return 1n << BASE.kernel.enumerators('pageflags')!.get(name)!;
  }

  /** A slab cache with 16 objects of 256 bytes in one page, all in use. */
  cache(refcount = 1, more: Readonly<Record<string, number>> = {}): void {
    const node = this.make('kmem_cache_node', { 'nr_slabs.counter': 1, 'total_objects.counter': 16 });
    this.link(this.at('kmem_cache_node', node, 'partial'));
    const sizes = { size: 256, object_size: 256, inuse: 256, offset: 128, 'oo.x': 16, refcount };
    const division = { 'reciprocal_size.m': 1, 'reciprocal_size.sh1': 1, 'reciprocal_size.sh2': 7 };
    const at = this.make('kmem_cache', { name: this.text('made'), 'node[0]': node, ...sizes, ...division, ...more });
    this.link(this.symbols.slab_caches!, this.at('kmem_cache', at, 'list'));
    this.set('page', PAGES.pageOfFrame(SLAB), { flags: this.flag('PG_slab') });
    this.set('slab', PAGES.pageOfFrame(SLAB), { slab_cache: at, counters: (16n << 16n) | 16n });
  }

  /** A vmalloc area of two frames. */
  vmap(first: number, address: bigint): bigint {
    const pages = this.make(16);
    for (const index of [0, 1]) this.word(pages + BigInt(8 * index), PAGES.pageOfFrame(first + index));
    const vm = this.make('vm_struct', { addr: address, size: 3 * PAGE, flags: 2, pages, nr_pages: 2 });
    const area = this.make('vmap_area', { va_start: address, va_end: address + BigInt(3 * PAGE), vm });
    this.areas.push(this.at('vmap_area', area, 'list'));
    this.link(this.symbols.vmap_area_list!, ...this.areas);
    return area;
  }
}

const SYMBOLS = BASE.kernel.symbolTable;
const search = (one: Memory, targets: RefsTargets) => searchReferences(one.kernel(), SYMBOLS, targets, 5);
const silent = () => () => {};

test.each<readonly [string, (one: Memory) => RefsTargets, number, readonly string[]]>([
  ['a page', (one) => ({ addresses: [one.page(HELD)] }), 1, ['kernel slab-object made+8 pointer=1']],
  [
    'a page by its struct page',
    () => ({ addresses: [PAGES.pageOfFrame(HELD)] }),
    1,
    ['kernel slab-object made+8 pointer=1'],
  ],
  ['a page by its number', () => ({ frames: [SPLIT] }), 1, ['kernel page pointer=1']],
  ['an object', (one) => ({ addresses: [one.object(1) + 40n] }), 1, []],
  [
    'the objects of a cache',
    () => ({ cache: 'made' }),
    16,
    ['kernel vmalloc-area interior=1', 'kernel page pointer=1'],
  ],
  ['an area', (one) => ({ addresses: [one.address + 8n] }), 1, ['kernel slab-object made+16 pointer=1']],
  ['a symbol', () => ({ addresses: [BASE.kernel.symbol('init_task')!] }), 1, ['kernel page interior=1']],
  [
    'the pages of a category',
    () => ({ category: 'unattributed' }),
    12,
    ['kernel slab-object made+8 pointer=2', 'kernel page pointer=1'],
  ],
  ['an address of nothing', () => ({ addresses: [0xffff_c8ff_0000_0000n] }), 1, []],
])('finds references to %s', async (_, targets, count, groups) => {
  const one = new Memory();
  const found = await search(one, targets(one));
  const described = found.found.groups.map(({ source, holder, forms }) => {
    const name = holder.name === null ? holder.kind : `${holder.kind} ${holder.name}+${holder.offset}`;
    const [[form, times] = []] = Object.entries(forms).filter(([, each]) => each > 0);
    return `${source} ${name} ${form}=${times}`;
  });
  expect(described.toSorted()).toEqual(groups.toSorted());
  expect(found.targetCount).toBe(count);
  expect(found.found).toMatchObject({ ramBytes: FRAMES * PAGE, scannedBytes: FRAMES * PAGE, unscanned: [] });
  const sum = Array.from({ length: count }, (__, number) => found.targetAt(number).references).reduce((a, b) => a + b);
  expect(sum).toBe(found.found.counts.kernel);
});

test('groups unattributed pages by what refers to them', async () => {
  const { groups, ...sums } = await describeUnattributed(new Memory().kernel(), SYMBOLS, silent);
  expect(sums).toMatchObject({
    blocks: 12,
    unreferencedBlocks: 9,
    unreferencedBytes: 9 * PAGE,
    followsBlockBytes: 7 * PAGE,
  });
  const short = groups.map(({ holder, content, blocks, references }) => [
    holder?.kind ?? null,
    content,
    blocks,
    references,
  ]);
  expect(short).toContainEqual([null, 'zero', 7, 0]);
  expect(short).toContainEqual(['slab-object', 'zero', 2, 2]);
});

async function unreachable(change: (one: Memory) => void = () => {}) {
  const one = new Memory();
  change(one);
  const { groups, warnings, ...rest } = await describeUnreachable(one.kernel(), SYMBOLS, silent);
  const described = groups.map((group) => {
    return `${group.kind} ${group.name ?? ''} ${group.allocations} ${group.referencedBy} ${group.reason ?? ''}`;
  });
  return { ...rest, groups: described.toSorted(), messages: warnings.map(({ message }) => message) };
}

test.each([
  [1, false],
  [2, true],
  [0xffff_ffff, false],
])('a slab cache with the count %s is merged: %s', async (refcount, merged) => {
  const one = new Memory();
  one.cache(refcount);
  const { groups } = await describeUnreachable(one.kernel(), SYMBOLS, silent);
  expect(new Set(groups.map((group) => `${group.kind} ${group.merged}`))).toEqual(
    new Set(['pages null', `slab-object ${merged}`]),
  );
});

test('finds allocations that nothing in use refers to', async () => {
  const { groups, searched, undecided } = await unreachable();
  expect(searched).toEqual({ allocations: 12 + 16 + 1, bytes: 12 * PAGE + 16 * 256 + 2 * PAGE });
  expect(undecided).toBe(0);
  expect(groups).toEqual([
    'pages  1 nothing ',
    'pages  1 nothing vmcoreinfo',
    'pages  1 unreachable ',
    'pages  7 nothing split-block',
    'slab-object made 1 nothing ',
    'slab-object made 13 nothing ',
  ]);
});

test.each<readonly [string, RegExp | undefined, (one: Memory) => void]>([
  ['of a sound cache', undefined, (one) => one.cache()],
  ['with a red zone', undefined, (one) => one.cache(1, { object_size: 248 })],
  [
    'of another size',
    /has objects of 128 bytes, and 256 bytes in use of each$/,
    (one) => one.cache(1, { object_size: 128 }),
  ],
  [
    'of a slab that only KFENCE would have',
    /claims 1 slots of 256 bytes in 4096$/,
    (one) => {
      one.symbols.__kfence_pool = one.make(8);
      one.set('slab', PAGES.pageOfFrame(SLAB), { counters: (1n << 16n) | 1n });
    },
  ],
])('an object %s is identified, or reported', (_, message, change) => {
  const one = new Memory();
  change(one);
  const warnings = new Warnings([]);
  new AddressIdentifier(one.kernel(), SYMBOLS, warnings).of(one.object(1) + 40n);
  const messages = warnings.list().map((each) => each.message);
  if (message) expect(messages).toContainEqual(expect.stringMatching(message));
  else expect(messages.filter((each) => /slab/.test(each))).toEqual([]);
});

test('a pass over all memory that fails is not repeated', () => {
  let passes = 0;
  const fails = () => {
    passes++;
    throw new KernelError('damaged', 'made to fail');
  };
  const identifier = new AddressIdentifier(new Memory().kernel(), SYMBOLS, new Warnings([]), fails);
  expect(() => identifier.categoryOf(ORPHAN)).toThrow('made to fail');
  expect([identifier.categoryOf(ORPHAN), identifier.categoryOf(HELD), passes]).toEqual([null, null, 1]);
});

test('reports memory of zones that no resource has', async () => {
  const { warnings, complete } = await search(new Memory(), { frames: [HELD] });
  expect(complete).toBe(false);
  expect(warnings.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/^the kernel counts \d+ pages of memory, but 64 were found$/),
  );
});

test.each<readonly [string, (one: Memory) => void]>([
  ['is not in the dump', (one) => one.store(FRAMES - 1)],
  ['is unreadable', (one) => (one.lost = FIRST)],
])('reports memory that %s', async (_, change) => {
  const one = new Memory();
  change(one);
  const { found, complete } = await search(one, { frames: [HELD] });
  expect(complete).toBe(false);
  expect(found).toMatchObject({
    scannedBytes: (FRAMES - 1) * PAGE,
    unscanned: [{ category: 'reserved-other', bytes: PAGE }],
  });
});

test.each<readonly [string, RegExp, (one: Memory) => void]>([
  ['over another', /the area at 0x\w+ overlaps another/, (one) => one.vmap(FIRST + 50, one.address + 4096n)],
  ['with a page of another', /two areas have page frame/, (one) => one.vmap(AREA, one.address + 0x10000n)],
])('reports an area %s', async (_, message, change) => {
  const { messages, complete } = await unreachable(change);
  expect(complete).toBe(false);
  expect(messages).toContainEqual(expect.stringMatching(message));
});

test('lists nothing if too much memory is missing', async () => {
  expect(await unreachable((one) => one.store(FRAMES - 1))).toMatchObject({
    unreachable: null,
    explained: null,
    groups: [],
  });
});

test.each<readonly [string, string, (one: Memory) => void]>([
  ['an extract', 'extract: not supported by refs', (one) => one.store(FRAMES, true)],
  ['an unknown cache', 'the kernel has no slab cache made', (one) => one.list('slab_caches')],
  [
    'an engine without physical memory',
    'this engine does not read physical memory',
    (one) => (one.members.physical = undefined!),
  ],
])('refuses %s', async (_, message, change) => {
  const one = new Memory();
  change(one);
  await expect(search(one, { cache: 'made' })).rejects.toThrow(message);
});

test('refuses a running kernel', async () => {
  const kernel = new Memory().kernel({ live: true });
  await expect(searchReferences(kernel, SYMBOLS, { cache: 'made' }, 5)).rejects.toThrow(
    'running kernel: not supported',
  );
});
