import { unsupportedLayout } from '../../base/errors.js';
import type { Unscanned } from '../../contracts/refs.js';
import type { Identity } from '../../contracts/whatis.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import { FORMS, type Form, type ReferenceSource, SOURCES } from '../../records/references.js';
import { onlineRanges, ramRanges } from '../../walk/memory/ram.js';
import { passOver } from '../../walk/references/memory-pass.js';
import type { PieceHits } from '../../walk/references/piece-scan.js';
import type { IndexedTargets } from '../../walk/references/target-index.js';
import type { Warnings } from '../../walk/warnings.js';
import { kernelCounts } from '../memory/counters.js';
import { comparison } from '../memory/frame-checks.js';
import type { AddressIdentifier } from '../whatis.js';
import { type Holder, Holders } from './holders.js';

/** A word that refers to a target. */
export interface Reference {
  /** Address of the word, as the kernel uses it. */
  readonly address: bigint;
  readonly form: Form;
  readonly source: ReferenceSource;
  /** Number of the target. */
  readonly target: number;
  readonly holder: Identity;
}

/** References from alike places. */
export interface ReferenceGroup {
  readonly holder: Holder;
  readonly source: ReferenceSource;
  references: number;
  readonly forms: Record<Form, number>;
}

/** References to some targets. */
export interface ReferencesFound {
  /** Number of references by source. */
  readonly counts: Readonly<Record<ReferenceSource, number>>;
  /** Most references first; those from the kernel's memory before others. */
  readonly groups: readonly ReferenceGroup[];
  /** The first references, in order of physical addresses: those from the kernel's memory before others. */
  readonly references: readonly Reference[];
  /** Number of references from the kernel's memory to each target. */
  readonly perTarget: Uint32Array;
  /** For each target the number of a group that holds it; 2^32 - 1: none of the kernel's memory. */
  readonly holderOf: Uint32Array;
  readonly ramBytes: number;
  readonly scannedBytes: number;
  /** Largest first. */
  readonly unscanned: readonly Unscanned[];
}

/** Value in place of a group. */
export const NO_GROUP = 0xffff_ffff;

/** Categories whose memory the kernel keeps no pointers in; the pages of others may have some. */
const WITHOUT_POINTERS: ReadonlySet<string | null> = new Set([
  'free-buddy',
  'free-cpu-lists',
  'free-unaccepted',
  'free-uninitialized',
  'anonymous',
  'page-cache',
  'shared',
  'secret',
  'swap-cache',
  'hugetlb',
  'crash-kernel',
]);

/**
 * Searches all RAM for words that refer to some targets.
 *
 * @param limit maximum number of references that are identified; all are counted
 * @param warnings receives memory that was not scanned, unless the kernel has no pointers there
 * @param progress called with the completed part, 0 to 1
 * @throws {KernelError} `unsupported-layout` where the engine cannot read physical memory; as ramRanges does
 */
export async function findReferences(
  kernel: Kernel,
  identifier: AddressIdentifier,
  targets: IndexedTargets,
  limit: number,
  warnings: Warnings,
  progress?: (part: number) => void,
): Promise<ReferencesFound> {
  const { physical } = kernel;
  if (!physical) throw unsupportedLayout('this engine does not read physical memory');
  const note = (message: string) => warnings.add('unreadable', message);
  const ram = onlineRanges(kernel, ramRanges(kernel, note), note);
  if (!kernel.facts.live) {
    const frames = ram.reduce((sum, { start, end }) => sum + end - start, 0);
    comparison(kernel, kernelCounts(kernel), warnings)('memory', frames, 'memory');
  }
  const { pageSize } = kernel.facts;
  const ranges = ram.map(({ start, end }) => ({ start: start * pageSize, end: end * pageSize }));
  const references = new Found(targets, new Holders(kernel, identifier, ram, warnings), pageSize, limit);
  const lost = new Unread(identifier, pageSize);
  const visitor = {
    hits: (start: number, hits: PieceHits) => references.add(start, hits),
    missing: lost.add.bind(lost),
  };
  await passOver(physical, ranges, targets.index, visitor, progress);
  const ramBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  lost.note(warnings);
  return { ...references.result(), ramBytes, scannedBytes: ramBytes - lost.bytes, unscanned: lost.list() };
}

/** Memory that was not scanned. */
export class Unread {
  readonly #identifier: AddressIdentifier;
  readonly #pageSize: number;
  readonly #bytes = new Map<CategoryName | null, number>();
  #why: 'not-stored' | 'unreadable' | undefined;
  bytes = 0;

  constructor(identifier: AddressIdentifier, pageSize: number) {
    this.#identifier = identifier;
    this.#pageSize = pageSize;
  }

