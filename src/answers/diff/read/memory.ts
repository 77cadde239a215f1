import { z } from 'zod';
import { formatSize } from '../../../base/size.js';
import type { CategoryState, Flaw, Item, Listing } from '../../../diff/state.js';
import { deviceBounds, isDeviceKind } from '../../../records/named-memory.js';
import {
  bytesOrNull,
  contradiction,
  count,
  incompleteness,
  kernelPart,
  listOf,
  originPart,
  type ParsedState,
  warningsPart,
} from './parts.js';

interface Category {
  readonly category: string;
  readonly bytes: number;
  readonly frames: number;
  readonly complete: boolean;
  readonly counterBytes?: number | null | undefined;
  /** Bounds, if counters alone are the source. */
  readonly range?: unknown;
  readonly children: readonly Category[];
  readonly owners?: readonly z.infer<typeof owner>[] | undefined;
}

const owner = z.object({ kind: z.string(), name: z.string(), bytes: count, pid: count.optional() });

const category: z.ZodType<Category> = z.object({
  category: z.string(),
  bytes: count,
  frames: count,
  complete: z.boolean(),
  counterBytes: bytesOrNull.optional(),
  range: z.unknown(),
  children: z.lazy(() => listOf(category)),
  owners: listOf(owner).optional(),
});

const charged = z.object({ bytes: count });

export const memoryAnswer = z.object({
  schema: z.literal('kdump-mem.memory/1'),
  kernel: kernelPart,
  host: kernelPart,
  origin: originPart,
  captured: z.object({ host: z.string().nullable(), takenAt: z.iso.datetime().nullable() }).nullish(),
  source: z.enum(['vmcore', 'kcore', 'pageflags', 'counters']),
  memory: category,
  driftBytes: count,
  /** Absent from answers of an earlier release. */
  freeConflict: z.object({ foundBytes: count, countedBytes: z.int() }).nullish(),
  caches: listOf(z.object({ name: z.string(), reclaimable: z.boolean().nullable(), bytes: count })),
  callers: listOf(z.object({ caller: z.string(), bytes: count, category: z.string() })),
  /** Absent from answers of an earlier release. */
  pipes: listOf(z.object({ pid: count, comm: z.string().nullable(), mostBytes: count })).nullish(),
  cgroups: z
    .object({
      cgroups: listOf(z.object({ path: z.string(), dying: z.boolean(), bytes: count, usageBytes: bytesOrNull })),
      uncharged: charged,
      slabs: charged,
      unnamed: listOf(charged),
    })
    .nullable(),
  /** Absent from answers of an earlier release. */
  named: listOf(
    z.object({ kind: z.string(), name: z.string(), bytes: bytesOrNull, figures: z.record(z.string(), bytesOrNull) }),
  ).nullish(),
  notRead: listOf(z.object({ kind: z.string() })).nullish(),
  complete: z.boolean(),
  warnings: warningsPart,
});
type MemoryPart = z.infer<typeof memoryAnswer>;

/** Parses an answer to `memory` and checks its sums. */
export function memoryState(answer: MemoryPart): ParsedState {
  const { kernel, host, origin, captured, source, memory, driftBytes, complete, warnings } = answer;
  const { freeConflict } = answer;
  const facts = kernel ?? host;
  return {
    origin: { ...origin, at: origin.at ?? captured?.takenAt ?? null, host: origin.host ?? captured?.host ?? null },
    // A capture may lack it.
    release: facts?.release || null,
    pageSize: facts?.pageSize ?? null,
    memory: { depth: source, tree: treeOf(knownOf(memory), answer.pipes ?? []), drift: driftBytes },
    lists: listsOf(answer),
    flaws: [
      ...incompleteness(complete, warnings, sourceWords(source, captured != null)),
      ...faultsOf(memory, facts?.pageSize ?? 0),
      ...(complete && !isWhole(memory) ? [contradiction('the answer is complete, but a category is not')] : []),
      ...(freeConflict ? [conflictFlaw(freeConflict, source)] : []),
      ...(source === 'vmcore' && complete ? faultsOfLists(answer) : []),
    ],
  };
}

/** Files of one /proc are read at different times; page flags and MemFree are compared within one read. */
function conflictFlaw({ foundBytes, countedBytes }: NonNullable<MemoryPart['freeConflict']>, source: string): Flaw {
  if (source !== 'counters') return contradiction(`page flags show ${foundBytes} free bytes, MemFree ${countedBytes}`);
  const words = `free memory changed while it was read: zones count ${formatSize(foundBytes)}, MemFree ${formatSize(countedBytes)}`;
  return { code: 'incomplete', words };
}

/** Memory without what was reserved at boot, where the source does not count it: /proc/zoneinfo is missing. */
function knownOf(memory: Category): Category {
  const children = memory.children.filter(
    ({ category: name, bytes, complete }) => name !== 'reserved' || bytes > 0 || complete,
  );
  return { ...memory, children };
}

/** Returns the reason why an answer from this source is incomplete. */
function sourceWords(source: string, captured: boolean): string {
  if (source === 'counters')
    return `memory is known by /proc counters only (${captured ? 'a snapshot contains' : 'the input has'} no page frames): “reserved at boot” includes the kernel image and struct pages`;
  return source === 'pageflags'
    ? 'memory is known by page flags only, so the owners of pages are unknown'
    : 'some page frames could not be read';
}

