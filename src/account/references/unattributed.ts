import type { UnattributedAnswer, UnattributedGroup } from '../../contracts/unattributed.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { Kernel } from '../../kernel/kernel.js';

import { REACHED } from '../../walk/references/reach.js';
import type { IndexedTargets } from '../../walk/references/target-index.js';
import { Warnings } from '../../walk/warnings.js';
import type { SymbolsByAddress } from '../known-addresses.js';
import { attempted } from '../memory/missed.js';
import { AddressIdentifier } from '../whatis.js';
import { framesOfArea } from './allocations.js';
import { Contents } from './contents.js';
import { type Holder, placeOf } from './holders.js';
import { findReferences, isDoubtful, NO_GROUP, type ReferencesFound } from './references.js';
import { needDump, type ProgressOf, SplitBlocks, TargetFinder } from './search.js';
import { markReached } from './unreachable.js';

/** A group, while blocks are added to it. */
interface Group extends Omit<UnattributedGroup, 'holder' | 'ports'> {
  readonly holder: Holder | null;
  blocks: number;
  bytes: number;
  references: number;
  /** Number of blocks that have each port. */
  readonly ports: Map<number, number>;
}

/** Number of ports that a group names. */
const MAX_PORTS = 4;

/**
 * Groups unattributed blocks by size, by what refers to them, and by what lies in them.
 *
 * @throws {KernelError} `unsupported-format` for an extract; as findReferences does
 */
export async function describeUnattributed(
  kernel: Kernel,
  symbols: SymbolsByAddress | undefined,
  progress: ProgressOf,
): Promise<UnattributedAnswer> {
  needDump(kernel, 'memory --unattributed');
  const warnings = new Warnings(kernel.doubts);
  const passing = progress('scanning page frames');
  const identifier = new AddressIdentifier(kernel, symbols, warnings, passing);
  const finder = new TargetFinder(kernel, identifier, warnings);
  finder.addCategory('unattributed');
  const targets = finder.targets.index(kernel);
  const scanning = progress('scanning memory');
  const references = await findReferences(kernel, identifier, targets, 0, warnings, scanning);
  const mapped = await keptByAreas(kernel, identifier, { targets, found: references }, warnings, progress);
  const contents = new Contents(kernel);
  const groups = new Map<string, Group>();
  const sums = { bytes: 0, unread: 0, unreferencedBlocks: 0, unreferencedBytes: 0, followsBlockBytes: 0 };
  const numbers = new Map<Holder, number>();
  const { pageSize } = kernel.facts;
  const split = new SplitBlocks((frame) => identifier.categoryOf(frame) === 'tables');
  const reading = progress('reading unattributed pages');
  for (let number = 0; number < targets.size; number++) {
    reading(number / targets.size);
    const target = targets.at(number);
    const { length } = target;
    const address = targets.addressOf(kernel, number);
    const { kind, ports, unread } = contents.of(address, length);
    const at = references.holderOf[number]!;
    const referring = at === NO_GROUP ? null : references.groups[at]!;
    const first = 'start' in target ? target.start / pageSize : -1;
    const mapping = mapped.get(number);
    const holder = mapping ?? referring?.holder ?? null;
    const frame = length === pageSize ? first : -1;
    if (frame >= 0 && referring) split.referenced(frame, referring.forms.pointer > 0);
    const followsBlock = frame >= 0 && !holder && split.follows(frame);
    if (holder !== null && !numbers.has(holder)) numbers.set(holder, numbers.size);
    const order = Math.ceil(Math.log2(length / pageSize));
    const key = `${order} ${kind} ${holder === null ? followsBlock : numbers.get(holder)}`;
    const group: Group = groups.get(key) ?? {
      order,
      holder,
      content: kind,
      followsBlock,
      blocks: 0,
      bytes: 0,
      references: 0,
      first: address,
      ports: new Map(),
    };
    groups.set(key, group);
    group.blocks++;
    group.bytes += length;
    group.references += references.perTarget[number]! + (mapping ? 1 : 0);
    for (const port of ports) group.ports.set(port, (group.ports.get(port) ?? 0) + 1);
    sums.bytes += length;
    sums.unread += unread;
    if (holder !== null) continue;
    sums.unreferencedBlocks++;
    sums.unreferencedBytes += length;
    if (followsBlock) sums.followsBlockBytes += length;
  }
  if (sums.unread > 0) warnings.add('unreadable', `${sums.unread} bytes of unattributed pages cannot be read`);
  return {
    schema: 'kdump-mem.memory-unattributed/1',
    kernel: kernelIdentity(kernel.facts),
    bytes: sums.bytes,
    blocks: targets.size,
    unreferencedBlocks: sums.unreferencedBlocks,
    unreferencedBytes: sums.unreferencedBytes,
    followsBlockBytes: sums.followsBlockBytes,
    ramBytes: references.ramBytes,
    scannedBytes: references.scannedBytes,
    complete: warnings.complete,
    groups: [...groups.values()]
      .map(({ holder, ports, first, ...group }) => ({
        ...group,
        holder: holder && placeOf(holder),
        ports: mostFrequent(ports),
        first,
      }))
      .toSorted((a, b) => b.bytes - a.bytes || b.references - a.references),
    warnings: warnings.list(),
  };
}

/**
 * The area that maps each block which nothing else certainly holds (vmap), by its number: no word has the address of
 * such a page, or only one that may be left over, in a stack. Without any, it is in use as long as something refers to
 * an area that maps it.
 */
async function keptByAreas(
  kernel: Kernel,
  identifier: AddressIdentifier,
  { targets, found }: { readonly targets: IndexedTargets; readonly found: ReferencesFound },
  warnings: Warnings,
  progress: ProgressOf,
): Promise<ReadonlyMap<number, Holder>> {
  const mapped = new Map<number, Holder>();
  const loose = new Set<number>();
  const holders = new Map<string | null, Holder>();
  const areas = identifier.places()?.areas;
  const { pageSize } = kernel.facts;
  attempted(warnings, 'vmalloc areas', () => {
    for (const area of areas?.all() ?? []) {
      if (!areas || area.owns) continue;
      const name = areas.caller(area) ?? null;
      const unknown = { kind: 'vmalloc-area', name, offset: null, member: null, category: null } as const;
      const holder = holders.get(name) ?? { ...unknown, source: 'kernel' };
      holders.set(name, holder);
      for (const frame of framesOfArea(kernel, areas, area, warnings) ?? []) {
        const number = targets.numberAt(frame * pageSize);
        if (number < 0) continue;
        const at = found.holderOf[number]!;
        if (at === NO_GROUP) loose.add(number);
        if (at === NO_GROUP || isDoubtful(found.groups[at]!)) mapped.set(number, holder);
      }
    }
  });
  if (loose.size === 0) return mapped;
  const { all, graph } = await markReached(kernel, identifier, warnings, progress);
  for (const number of loose) {
    const same = all.numberOf(targets.addressOf(kernel, number));
    if (same < 0 || graph.states[same] !== REACHED) mapped.delete(number);
  }
  return mapped;
}

function mostFrequent(counts: ReadonlyMap<number, number>): number[] {
  const order = [...counts].toSorted(([a, many], [b, more]) => more - many || a - b);
  return order.slice(0, MAX_PORTS).map(([port]) => port);
}
