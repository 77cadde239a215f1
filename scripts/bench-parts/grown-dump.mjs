// Makes the dump of a large machine out of that of a small one, with known amounts of memory in each category.
//
//   node scripts/bench-parts/grown-dump.mjs BASE OUT GIB [FILLED]
//
// BASE is an x86-64 dump of the lab of a kernel of 6.1 with memory above 4 GiB (6.1-16g): kernel, symbols and processes stay as
// they are. Its last zone is extended until the machine has GIB of memory more: struct pages, kernel page tables, sections,
// zones, counters, lists and the resource tree. FILLED GiB of that are in use (MIX), the rest is free in blocks of order 10.
// OUT is compressed as by makedumpfile -c -d 30 (zlib, level 1): free pages and those of processes and files are left out.
// OUT.json has the number of page frames that were added to each category. What is not extended: trees of the file (only
// its count of pages), reverse mappings, counters of memory cgroups.
import { closeSync, openSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { deflateSync } from 'node:zlib';

const dist = new URL('../../dist/', import.meta.url);
const load = (file) => import(new URL(file, dist).href);
const { openNative } = await load('kernel/native/open.js');
const { zones } = await load('walk/memory/zones.js');
const { scanFrames } = await load('walk/memory/frame-scan.js');
const { FrameMap } = await load('walk/memory/page-array.js');
const { KIND } = await load('walk/memory/page-kinds.js');
const { ramRanges } = await load('walk/memory/ram.js');
const { addressSpaces } = await load('walk/processes/address-spaces.js');
const { SlabCacheNames } = await load('walk/pages/slab-caches.js');

const [base, out, gib, filledGib = '0'] = process.argv.slice(2);
if (!base || !out || !(Number(gib) > 0)) throw new Error('usage: grown-dump.mjs BASE OUT GIB [FILLED]');

const PAGE = 4096;
const [FRAMES_PER_GIB, SECTION, BLOCK, TABLE] = [2 ** 18, 2 ** 15, 2 ** 10, 512];
/** Parts of the filled memory, in eighths; the rest is held by the kernel without a name. */
const MIX = { anonymous: 3, huge: 1, file: 2, slab: 0.5, reclaimable: 0.5 };

const kernel = openNative({ files: [base] });
const { image } = kernel;
const at = (type, path) => {
  const member = kernel.struct(type)?.member(path);
  if (!member) throw new Error(`${base}: struct ${type} has no ${path}`);
  return member.offset;
};
const need = (symbol) => {
  const address = kernel.symbol(symbol);
  if (address === undefined) throw new Error(`${base}: no symbol ${symbol}`);
  return address;
};
const word = (address) => kernel.read(address, 8).getBigUint64(0, true);
const itemsOf = (name) => kernel.enumerators(name);

// --- what is written: pages of the base that change, and new ones ---
/** Changed pages by frame. */
const changed = new Map();
/** @param {number} physical */
function placeOf(physical) {
  const frame = Math.floor(physical / PAGE);
  let page = changed.get(frame);
  if (!page) {
    const view = image.readPhysical(frame * PAGE, PAGE);
    page = Buffer.from(new Uint8Array(view.buffer, view.byteOffset, PAGE));
    changed.set(frame, page);
  }
  return { page, offset: physical % PAGE };
}
const physicalOf = (address) => {
  const physical = kernel.fast.physical(address);
  if (physical === undefined) throw new Error(`${address.toString(16)} is not mapped`);
  return physical;
};
const setPhysical = (physical, value) => {
  const { page, offset } = placeOf(physical);
  page.writeBigUInt64LE(BigInt.asUintN(64, value), offset);
};
const getPhysical = (physical) => {
  const { page, offset } = placeOf(physical);
  return page.readBigUInt64LE(offset);
};
const set = (address, value) => setPhysical(physicalOf(address), value);
const add = (address, value) => set(address, getPhysical(physicalOf(address)) + BigInt(value));
/** Pages of new memory with content, by frame; struct pages are made when they are written. */
const made = new Map();

// --- the new memory ---
const zone = zones(kernel).at(-1);
const first = zone.start + zone.spanned;
if (first % FRAMES_PER_GIB !== 0) throw new Error(`${base}: its memory does not end at a GiB`);
const count = Number(gib) * FRAMES_PER_GIB;
const end = first + count;
const stride = kernel.struct('page').size;
let nextFrame = first;
const take = (many) => {
  nextFrame += many;
  return nextFrame - many;
};
/** Reserved frames: struct pages, page tables of the kernel, sections. */
const memmap = { start: take((count * stride) / PAGE), end: nextFrame };
const newTable = () => {
  const frame = take(1);
  made.set(frame, Buffer.alloc(PAGE));
  return frame;
};

// --- kernel page tables ---
const PRESENT_TABLE = 0x63n;
const ADDRESS = 0x000ffffffffff000n;
const LARGE = 0x80n;
const frameIn = (entry) => Number((entry & ADDRESS) >> 12n);
const readEntry = (frame, index) =>
  made.get(frame)?.readBigUInt64LE(index * 8) ?? getPhysical(frame * PAGE + index * 8);
const writeEntry = (frame, index, value) => {
  const page = made.get(frame);
  if (page) page.writeBigUInt64LE(value, index * 8);
  else setPhysical(frame * PAGE + index * 8, value);
};
const indexAt = (address, level) => Number((address >> BigInt(12 + 9 * level)) & 511n);
/** The table of a level that maps an address; made where there is none. */
function tableOf(root, address, level, make, flags) {
  let frame = root;
  for (let at = 3; at > level; at--) {
    const index = indexAt(address, at);
    let entry = readEntry(frame, index);
    if ((entry & 1n) === 0n) {
      entry = (BigInt(make()) << 12n) | flags;
      writeEntry(frame, index, entry);
    }
    frame = frameIn(entry);
  }
  return frame;
}
const root = physicalOf(need('init_top_pgt')) / PAGE;
const directMap = word(need('page_offset_base'));
const leafOf = (address) => {
  for (let level = 2; ; level--) {
    const entry = readEntry(tableOf(root, address, level, newTable, PRESENT_TABLE), indexAt(address, level));
    if (level === 0 || (entry & LARGE) !== 0n) return { entry: entry & ~ADDRESS, level };
  }
};
/** Maps memory as the page before it is mapped. */
function mapLike(start, bytes, frame) {
  const { entry, level } = leafOf(start - 1n);
  const step = 2 ** (12 + 9 * level);
  for (let done = 0; done < bytes; done += step) {
    const address = start + BigInt(done);
    const table = tableOf(root, address, level, newTable, PRESENT_TABLE);
    writeEntry(table, indexAt(address, level), entry | (BigInt(frame + done / PAGE) << 12n));
  }
}
mapLike(kernel.pages.pageOfFrame(first), count * stride, memmap.start);
mapLike(directMap + BigInt(first * PAGE), count * PAGE, first);
const kernelTables = nextFrame - memmap.end;

// --- sections ---
{
  const size = kernel.struct('mem_section').size;
  const perRoot = PAGE / size;
  const usageSize = kernel.struct('mem_section_usage').size + 32;
  const roots = word(need('mem_section'));
  const of = (section) => word(roots + BigInt(8 * Math.floor(section / perRoot))) + BigInt(size * (section % perRoot));
  const last = of(first / SECTION - 1);
  const map = word(last + BigInt(at('mem_section', 'section_mem_map')));
  const view = kernel.read(word(last + BigInt(at('mem_section', 'usage'))), usageSize);
  const bytes = Buffer.from(new Uint8Array(view.buffer, view.byteOffset, usageSize));
  const perPage = Math.floor(PAGE / usageSize);
  let usages = 0;
  for (let section = first / SECTION, done = 0; section < end / SECTION; section++, done++) {
    if (done % perPage === 0) usages = newTable();
    bytes.copy(made.get(usages), (done % perPage) * usageSize);
    const slot = roots + BigInt(8 * Math.floor(section / perRoot));
    if (getPhysical(physicalOf(slot)) === 0n) set(slot, directMap + BigInt(newTable() * PAGE));
    const physical = Number(getPhysical(physicalOf(slot)) - directMap) + size * (section % perRoot);
    const put = (offset, value) => writeEntry(Math.floor(physical / PAGE), ((physical % PAGE) + offset) / 8, value);
    put(at('mem_section', 'section_mem_map'), map);
    put(at('mem_section', 'usage'), directMap + BigInt(usages * PAGE + (done % perPage) * usageSize));
  }
}
const reserved = nextFrame - first;

// --- what the filled part is ---
const filled = Math.floor(Number(filledGib) * FRAMES_PER_GIB);
const eighths = (many) => Math.floor((filled * many) / 8 / 2 ** 13) * 2 ** 13;
const aligned = (many) => {
  const from = Math.ceil(nextFrame / 512) * 512;
  nextFrame = from + many;
  return { start: from, end: nextFrame };
};
const anonymous = aligned(eighths(MIX.anonymous));
const huge = aligned(eighths(MIX.huge));
const file = aligned(eighths(MIX.file));
const slab = aligned(eighths(MIX.slab));
const reclaimable = aligned(eighths(MIX.reclaimable));
const sizeOf = (range) => range.end - range.start;

// --- a process whose memory grows: its address space gets one more GiB-aligned part behind a private writable area ---
const baseFrames = new FrameMap(ramRanges(kernel));
const { kinds: baseKinds } = scanFrames(kernel, baseFrames);
let tables = 0;
let areaStart = 0n;
if (filled > 0) {
  const wanted = BigInt((sizeOf(anonymous) + sizeOf(huge)) * PAGE) + 2n ** 31n;
  const found = addressSpaces(kernel).flatMap((space) =>
    growable(space.mm, wanted).map((area) => ({ space, ...area })),
  )[0];
  if (!found) throw new Error(`${base}: no process has room behind its memory`);
  const { space, vma, pivot, start: areaEnd, parents, gapEnd } = found;
  const GIB = 2n ** 30n;
  areaStart = ((areaEnd + GIB - 1n) / GIB) * GIB;
  const bytes = BigInt((sizeOf(anonymous) + sizeOf(huge)) * PAGE);
  const areaNew = areaStart + bytes;
  set(vma + BigInt(at('vm_area_struct', 'vm_end')), areaNew);
  set(pivot, areaNew - 1n);
  for (const { gap, before } of parents) if (before === gapEnd - areaEnd) set(gap, gapEnd - areaNew);
  const grown = (areaNew - areaEnd) / BigInt(PAGE);
  const { mm } = space;
  if (word(mm + BigInt(at('mm_struct', 'brk'))) === areaEnd) set(mm + BigInt(at('mm_struct', 'brk')), areaNew);
  for (const member of ['total_vm', 'data_vm']) add(mm + BigInt(at('mm_struct', member)), grown);
  // MM_ANONPAGES is 1.
  add(mm + BigInt(at('mm_struct', 'rss_stat') + 8), sizeOf(anonymous) + sizeOf(huge));
  const pgd = Number(word(mm + BigInt(at('mm_struct', 'pgd'))) - directMap) / PAGE;
  const make = () => {
    tables++;
    return newTable();
  };
  const ENTRY = 0x8000000000000867n;
  for (let index = 0; index < sizeOf(anonymous); index++) {
    const address = areaStart + BigInt(index * PAGE);
    const table = tableOf(pgd, address, 0, make, 0x67n);
    for (let slot = 0; slot < TABLE; slot++) {
      const frame = anonymous.start + shuffled(index + slot);
      made.get(table).writeBigUInt64LE(ENTRY | (BigInt(frame) << 12n), slot * 8);
    }
    index += TABLE - 1;
  }
  for (let index = 0; index < sizeOf(huge); index += TABLE) {
    const address = areaStart + BigInt((sizeOf(anonymous) + index) * PAGE);
    const table = tableOf(pgd, address, 1, make, 0x67n);
    writeEntry(table, indexAt(address, 1), ENTRY | LARGE | (BigInt(huge.start + index) << 12n));
  }
  add(mm + BigInt(at('mm_struct', 'pgtables_bytes')), tables * PAGE);
}
/** Runs of 16 pages in another order. */
function shuffled(index) {
  const units = sizeOf(anonymous) / 16;
  const step = stepOf(units);
  return ((Math.floor(index / 16) * step) % units) * 16 + (index % 16);
}
/** A number without a common factor, for a permutation. */
function stepOf(units) {
  if (units < 2) return 1;
  const common = (a, b) => (b === 0 ? a : common(b, a % b));
  let step = 997;
  while (common(step, units) !== 1) step += 2;
  return step;
}
/** Areas behind which there is room, by the maple tree of an address space. */
function growable(mm, wanted) {
  const [pivotAt, slotAt] = [at('maple_range_64', 'pivot'), at('maple_range_64', 'slot')];
  const [wideAt, wideSlots, gapAt] = [
    at('maple_arange_64', 'pivot'),
    at('maple_arange_64', 'slot'),
    at('maple_arange_64', 'gap'),
  ];
  const found = [];
  const visit = (entry, low, high, parents) => {
    const [node, type] = [entry & ~0xffn, Number((entry >> 3n) & 15n)];
    const isWide = type === 3;
    const slots = isWide ? 10 : 16;
    let from = low;
    let before;
    for (let slot = 0; slot < slots && from <= high; slot++) {
      const pivot = node + BigInt((isWide ? wideAt : pivotAt) + 8 * slot);
      const value = slot < slots - 1 ? word(pivot) : 0n;
      const to = slot === slots - 1 || (value === 0n && slot > 0) ? high : value;
      const content = word(node + BigInt((isWide ? wideSlots : slotAt) + 8 * slot));
      if (type > 1 && content !== 0n) {
        const gap = node + BigInt(gapAt + 8 * slot);
        visit(content, from, to, isWide ? [...parents, { gap, before: word(gap) }] : parents);
      } else if (type === 1) {
        if (content === 0n && before && to - from > wanted + 2n ** 30n)
          found.push({ ...before, gapEnd: to + 1n, parents });
        before = content !== 0n && isHeap(content) ? { vma: content, pivot, start: to + 1n } : undefined;
      }
      from = to + 1n;
    }
  };
  const tree = word(mm + BigInt(at('mm_struct', 'mm_mt') + at('maple_tree', 'ma_root')));
  if ((tree & 3n) === 2n) visit(tree, 0n, 2n ** 64n - 1n, []);
  return found;
}
/** Private, writable, anonymous, and in use. */
function isHeap(vma) {
  const flags = word(vma + BigInt(at('vm_area_struct', 'vm_flags')));
  const anon = word(vma + BigInt(at('vm_area_struct', 'anon_vma')));
  return (flags & 0x10bn) === 0x3n && anon !== 0n && word(vma + BigInt(at('vm_area_struct', 'vm_file'))) === 0n;
}

const tablesRange = { start: 0, end: 0 };
[tablesRange.start, tablesRange.end] = [nextFrame - tables, nextFrame];
/** Pages that something holds, until the next block of free memory. */
const held = { start: nextFrame, end: Math.max(first + filled, Math.ceil(nextFrame / BLOCK) * BLOCK) };
if (held.end % BLOCK !== 0) held.end = Math.ceil(held.end / BLOCK) * BLOCK;
/** Frames before the first range, which is aligned. */
const gap = { start: first + reserved, end: anonymous.start };
const free = { start: held.end, end };
if (free.start > end) throw new Error('more is filled than there is');
const namelessFrames = sizeOf(held) + sizeOf(gap);

// --- struct pages ---
const o = Object.fromEntries(
  [
    'flags',
    'lru',
    'mapping',
    'index',
    'private',
    '_mapcount',
    '_refcount',
    'memcg_data',
    'compound_head',
    'compound_dtor',
    'compound_order',
    'compound_mapcount',
    'compound_nr',
  ].map((name) => [name, at('page', name)]),
);
const flagBits = itemsOf('pageflags');
const bit = (name) => 1n << flagBits.get(name);
const rowOf = (frame) => kernel.pages.pageOfFrame(frame);
const bytesOfPage = (frame) => {
  const view = kernel.read(rowOf(frame), stride);
  return Buffer.from(new Uint8Array(view.buffer, view.byteOffset, stride));
};
const inZone = (kind) => {
  for (let index = baseKinds.length - 1; index >= 0; index--) {
    const frame = baseFrames.frameAt(index);
    if (frame < zone.start) break;
    if (baseKinds[index] === kind) return frame;
  }
  throw new Error(`${base}: its last zone has no page of kind ${kind}`);
};
const FLAGS = bytesOfPage(inZone(KIND.free)).readBigUInt64LE(o.flags) & (~0n << 32n);
const anonTemplate = filled > 0 ? bytesOfPage(inZone(KIND.anonymous)) : undefined;
const fileTemplate = filled > 0 ? bytesOfPage(filePage()) : undefined;
function filePage() {
  for (const kind of [KIND.file, KIND.shmem]) {
    const index = baseKinds.indexOf(kind);
    if (index >= 0) return baseFrames.frameAt(index);
  }
  throw new Error(`${base}: no file has pages`);
}
/** One list of pages: a page's neighbours are anywhere within 32 MiB, as after months of use. */
function linked(range) {
  const many = sizeOf(range);
  const [mask, factor, shift] = [2 ** 13 - 1, 2477, 6];
  const undo = inverse(factor, mask + 1);
  const mixed = (place) => {
    const low = ((place & mask) * factor) & mask;
    return place - (place & mask) + (((low ^ (low >> shift)) * factor) & mask);
  };
  const placeOf = (index) => {
    const low = ((index & mask) * undo) & mask;
    return index - (index & mask) + (((low ^ (low >> shift) ^ (low >> (2 * shift))) * undo) & mask);
  };
  const at = (frame, by) => range.start + mixed((placeOf(frame - range.start) + by + many) % many);
  return { next: (frame) => at(frame, 1), previous: (frame) => at(frame, -1) };
}
const order = { anonymous: linked(anonymous), file: linked(file) };
const lruOf = (frame) => rowOf(frame) + BigInt(o.lru);
const POISON = [0xdead000000000100n, 0xdead000000000122n];

/** @param {Buffer} page @param {number} base @param {number} frame */
function plain(page, base, frame, flags, references) {
  page.fill(0, base, base + stride);
  page.writeBigUInt64LE(FLAGS | flags, base + o.flags);
  page.writeBigUInt64LE(lruOf(frame), base + o.lru);
  page.writeBigUInt64LE(lruOf(frame), base + o.lru + 8);
  page.writeInt32LE(-1, base + o._mapcount);
  page.writeInt32LE(references, base + o._refcount);
}
function tail(page, base, frame, head, sizeLog, dtor, mapcount) {
  plain(page, base, frame, 0n, 0);
  page.writeBigUInt64LE(0n, base + o.lru + 8);
  page.writeBigUInt64LE(0xdead000000000400n, base + o.mapping);
  page.writeBigUInt64LE(rowOf(head) | 1n, base + o.compound_head);
  if (frame !== head + 1) return;
  page[base + o.compound_dtor] = dtor;
  page[base + o.compound_order] = sizeLog;
  page.writeInt32LE(mapcount, base + o.compound_mapcount);
  page.writeUInt32LE(2 ** sizeLog, base + o.compound_nr);
}
const within = (frame, range) => frame >= range.start && frame < range.end;
const dtors = itemsOf('compound_dtor_id');
const caches =
  filled > 0 ? { slab: cacheOf('kmalloc-4k', false), reclaimable: cacheOf('kmalloc-rcl-4k', true) } : undefined;
function cacheOf(name) {
  const names = new SlabCacheNames(kernel);
  const head = need('slab_caches');
  const list = BigInt(at('kmem_cache', 'list'));
  for (let one = word(head); one !== head; one = word(one)) {
    if (names.of(one - list).name !== name) continue;
    const oo = kernel.read(one - list + BigInt(at('kmem_cache', 'oo')), 4).getUint32(0, true);
    return { address: one - list, order: oo >>> 16, objects: oo & 0xffff };
  }
  throw new Error(`${base}: no slab cache ${name}`);
}
const ANON = bit('PG_uptodate') | bit('PG_lru') | bit('PG_swapbacked') | bit('PG_dirty');
const FILE = bit('PG_uptodate') | bit('PG_lru');
const units = sizeOf(anonymous) / 16;
const back = inverse(stepOf(Math.max(1, units)), Math.max(1, units));
function inverse(step, of) {
  let [a, b, x, y] = [step % of, of, 1, 0];
  while (a > 1) [a, b, x, y] = [b % a, a, y - Math.floor(b / a) * x, x];
  return ((x % of) + of) % of;
}

function slabPage(page, base, frame, range, { address, order: sizeLog, objects }) {
  const many = 2 ** sizeLog;
  const head = frame - ((frame - range.start) % many);
  if (frame !== head) return tail(page, base, frame, head, sizeLog, Number(dtors.get('COMPOUND_PAGE_DTOR')), -1);
  plain(page, base, frame, bit('PG_slab') | (sizeLog > 0 ? bit('PG_head') : 0n), 1);
  page.writeBigUInt64LE(POISON[0], base + o.lru);
  page.writeBigUInt64LE(POISON[1], base + o.lru + 8);
  page.writeBigUInt64LE(address, base + at('slab', 'slab_cache'));
  page.writeUInt32LE((objects << 16) | objects, base + at('slab', 'counters'));
}

/** Writes the struct page of a new frame. */
function structPage(page, base, frame) {
  if (frame >= free.start) {
    plain(page, base, frame, 0n, 0);
    if (frame % BLOCK !== 0) return;
    page.writeInt32LE(~0x80, base + o._mapcount);
    page.writeBigUInt64LE(10n, base + o.private);
    const links = [
      frame + BLOCK < end ? lruOf(frame + BLOCK) : freeList.head,
      frame > free.start ? lruOf(frame - BLOCK) : freeList.last,
    ];
    page.writeBigUInt64LE(links[0], base + o.lru);
    page.writeBigUInt64LE(links[1], base + o.lru + 8);
  } else if (frame < first + reserved) {
    plain(page, base, frame, bit('PG_reserved'), 1);
  } else if (within(frame, anonymous) || within(frame, huge)) {
    const isHuge = within(frame, huge);
    const place = frame - huge.start;
    if (isHuge && place % TABLE !== 0)
      return tail(page, base, frame, frame - (place % TABLE), 9, Number(dtors.get('TRANSHUGE_PAGE_DTOR')), 0);
    anonTemplate.copy(page, base);
    page.writeBigUInt64LE(FLAGS | ANON | (isHuge ? bit('PG_head') : 0n), base + o.flags);
    const own = frame - anonymous.start;
    const index = isHuge ? sizeOf(anonymous) + place : ((Math.floor(own / 16) * back) % units) * 16 + (own % 16);
    page.writeBigUInt64LE(areaStart / BigInt(PAGE) + BigInt(index), base + o.index);
    page.writeInt32LE(isHuge ? -1 : 0, base + o._mapcount);
    page.writeInt32LE(1, base + o._refcount);
    const links = isHuge
      ? hugeLinks(frame)
      : [lruOf(order.anonymous.next(frame)), lruOf(order.anonymous.previous(frame))];
    page.writeBigUInt64LE(links[0], base + o.lru);
    page.writeBigUInt64LE(links[1], base + o.lru + 8);
  } else if (within(frame, file)) {
    fileTemplate.copy(page, base);
    page.writeBigUInt64LE(FLAGS | FILE, base + o.flags);
    page.writeBigUInt64LE(BigInt(2 ** 20 + frame - file.start), base + o.index);
    page.writeBigUInt64LE(lruOf(order.file.next(frame)), base + o.lru);
    page.writeBigUInt64LE(lruOf(order.file.previous(frame)), base + o.lru + 8);
    page.writeInt32LE(-1, base + o._mapcount);
    page.writeInt32LE(1, base + o._refcount);
  } else if (within(frame, slab)) {
    slabPage(page, base, frame, slab, caches.slab);
  } else if (within(frame, reclaimable)) {
    slabPage(page, base, frame, reclaimable, caches.reclaimable);
  } else if (within(frame, tablesRange)) {
    plain(page, base, frame, 0n, 1);
    page.writeInt32LE(~0x200, base + o._mapcount);
  } else {
    plain(page, base, frame, 0n, 1);
    page.writeBigUInt64LE(POISON[0], base + o.lru);
    page.writeBigUInt64LE(POISON[1], base + o.lru + 8);
  }
}
const hugeLinks = (frame) => {
  const place = frame - huge.start;
  const other = (by) => lruOf(huge.start + ((place + by * TABLE + sizeOf(huge)) % sizeOf(huge)));
  return [other(1), other(-1)];
};

// --- free lists ---
const area = { size: kernel.struct('free_area').size, heads: at('zone', 'free_area') };
const MOVABLE = Number(itemsOf('migratetype').get('MIGRATE_MOVABLE'));
const areaOf10 = zone.address + BigInt(area.heads + 10 * area.size);
const freeList = { head: areaOf10 + BigInt(16 * MOVABLE), last: 0n };
freeList.last = word(freeList.head + 8n);
const blocks = sizeOf(free) / BLOCK;
if (blocks > 0) {
  set(freeList.last, lruOf(free.start));
  set(freeList.head + 8n, lruOf(end - BLOCK));
  add(areaOf10 + BigInt(at('free_area', 'nr_free')), blocks);
}

// --- counters ---
const { node } = zone;
const put = (type, address, member, value) => add(address + BigInt(at(type, member)), value);
put('zone', zone.address, 'spanned_pages', count);
put('zone', zone.address, 'present_pages', count);
put('zone', zone.address, 'present_early_pages', count);
put('zone', zone.address, 'managed_pages', count - reserved);
put('pglist_data', node, 'node_present_pages', count);
put('pglist_data', node, 'node_spanned_pages', count);
add(need('_totalram_pages'), count - reserved);
for (const name of ['max_pfn', 'max_possible_pfn', 'max_low_pfn']) add(need(name), count);
add(need('high_memory'), count * PAGE);
const counter = (kind, item, value) => {
  const number = itemsOf(kind === 'zone' ? 'zone_stat_item' : 'node_stat_item').get(item);
  if (number === undefined) throw new Error(`${base}: no counter ${item}`);
  const of =
    kind === 'zone' ? zone.address + BigInt(at('zone', 'vm_stat')) : node + BigInt(at('pglist_data', 'vm_stat'));
  for (const start of [of, need(kind === 'zone' ? 'vm_zone_stat' : 'vm_node_stat')]) add(start + 8n * number, value);
};
counter('zone', 'NR_FREE_PAGES', sizeOf(free));
const anonPages = sizeOf(anonymous) + sizeOf(huge);
counter('zone', 'NR_ZONE_INACTIVE_ANON', anonPages);
counter('node', 'NR_INACTIVE_ANON', anonPages);
counter('node', 'NR_ANON_MAPPED', anonPages);
counter('node', 'NR_ANON_THPS', sizeOf(huge));
counter('zone', 'NR_ZONE_INACTIVE_FILE', sizeOf(file));
counter('node', 'NR_INACTIVE_FILE', sizeOf(file));
counter('node', 'NR_FILE_PAGES', sizeOf(file));
counter('node', 'NR_PAGETABLE', tables);
counter('node', 'NR_SLAB_UNRECLAIMABLE_B', sizeOf(slab));
counter('node', 'NR_SLAB_RECLAIMABLE_B', sizeOf(reclaimable));
if (filled > 0) {
  const mapping = fileTemplate.readBigUInt64LE(o.mapping);
  put('address_space', mapping, 'nrpages', sizeOf(file));
  for (const [range, { address, order: sizeLog, objects }] of [
    [slab, caches.slab],
    [reclaimable, caches.reclaimable],
  ]) {
    const nodeOf = word(address + BigInt(at('kmem_cache', 'node')));
    put('kmem_cache_node', nodeOf, 'nr_slabs', sizeOf(range) / 2 ** sizeLog);
    put('kmem_cache_node', nodeOf, 'total_objects', (sizeOf(range) / 2 ** sizeLog) * objects);
  }
}

// --- the resource tree: the last System RAM grows, and what is behind it moves ---
{
  const [startAt, endAt, sibling, child] = ['start', 'end', 'sibling', 'child'].map((name) =>
    BigInt(at('resource', name)),
  );
  const move = (resource, by) => {
    for (let one = resource; one !== 0n; one = word(one + sibling)) {
      add(one + startAt, by);
      add(one + endAt, by);
      move(word(one + child), by);
    }
  };
  let found = 0n;
  for (let one = word(need('iomem_resource') + child); one !== 0n; one = word(one + sibling))
    if (word(one + endAt) === BigInt(first * PAGE - 1)) found = one;
  if (found === 0n) throw new Error(`${base}: no memory resource ends with the last zone`);
  add(found + endAt, count * PAGE);
  const next = word(found + sibling);
  if (next !== 0n && word(next + startAt) < BigInt(end * PAGE))
    move(next, BigInt(Math.ceil(count / FRAMES_PER_GIB)) * 2n ** 30n);
}

// --- the file ---
/** Whether a frame of the new memory is stored: not free, nor of a process or a file. */
const isStored = (frame) =>
  frame < first + reserved ||
  within(frame, slab) ||
  within(frame, reclaimable) ||
  (frame >= reclaimable.end && frame < free.start) ||
  within(frame, gap);
const DESCRIPTOR = 24;
const bitmapBlocks = Math.ceil(end / 8 / PAGE);
const [ram, stored] = [Buffer.alloc(bitmapBlocks * PAGE), Buffer.alloc(bitmapBlocks * PAGE)];
const mark = (bitmap, frame) => {
  bitmap[frame >>> 3] |= 1 << (frame & 7);
};
const oldFrames = [];
for (const range of image.facts.existingRanges)
  for (let frame = range.start / PAGE; frame < range.end / PAGE; frame++) mark(ram, frame);
for (const { start, end: until } of image.facts.physicalRanges)
  for (let frame = start / PAGE; frame < until / PAGE; frame++) {
    const index = baseFrames.indexOf(frame);
    if (index >= 0 && baseKinds[index] === KIND.free) continue;
    mark(stored, frame);
    oldFrames.push(frame);
  }
let newStored = 0;
for (let frame = first; frame < end; frame++) {
  mark(ram, frame);
  if (!isStored(frame)) continue;
  mark(stored, frame);
  newStored++;
}
const pages = oldFrames.length + newStored;
// Struct pages of memory in use take up to a third of a page.
const needed =
  pages * DESCRIPTOR +
  Math.ceil((memmap.end - memmap.start) * (250 + (filled / count) * 1200)) +
  oldFrames.length * 1000;
const { bavail, bsize } = statfsSync(dirname(out));
if (bavail * bsize < 1.2 * needed)
  throw new Error(`${out}: ${Math.ceil(needed / 2 ** 20)} MiB are needed, and not free`);

const descriptor = openSync(out, 'w');
const info = Buffer.from(image.vmcoreinfo, 'latin1');
const align4 = (bytes) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
const notes = Buffer.concat(
  image.notes.map(({ name, type, data }) => {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(name.length + 1, 0);
    head.writeUInt32LE(data.byteLength, 4);
    head.writeUInt32LE(type, 8);
    return Buffer.concat([
      head,
      align4(Buffer.from(`${name}\0`)),
      align4(Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
    ]);
  }),
);
const subBlocks = Math.ceil((104 + info.length + notes.length) / PAGE);
const header = Buffer.alloc(PAGE);
header.write('KDUMP   ', 0, 'latin1');
header.writeInt32LE(6, 8);
for (const [index, text] of ['Linux', '(none)', kernel.facts.release, '', 'x86_64'].entries())
  header.write(text, 12 + 65 * index, 'latin1');
header.writeUInt32LE(1, 424);
header.writeInt32LE(PAGE, 428);
header.writeInt32LE(subBlocks, 432);
header.writeUInt32LE(2 * bitmapBlocks, 436);
header.writeUInt32LE(end, 440);
header.writeInt32LE(1, 460);
const sub = Buffer.alloc(subBlocks * PAGE);
sub.writeInt32LE(30, 8);
for (const [offset, at, size] of [
  [32, PAGE + 104, info.length],
  [48, PAGE + 104 + info.length, notes.length],
]) {
  sub.writeBigUInt64LE(BigInt(at), offset);
  sub.writeBigUInt64LE(BigInt(size), offset + 8);
}
sub.writeBigUInt64LE(BigInt(end), 96);
info.copy(sub, 104);
notes.copy(sub, 104 + info.length);
const headBytes = Buffer.concat([header, sub, ram, stored]);
writeSync(descriptor, headBytes, 0, headBytes.length, 0);

const table = Buffer.alloc(pages * DESCRIPTOR);
let [rank, place] = [0, headBytes.length + table.length];
const zeroPage = place;
const chunk = Buffer.alloc(8 << 20);
let pending = 0;
const flush = () => {
  writeSync(descriptor, chunk, 0, pending, place);
  place += pending;
  pending = 0;
};
const append = (bytes) => {
  if (pending + bytes.length > chunk.length) flush();
  bytes.copy(chunk, pending);
  pending += bytes.length;
  return place + pending - bytes.length;
};
append(Buffer.alloc(PAGE));
const ZERO = Buffer.alloc(PAGE);
function writePage(page) {
  const describe = (offset, size, flags) => {
    table.writeBigUInt64LE(BigInt(offset), rank * DESCRIPTOR);
    table.writeUInt32LE(size, rank * DESCRIPTOR + 8);
    table.writeUInt32LE(flags, rank++ * DESCRIPTOR + 12);
  };
  if (page.equals(ZERO)) return describe(zeroPage, PAGE, 0);
  const packed = deflateSync(page, { level: 1, windowBits: 12, memLevel: 6 });
  if (packed.length >= PAGE) describe(append(page), PAGE, 0);
  else describe(append(packed), packed.length, 1);
}
for (const frame of oldFrames) {
  const own = changed.get(frame);
  if (own) writePage(own);
  else {
    const view = image.readPhysical(frame * PAGE, PAGE);
    writePage(Buffer.from(view.buffer, view.byteOffset, PAGE));
  }
}
const page = Buffer.alloc(PAGE);
const perPage = PAGE / stride;
for (let frame = first; frame < end; frame++) {
  if (frame < memmap.end) {
    const from = first + (frame - memmap.start) * perPage;
    for (let index = 0; index < perPage; index++) structPage(page, index * stride, from + index);
    writePage(page);
  } else if (frame >= free.start) {
    break;
  } else if (isStored(frame)) {
    writePage(made.get(frame) ?? ZERO);
  }
}
flush();
writeSync(descriptor, table, 0, table.length, headBytes.length);
closeSync(descriptor);
if (rank !== pages) throw new Error(`${rank} pages were written of ${pages}`);
const truth = {
  memory: count,
  'free-buddy': sizeOf(free),
  anonymous: anonPages,
  'page-cache': sizeOf(file),
  'slab-unreclaimable': sizeOf(slab),
  'slab-reclaimable': sizeOf(reclaimable),
  'page-tables': tables + kernelTables,
  memmap: memmap.end - memmap.start,
  'reserved-other': reserved - (memmap.end - memmap.start) - kernelTables,
  unattributed: namelessFrames,
};
writeFileSync(`${out}.json`, `${JSON.stringify(truth, null, 2)}\n`);
console.error(`${out}: ${pages} pages, ${Math.round(place / 2 ** 20)} MiB`);