function treeOf(
  { category: name, bytes, children, owners = [], counterBytes, range }: Category,
  pipes: NonNullable<MemoryPart['pipes']>,
): CategoryState {
  const [file] = owners
    .filter(({ kind }) => name === 'shared' && ['file', 'segment', 'mapping', 'tmpfs'].includes(kind))
    .toSorted((a, b) => b.bytes - a.bytes);
  return {
    category: name,
    bytes,
    ...(children.length === 0 && range && counterBytes === null && bytes === 0 ? { isUnknown: true } : {}),
    children: children.map((child) => treeOf(child, pipes)),
    file: file ? { name: file.name, bytes: file.bytes, pid: file.pid ?? null } : null,
    ...(name === 'unattributed' && pipes[0] ? { pipes: pipes[0] } : {}),
  };
}

function isWhole({ complete, children }: Category): boolean {
  return complete && children.every(isWhole);
}

/** Checks that children sum to their parent, in bytes and frames, and that no category occurs twice. */
function faultsOf(part: Category, pageSize: number): Flaw[] {
  const { category: name, bytes, frames, children } = part;
  if (children.length === 0)
    return pageSize > 0 && Math.round(bytes / pageSize) !== frames
      ? [contradiction(`category ${name} has ${bytes} bytes in ${frames} page frames`)]
      : [];
  const sum = (of: 'bytes' | 'frames') => children.reduce((all, child) => all + child[of], 0);
  const once = new Set(children.map((child) => child.category)).size === children.length;
  return [
    ...(sum('bytes') === bytes && sum('frames') === frames
      ? []
      : [contradiction(`children of category ${name} do not sum to it`)]),
    ...(once ? [] : [contradiction(`category ${name} has a duplicate child`)]),
    ...children.flatMap((child) => faultsOf(child, pageSize)),
  ];
}

/** Checks that, in a complete dump, caches and callers sum to their categories, and cgroups to all memory. */
function faultsOfLists({ memory, caches, callers, cgroups }: MemoryPart): Flaw[] {
  const categories = new Map(leavesOf(memory).map((leaf) => [leaf.category, leaf.bytes]));
  const sums = new Map<string, number>();
  const add = (name: string, bytes: number) => sums.set(name, (sums.get(name) ?? 0) + bytes);
  for (const { reclaimable, bytes } of caches) if (reclaimable !== null) add(slabCategory(reclaimable), bytes);
  for (const { category: name, bytes } of callers) add(name, bytes);
  const wrong = [...sums].find(([name, bytes]) => (categories.get(name) ?? 0) !== bytes);
  const parts = cgroups && [...cgroups.cgroups, cgroups.uncharged, cgroups.slabs, ...cgroups.unnamed];
  const charges = parts?.reduce((sum, { bytes }) => sum + bytes, 0) ?? memory.bytes;
  return [
    ...(wrong ? [contradiction(`caches or callers of category ${wrong[0]} do not sum to it`)] : []),
    ...(charges === memory.bytes ? [] : [contradiction('charged and uncharged memory do not sum to the total')]),
  ];
}

function leavesOf(part: Category): Category[] {
  return part.children.length === 0 ? [part] : part.children.flatMap(leavesOf);
}

function slabCategory(reclaimable: boolean): string {
  return reclaimable ? 'slab-reclaimable' : 'slab-unreclaimable';
}

/** Every machine has caches and callers: an empty list means that the list was not available. */
function listsOf({ caches, callers, cgroups, named, notRead }: MemoryPart): ParsedState['lists'] {
  return {
    ...(named ? { devices: devicesOf(named, notRead ?? []) } : {}),
    ...(caches.length === 0
      ? {}
      : {
          caches: summed(
            caches.map(({ name, reclaimable, bytes }) => ({
              key: name,
              who: { kind: 'cache' as const, name, category: reclaimable === null ? null : slabCategory(reclaimable) },
              sizes: { bytes },
            })),
          ),
        }),
    ...(callers.length === 0
      ? {}
      : {
          callers: summed(
            callers.map(({ caller: name, category: where, bytes }) => ({
              key: JSON.stringify([name, where]),
              who: { kind: 'caller' as const, name, category: where },
              sizes: { bytes },
            })),
          ),
        }),
    ...(cgroups === null
      ? {}
      : {
          cgroups: summed(
            cgroups.cgroups.map(({ path, dying, bytes, usageBytes }) => ({
              key: cgroupKey(path, dying),
              who: { kind: 'cgroup' as const, path, dying },
              sizes: { charged: bytes, usage: usageBytes },
            })),
          ),
        }),
  };
}

function devicesOf(named: NonNullable<MemoryPart['named']>, notRead: NonNullable<MemoryPart['notRead']>): Listing {
  const entries = named.flatMap(({ kind, name, ...amount }) => {
    if (!isDeviceKind(kind)) return [];
    const who = { kind: 'device' as const, of: kind, name };
    return [{ key: JSON.stringify([kind, name]), who, sizes: { bytes: deviceBounds(amount).bytes } }];
  });
  return { ...summed(entries), whole: !notRead.some(({ kind }) => isDeviceKind(kind)) };
}

/** Returns the key of a cgroup. A removed cgroup is distinct from the one that now exists at its path. */
export function cgroupKey(path: string, dying: boolean): string {
  return JSON.stringify([path, dying]);
}

/** Merges items with the same name (removed cgroups of one path). */
export function summed(entries: readonly (Pick<Item, 'who' | 'sizes'> & { readonly key: string })[]): Listing {
  const items = new Map<string, Item>();
  for (const { key, who, sizes } of entries) {
    const before = items.get(key)?.sizes;
    const both = Object.entries(sizes).map(([measure, bytes]) => {
      const other = before?.[measure as keyof typeof before];
      return [measure, bytes === null || other === null ? null : bytes + (other ?? 0)] as const;
    });
    items.set(key, { who, sizes: Object.fromEntries(both), ofBoot: false, began: null });
  }
  return { items, whole: true };
}