  add(start: number, end: number, why: 'not-stored' | 'unreadable'): void {
    this.bytes += end - start;
    for (let at = start; at < end; ) {
      const frame = Math.floor(at / this.#pageSize);
      const to = Math.min(end, (frame + 1) * this.#pageSize);
      const category = this.#identifier.categoryOf(frame);
      this.#bytes.set(category, (this.#bytes.get(category) ?? 0) + to - at);
      if (!WITHOUT_POINTERS.has(category)) this.#why ??= why;
      at = to;
    }
  }

  list(): Unscanned[] {
    const all = [...this.#bytes].map(([category, bytes]) => ({ category, bytes }));
    return all.toSorted((a, b) => b.bytes - a.bytes);
  }

  note(warnings: Warnings): void {
    const ofKernel = this.list().filter(({ category }) => !WITHOUT_POINTERS.has(category));
    const bytes = ofKernel.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes === 0) return;
    const why = this.#why === 'unreadable' ? 'is unreadable' : 'is not in the dump';
    const names = ofKernel.map(({ category }) => category ?? 'unknown').join(', ');
    const message = `${bytes} bytes of memory with possible references were not scanned: it ${why} (${names})`;
    warnings.add('unreadable', message);
  }
}

/** References, while they are found. */
class Found {
  readonly #targets: IndexedTargets;
  readonly #holders: Holders;
  readonly #pageSize: number;
  readonly #limit: number;
  readonly #counts = { kernel: 0, user: 0, free: 0, target: 0 };
  readonly #groups: ReferenceGroup[] = [];
  readonly #numbers = new Map<ReferenceSource, Map<Holder, number>>();
  readonly #kernel: Reference[] = [];
  readonly #others: Reference[] = [];
  readonly #perTarget: Uint32Array;
  readonly #holderOf: Uint32Array;

  constructor(targets: IndexedTargets, holders: Holders, pageSize: number, limit: number) {
    this.#targets = targets;
    this.#holders = holders;
    this.#pageSize = pageSize;
    this.#limit = limit;
    this.#perTarget = new Uint32Array(targets.size);
    this.#holderOf = new Uint32Array(targets.size).fill(NO_GROUP);
  }

  add(start: number, { words, targets, forms }: PieceHits): void {
    for (let hit = 0; hit < words.length; hit++) {
      const physical = start + 8 * words[hit]!;
      const target = targets[hit]!;
      const form = FORMS[forms[hit]!]!;
      const holder = this.#holders.at(physical);
      const source = this.#isOwn(target, physical) ? 'target' : holder.source;
      this.#counts[source]++;
      const number = this.#numberOf(source, holder);
      const group = this.#groups[number]!;
      group.references++;
      group.forms[form]++;
      if (source === 'kernel') {
        this.#perTarget[target]!++;
        this.#hold(target, number);
      }
      const list = source === 'kernel' ? this.#kernel : this.#others;
      if (list.length >= this.#limit) continue;
      const address = this.#holders.addressOf(physical);
      list.push({ address, form, source, target, holder: this.#holders.identify(physical) });
    }
  }

  /** Whether a word is in the target, or in the `struct page` of a target of complete pages. */
  #isOwn(target: number, physical: number): boolean {
    if (this.#targets.holds(target, physical)) return true;
    const entry = this.#targets.at(target);
    if ('address' in entry) {
      const into = Number(this.#holders.addressOf(physical) - entry.address);
      return into >= 0 && into < entry.length;
    }
    if (!entry.complete) return false;
    const frame = this.#holders.describedFrame(physical);
    return frame >= 0 && this.#targets.holds(target, frame * this.#pageSize);
  }

  #numberOf(source: ReferenceSource, holder: Holder): number {
    const numbers = this.#numbers.get(source) ?? new Map<Holder, number>();
    this.#numbers.set(source, numbers);
    let number = numbers.get(holder);
    if (number === undefined) {
      const forms = { pointer: 0, tagged: 0, interior: 0, page: 0 };
      number = this.#groups.push({ holder, source, references: 0, forms }) - 1;
      numbers.set(holder, number);
    }
    return number;
  }

  /** An object or a variable says more about a target than a stack or a page does. */
  #hold(target: number, number: number): void {
    const before = this.#holderOf[target]!;
    if (before === NO_GROUP || rank(this.#groups[number]!) < rank(this.#groups[before]!))
      this.#holderOf[target] = number;
  }

  result(): Omit<ReferencesFound, 'ramBytes' | 'scannedBytes' | 'unscanned'> {
    const order = this.#groups
      .map((group, number) => ({ group, number }))
      .toSorted(
        (a, b) =>
          SOURCES.indexOf(a.group.source) - SOURCES.indexOf(b.group.source) || b.group.references - a.group.references,
      );
    const moved = new Uint32Array(order.length);
    order.forEach(({ number }, index) => {
      moved[number] = index;
    });
    return {
      counts: this.#counts,
      groups: order.map(({ group }) => group),
      references: [...this.#kernel, ...this.#others].slice(0, this.#limit),
      perTarget: this.#perTarget,
      holderOf: this.#holderOf.map((number) => (number === NO_GROUP ? number : moved[number]!)),
    };
  }
}

const RANKS: readonly Holder['kind'][] = ['slab-object', 'symbol', 'vmalloc-area', 'page'];

/** Whether the holder may be a leftover: a word in a stack or in a page of unknown content. */
export function isDoubtful({ holder }: ReferenceGroup): boolean {
  return holder.kind !== 'slab-object' && holder.kind !== 'symbol';
}

function rank({ holder }: ReferenceGroup): number {
  const at = RANKS.indexOf(holder.kind);
  return at < 0 ? RANKS.length : at;
}
