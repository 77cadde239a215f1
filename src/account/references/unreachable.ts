import { readOrNot, unsupportedLayout } from '../../base/errors.js';
import type { UnreachableAmount, UnreachableAnswer, UnreachableGroup } from '../../contracts/unreachable.js';
import type { AllocationRecord } from '../../contracts/whatis.js';
import { bytesOf } from '../../kernel/bytes.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { Kernel } from '../../kernel/kernel.js';
import { FORMS } from '../../records/references.js';
import { PageExtensions } from '../../walk/allocations/page-owner.js';

import { type FrameRange, onlineRanges, ramRanges } from '../../walk/memory/ram.js';

import { isMerged } from '../../walk/pages/slab-caches.js';
import { passOver } from '../../walk/references/memory-pass.js';
import { PIECE_BYTES, type PieceHits, pieceScanner } from '../../walk/references/piece-scan.js';
import { REACHED, ReferenceGraph } from '../../walk/references/reach.js';
import { StructReader } from '../../walk/struct-reader.js';
import { Warnings } from '../../walk/warnings.js';
import { AllocationRecords } from '../allocation-record.js';
import type { SymbolsByAddress } from '../known-addresses.js';
import { attempted } from '../memory/missed.js';
import { AddressIdentifier } from '../whatis.js';
import { type Allocation, Allocations, NO_SOURCE, ROOT, STACK } from './allocations.js';
import { Contents } from './contents.js';
import { Unread } from './references.js';
import { needDump, type ProgressOf, SplitBlocks } from './search.js';

/** Maximum share of the memory that may contain references, and of objects, that may be missing. */
const MAX_MISSING = 1 / 1000;

/** How the text of VMCOREINFO begins. */
const VMCOREINFO = 'OSRELEASE=';

/** Number of addresses in a group. */
const MAX_EXAMPLES = 3;

/**
 * Finds allocations that nothing in use refers to: marks what globals, per-CPU data, stacks and registers refer to, and
 * what that memory refers to in turn. Conservative: any word that looks like a pointer to an allocation, or into it, is
 * one.
 *
 * @throws {KernelError} `unsupported-format` for an extract, `unsupported-layout`; {@link WalkError} `too-many-targets`
 */
export async function describeUnreachable(
  kernel: Kernel,
  symbols: SymbolsByAddress | undefined,
  progress: ProgressOf,
): Promise<UnreachableAnswer> {
  needDump(kernel, 'memory --unreachable');
  const warnings = new Warnings(kernel.doubts);
  const passing = progress('scanning page frames');
  const identifier = new AddressIdentifier(kernel, symbols, warnings, passing);
  const { all, graph, split, unread } = await markReached(kernel, identifier, warnings, progress);
  const grouping = new Grouping(kernel, all, warnings);
  const searched = { allocations: 0, bytes: 0 };
  const reading = progress('reading unreachable memory');
  for (let number = 0; number < all.targets.size; number++) {
    reading(number / all.targets.size);
    if (all.allocationOf(number) !== number || !all.isCandidate(number)) continue;
    searched.allocations++;
    searched.bytes += all.targets.at(number).length;
    const state = graph.states[number]!;
    if (state === REACHED && !split.has(number)) continue;
    grouping.add(number, split.has(number), state !== 0);
  }
  const holderBytes = all.ranges.reduce((total, { start, end }) => total + end - start, 0);
  const isUnknown =
    unread.bytes > MAX_MISSING * holderBytes || all.undecided.length > MAX_MISSING * searched.allocations;
  const groups = isUnknown ? [] : grouping.result();
  const sum = (isOf: (group: UnreachableGroup) => boolean): UnreachableAmount => {
    const some = groups.filter(isOf);
    return {
      allocations: some.reduce((total, { allocations }) => total + allocations, 0),
      bytes: some.reduce((total, { bytes }) => total + bytes, 0),
    };
  };
  return {
    schema: 'kdump-mem.memory-unreachable/1',
    kernel: kernelIdentity(kernel.facts),
    searched,
    unreachable: isUnknown ? null : sum(({ reason }) => reason === null),
    explained: isUnknown ? null : sum(({ reason }) => reason !== null),
    undecided: all.undecided.length,
    holderBytes,
    unreadBytes: unread.bytes,
    complete: warnings.complete,
    groups,
    warnings: warnings.list(),
  };
}

/** Allocations of a kernel, and what marks them as in use. */
interface Reached {
  readonly all: Allocations;
  readonly graph: ReferenceGraph;
  /** Pages that may be part of the allocation of the page before them. */
  readonly split: ReadonlySet<number>;
  /** Memory that may contain references and could not be read. */
  readonly unread: Unread;
}

/**
 * Marks allocations that references from memory in use lead to, directly or through others.
 *
 * @throws {KernelError} `unsupported-layout`; {@link WalkError} `too-many-targets`
 */
