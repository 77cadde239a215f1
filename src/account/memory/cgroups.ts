import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { type MemoryCgroup, MemoryCgroups } from '../../walk/cgroups/memory-cgroups.js';
import { incompleteness } from '../../walk/incompleteness.js';
import { CHARGE, scanCharges } from '../../walk/memory/charges.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { slabCharges } from '../../walk/memory/slab-charges.js';
import type { Warnings } from '../../walk/warnings.js';
import { CATEGORIES, type CategoryName } from './categories.js';
import type { FrameLedger } from './frame-ledger.js';

/** Page frames by category, the most first. */
export interface ChargedPart {
  readonly bytes: number;
  readonly categories: readonly { readonly category: CategoryName; readonly bytes: number }[];
}

/** A memory cgroup that has pages or objects, or that is dying. */
export interface CgroupFigures extends ChargedPart {
  /** From the root of its hierarchy; hostile. */
  readonly path: string;
  /** Its folder was removed; what it has keeps it. */
  readonly dying: boolean;
  /** Objects in slabs that are charged to it, and the bytes of their slots. */
  readonly slabObjects: number;
  readonly slabBytes: number;
  /** What the kernel counts, with those below and what CPUs keep in stock; undefined: of the root. */
  readonly usageBytes: number | undefined;
}

/** Frames of which it is not known who is charged. */
export interface UnnamedCharges extends ChargedPart {
  /** The `struct page`; what it points to; more cgroups than are listed. */
  readonly reason: 'unread' | 'unreadable' | 'damaged' | 'not-listed';
  readonly why: string | undefined;
}

/** Whom memory is charged to: all parts sum to all of the memory. */
export interface CgroupsAnswer {
  /** Those with the most first. */
  readonly cgroups: readonly CgroupFigures[];
  readonly uncharged: ChargedPart;
  /** Slabs: their objects are charged one by one. */
  readonly slabs: ChargedPart;
  readonly unnamed: readonly UnnamedCharges[];
  /** Cgroups that have neither pages nor objects, and live. */
  readonly empty: number;
}

/** How many cgroups are told. */
const MOST_CGROUPS = 10_000;

/** Frames by category. */
type Sums = Float64Array;

interface Known {
  readonly frames: FrameMap;
  readonly kinds: Uint8Array;
  readonly ledger: FrameLedger;
}

/**
 * Whom each frame is charged to (mm/memcontrol.c).
 *
 * @param onCgroup told the address of each `struct cgroup` whose path is read
 * @throws {KernelError} `unsupported-layout` of a kernel without memory cgroups, `no-symbols`
 */
export function accountCgroups(
  kernel: Kernel,
  { frames, kinds, ledger }: Known,
  warnings: Warnings,
  onCgroup: (cgroup: bigint) => void = () => {},
): CgroupsAnswer {
  const groups = new MemoryCgroups(kernel);
  const { pageSize } = kernel.facts;
  const numbers = ledger.numbers;
  const free = CATEGORIES.map((category) => category.startsWith('free-'));
  const sums: Sums[] = [];
  const { pointers, slabs } = scanCharges(kernel, frames, kinds, (index, charge) => {
    const category = numbers[index]! - 1;
    const row = free[category] ? CHARGE.uncharged : charge;
    sums[row] ??= new Float64Array(CATEGORIES.length);
    sums[row][category]!++;
  });
  const part = (sum: Sums | undefined): ChargedPart => partOf(sum, pageSize);
  const unnamed = new Map<UnnamedCharges['reason'], { sum: Sums; why: string | undefined }>();
  const unname = (reason: UnnamedCharges['reason'], more: Sums, why?: string): void => {
    const known = unnamed.get(reason);
    if (known) addTo(known.sum, more);
    else unnamed.set(reason, { sum: more.slice(), why });
  };
  const own = new Map<bigint, { sum: Sums; objects: number; bytes: number }>();
  const groupOf = (group: bigint) => {
    const known = own.get(group) ?? {
      sum: new Float64Array(CATEGORIES.length),
      objects: 0,
      bytes: 0,
    };
    own.set(group, known);
    return known;
  };
  for (let row = 0; row < pointers.size; row++) {
    const sum = sums[CHARGE.first + row];
    if (!sum) continue;
    const pointer = pointers.address(row);
    try {
      addTo(groupOf(groups.charged(pointer)).sum, sum);
    } catch (error) {
      const code = incompleteness(error);
      const why = (error as Error).message;
      unname(code === 'unreadable' ? code : 'damaged', sum, why);
      warnings.add(code, `what is charged: ${why}`);
    }
  }
  for (const [row, reason] of [
    [CHARGE.unread, 'unread'],
    [CHARGE.others, 'not-listed'],
  ] as const) {
    const sum = sums[row];
    if (sum) unname(reason, sum);
  }
  chargeObjects(kernel, slabs, groups, groupOf, warnings);
  const all = everyGroup(kernel, groups, own.keys(), warnings);
  for (const { cgroup } of all.values()) onCgroup(cgroup);
  checkUsage(kernel, all, own, warnings);
  const listed: CgroupFigures[] = [];
  let empty = 0;
  const most = [...all.values()].toSorted(
    (a, b) => framesOf(own.get(b.address)?.sum) - framesOf(own.get(a.address)?.sum),
  );
  for (const { address, path, dying, usage } of most) {
    const has = own.get(address);
    if (!has && !dying) {
      empty++;
    } else if (listed.length >= MOST_CGROUPS) {
      if (has) unname('not-listed', has.sum);
    } else {
      listed.push({
        path,
        dying,
        ...part(has?.sum),
        slabObjects: has?.objects ?? 0,
        slabBytes: has?.bytes ?? 0,
        usageBytes: usage === undefined ? undefined : usage * pageSize,
      });
    }
    own.delete(address);
  }
  // Those that could not be read.
  for (const [address, { sum }] of own) unname('unreadable', sum, `a cgroup at ${hex(address)}`);
  return {
    cgroups: listed,
    uncharged: part(sums[CHARGE.uncharged]),
    slabs: part(sums[CHARGE.byObject]),
    unnamed: [...unnamed].map(([reason, { sum, why }]) => ({ reason, why, ...part(sum) })),
    empty,
  };
}

/** Adds the objects of slabs to the cgroups that they are charged to. */
function chargeObjects(
  kernel: Kernel,
  slabs: readonly number[],
  groups: MemoryCgroups,
  groupOf: (group: bigint) => { objects: number; bytes: number },
  warnings: Warnings,
): void {
  const { charges, lost, why } = slabCharges(kernel, slabs);
  for (const [objcg, { objects, bytes }] of charges) {
    try {
      const group = groupOf(groups.charged(objcg));
      group.objects += objects;
      group.bytes += bytes;
    } catch (error) {
      warnings.add(
        incompleteness(error),
        `what objects are charged to: ${(error as Error).message}`,
      );
    }
  }
  if (why)
    warnings.add(incompleteness(why), `memcg charges of objects in ${lost} slabs: ${why.message}`);
}

/** All cgroups, and those that pages led to: on a dump each of these must be among all. */
function everyGroup(
  kernel: Kernel,
  groups: MemoryCgroups,
  met: Iterable<bigint>,
  warnings: Warnings,
): Map<bigint, MemoryCgroup> {
  const all = new Map<bigint, MemoryCgroup>();
  const read = (address: bigint): void => {
    try {
      all.set(address, groups.read(address));
    } catch (error) {
      warnings.add(incompleteness(error), `a memory cgroup: ${(error as Error).message}`);
    }
  };
  let whole = true;
  try {
    for (const address of groups.all()) read(address);
  } catch (error) {
    whole = false;
    warnings.add(incompleteness(error), `the tree of memory cgroups: ${(error as Error).message}`);
  }
  for (const address of met) {
    if (all.has(address)) continue;
    read(address);
    if (whole && !kernel.facts.live)
      warnings.add('corrupt', `the memory cgroup at ${hex(address)} has pages, and is in no tree`);
  }
  return all;
}

/** A dump's pages are no more than the kernel counts of the cgroups that they are charged to. */
function checkUsage(
  kernel: Kernel,
  all: ReadonlyMap<bigint, MemoryCgroup>,
  own: ReadonlyMap<bigint, { readonly sum: Sums }>,
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const below = new Map<bigint, number>();
  for (const [address, { sum }] of own) {
    const met = new Set<bigint>();
    for (let at = address; at !== 0n && !met.has(at); at = all.get(at)?.above ?? 0n) {
      met.add(at);
      below.set(at, (below.get(at) ?? 0) + framesOf(sum));
    }
  }
  for (const [address, frames] of below) {
    const { usage, path } = all.get(address) ?? {};
    if (usage === undefined || frames <= usage) continue;
    warnings.add(
      'corrupt',
      `the cgroup ${path} at ${hex(address)} counts ${usage} pages, and ${frames} are charged to it`,
    );
  }
}

function partOf(sum: Sums | undefined, pageSize: number): ChargedPart {
  const categories = CATEGORIES.map((category, index) => ({
    category,
    bytes: (sum?.[index] ?? 0) * pageSize,
  }))
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes);
  return { bytes: framesOf(sum) * pageSize, categories };
}

function framesOf(sum: Sums | undefined): number {
  return sum?.reduce((all, frames) => all + frames, 0) ?? 0;
}

function addTo(sum: Sums, more: Sums): void {
  for (const [index, frames] of more.entries()) sum[index]! += frames;
}