export async function markReached(
  kernel: Kernel,
  identifier: AddressIdentifier,
  warnings: Warnings,
  progress: ProgressOf,
): Promise<Reached> {
  const { physical } = kernel;
  if (!physical) throw unsupportedLayout('this engine does not read physical memory');
  const places = identifier.places();
  if (!places) throw unsupportedLayout('page frames have no known categories');
  const note = (message: string) => warnings.add('unreadable', message);
  const ram = onlineRanges(kernel, ramRanges(kernel, note), note);
  const all = new Allocations(kernel, places, ram, warnings, progress('searching slabs'));
  const marking = new Marking(kernel, all);
  for (const number of [...all.undecided, ...all.pending.map((address) => all.numberOf(address))])
    if (number >= 0) marking.graph.root(number);
  if (all.undecided.length > 0)
    note(`${all.undecided.length} slab objects may be allocated or free: they are not listed`);
  marking.addRegisters();
  attempted(warnings, 'page extensions', () => marking.addExtensions(ram));
  const unread = new Unread(identifier, kernel.facts.pageSize);
  const visitor = {
    hits: marking.add.bind(marking),
    missing(start: number, end: number, why: 'not-stored' | 'unreadable') {
      let from = start;
      while (from < end && isLowMemory(kernel, identifier, from)) from += kernel.facts.pageSize;
      if (from < end) unread.add(from, end, why);
    },
  };
  await passOver(physical, all.ranges, all.targets.index, visitor, progress('scanning memory'));
  unread.note(warnings);
  return { all, graph: marking.graph, split: marking.finish(), unread };
}

/**
 * Whether memory is the first MiB of x86, reserved, in the dump of a crash kernel. Linux keeps no data there
 * (reserve_real_mode, since 5.5 where there is a crash kernel), and a crash kernel does not dump it.
 */
function isLowMemory(kernel: Kernel, identifier: AddressIdentifier, address: number): boolean {
  const { arch, pageSize } = kernel.facts;
  if (arch !== 'x86_64' || kernel.crashTime === undefined || address >= LOW_MEMORY) return false;
  return identifier.categoryOf(Math.floor(address / pageSize)) === 'reserved-other';
}

const LOW_MEMORY = 2 ** 20;

/** References, while they are found. */
class Marking {
  readonly graph: ReferenceGraph;
  readonly #kernel: Kernel;
  readonly #all: Allocations;
  /** Allocations whose first byte a word has the address of, other than a word in a stack. */
  readonly #exact: Uint8Array;

  constructor(kernel: Kernel, all: Allocations) {
    this.#kernel = kernel;
    this.#all = all;
    this.graph = new ReferenceGraph(all.targets.size);
    this.#exact = new Uint8Array(all.targets.size);
  }

  /** Adds the references in some memory. */
  add(start: number, { words, targets, forms }: PieceHits): void {
    for (let hit = 0; hit < words.length; hit++) {
      const target = targets[hit]!;
      const source = this.#all.sourceOf(start + 8 * words[hit]!, target);
      if (source === NO_SOURCE) continue;
      const to = this.#all.allocationOf(target);
      if (source === ROOT || source === STACK) this.graph.root(to);
      else this.graph.add(source, to);
      if (source !== STACK && source !== to && FORMS[forms[hit]!] === 'pointer') this.#exact[to] = 1;
    }
  }

  /** Adds what the registers of CPUs refer to. */
  addRegisters(): void {
    for (const note of this.#kernel.cpuNotes?.notes ?? []) {
      const length = note.byteLength - (note.byteLength % 8);
      const bytes = new Uint8Array(note.buffer, note.byteOffset, length).slice().buffer;
      const scan = pieceScanner(() => 0, this.#all.targets.index, PIECE_BYTES);
      const { targets } = scan({ length, bytes });
      for (const target of targets) this.graph.root(this.#all.allocationOf(target));
    }
  }

  /** `mem_section.page_ext` is the address that the extension of frame 0 would have: not in the array. */
  addExtensions(ram: readonly FrameRange[]): void {
    if (!StructReader.ifPresent(this.#kernel, 'mem_section', ['page_ext'])) return;
    if (this.#kernel.symbol('page_ext_size') === undefined) return;
    const extensions = new PageExtensions(this.#kernel);
    const page = BigInt(this.#kernel.facts.pageSize);
    const { size, perSection } = extensions;
    for (const range of ram)
      for (let frame = range.start - (range.start % perSection); frame < range.end; frame += perSection) {
        const start = extensions.addressOf(frame);
        if (start === undefined) continue;
        for (let at = start - (start % page); at < start + BigInt(size * perSection); at += page) {
          const number = this.#all.numberOf(at);
          if (number >= 0) this.graph.root(number);
        }
      }
  }

  /** Marks what is reached. Returns pages that may be part of the allocation of the page before them. */
  finish(): ReadonlySet<number> {
    for (const { from, to } of this.#all.implied) {
      const [area, other] = [this.#all.numberOf(from), this.#all.numberOf(to)];
      if (area >= 0 && other >= 0) this.graph.add(area, other);
    }
    this.graph.reach();
    const split = this.#splitPages();
    for (const number of split) this.graph.root(number);
    this.graph.reach();
    return split;
  }

  #splitPages(): Set<number> {
    const split = new Set<number>();
    const blocks = new SplitBlocks((frame) => this.#all.isTable(frame));
    for (let number = 0; number < this.#all.targets.size; number++) {
      const frame = this.#all.singlePage(number);
      if (frame < 0) continue;
      if (this.graph.states[number] === REACHED) blocks.referenced(frame, this.#exact[number] === 1);
      else if (blocks.follows(frame)) split.add(number);
    }
    return split;
  }
}

interface Group extends UnreachableGroup {
  allocations: number;
  bytes: number;
  readonly examples: bigint[];
}

/** Groups what is not reached. */
class Grouping {
  readonly #kernel: Kernel;
  readonly #all: Allocations;
  readonly #warnings: Warnings;
  readonly #records: AllocationRecords;
  readonly #contents: Contents;
  readonly #groups = new Map<string, Group>();
  readonly #sysctl: (address: bigint, bytes: number) => boolean;
  #unread = 0;

  constructor(kernel: Kernel, all: Allocations, warnings: Warnings) {
    this.#kernel = kernel;
    this.#all = all;
    this.#contents = new Contents(kernel);
    this.#warnings = warnings;
    this.#records = new AllocationRecords(kernel, warnings);
    this.#sysctl = sysctlTest(kernel);
  }

  add(number: number, isSplit: boolean, isHeld: boolean): void {
    const allocation = attempted(this.#warnings, 'an allocation', () => this.#all.describe(number));
    if (!allocation) return;
    const { kind, bytes, address } = allocation;
    const name = kind === 'pages' ? null : allocation.name;
    const isSysctl = kind === 'slab-object' && this.#sysctl(address, bytes);
    const reason = isSplit
      ? 'split-block'
      : isSysctl
        ? 'sysctl-table'
        : kind === 'pages' && this.#isVmcoreinfo(address)
          ? 'vmcoreinfo'
          : null;
    const referencedBy = isHeld && !isSplit ? 'unreachable' : 'nothing';
    const { kind: content, unread } = this.#contents.of(address, bytes);
    this.#unread += unread;
    const site = this.#siteOf(allocation);
    const frames = site?.frames.map(({ symbol, offset, line }) => `${symbol} ${offset} ${line}`);
    const key = [kind, name, bytes, referencedBy, reason, content, ...(frames ?? [])].join();
    const group: Group = this.#groups.get(key) ?? {
      kind,
      name,
      merged:
        allocation.kind === 'slab-object'
          ? (readOrNot(() => isMerged(this.#kernel, allocation.object.cache)) ?? null)
          : null,
      size: bytes,
      allocations: 0,
      bytes: 0,
      referencedBy,
      reason,
      content,
      site,
      examples: [],
    };
    this.#groups.set(key, group);
    group.allocations++;
    group.bytes += bytes;
    if (group.examples.length < MAX_EXAMPLES) group.examples.push(address);
  }

  #siteOf(allocation: Allocation): AllocationRecord | null {
    if (allocation.kind === 'slab-object') return this.#records.ofObject(allocation.object);
    return allocation.kind === 'pages' ? this.#records.ofPage(allocation.frame, allocation.frame) : null;
  }

  #isVmcoreinfo(address: bigint): boolean {
    const start = readOrNot(() => this.#kernel.read(address, VMCOREINFO.length));
    return start !== undefined && Buffer.from(bytesOf(start)).toString('latin1') === VMCOREINFO;
  }

  result(): UnreachableGroup[] {
    if (this.#unread > 0) this.#warnings.add('unreadable', `${this.#unread} bytes of allocations cannot be read`);
    const rank = ({ reason }: UnreachableGroup): number => (reason === null ? 0 : 1);
    return [...this.#groups.values()].toSorted((a, b) => rank(a) - rank(b) || b.bytes - a.bytes);
  }
}

/**
 * Returns the test for a `struct ctl_table_header`. The directory of a sysctl table has links to its entries: nothing refers
 * to the header of a table without entries, nor to that of a table that contains others (before 6.6).
 */
function sysctlTest(kernel: Kernel): (address: bigint, bytes: number) => boolean {
  const reader = StructReader.ifPresent(kernel, 'ctl_table_header', ['root', 'ctl_table_arg']);
  const root = kernel.symbol('sysctl_table_root');
  const bases = ['sysctl', 'kernel', 'fs', 'vm', 'debug', 'dev']
    .map((name) => kernel.symbol(`${name}_base_table`))
    .filter((address) => address !== undefined);
  if (!reader || root === undefined) return () => false;
  const size = kernel.struct('ctl_table_header')?.size ?? 0;
  return (address, bytes) => {
    if (bytes < size) return false;
    const [own, table] = readOrNot(() => {
      const view = reader.read(address);
      return [view.pointer('root'), view.pointer('ctl_table_arg')] as const;
    }) ?? [0n, 0n];
    return own === root || bases.includes(table);
  };
}
