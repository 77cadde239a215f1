import { hex } from '../../base/util.js';
import type { CgroupsJson } from '../../contracts/memory.js';
import type { Kernel } from '../../kernel/kernel.js';
import { CATEGORIES } from '../../records/categories.js';
import { type MemoryCgroup, MemoryCgroups } from '../../walk/cgroups/memory-cgroups.js';
import { CHARGE, scanCharges, slabCharges } from '../../walk/memory/charges.js';
import type { FrameMap } from '../../walk/memory/page-array.js';
import { addError, incompleteness, type Warnings } from '../../walk/warnings.js';
import type { FrameLedger } from './frame-ledger.js';

export type CgroupsAnswer = CgroupsJson;
export type ChargedPart = CgroupsAnswer['uncharged'];
/** A memory cgroup that has pages or objects, or is dying. */
export type CgroupFigures = CgroupsAnswer['cgroups'][number];
/** Frames whose charged cgroup is unknown. */
export type UnnamedCharges = CgroupsAnswer['unnamed'][number];

/** Maximum number of listed cgroups. */
const MAX_CGROUPS = 10_000;

/** Number of frames by category. */
type Sums = Float64Array;

interface Known {
  readonly frames: FrameMap;
  readonly kinds: Uint8Array;
  readonly ledger: FrameLedger;
}

/**
 * Determines the cgroup to which each frame is charged (mm/memcontrol.c).
 *
 * @param onCgroup receives the address of each `struct cgroup` whose path is read
 * @throws {KernelError} `unsupported-layout` for a kernel without memory cgroups, `no-symbols`
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
  const unnamed = new Map<UnnamedCharges['reason'], { sum: Sums; why: string | null }>();
  const unname = (reason: UnnamedCharges['reason'], more: Sums, why: string | null = null): void => {
    const known = unnamed.get(reason);
    if (known) addTo(known.sum, more);
    else unnamed.set(reason, { sum: more.slice(), why });
  };
  const own = new Map<bigint, { sum: Sums; objects: number; bytes: number }>();
  const groupOf = (group: bigint) => {
    const known = own.get(group) ?? { sum: new Float64Array(CATEGORIES.length), objects: 0, bytes: 0 };
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
    } else if (listed.length >= MAX_CGROUPS) {
      if (has) unname('not-listed', has.sum);
    } else {
      listed.push({
        path,
        dying,
        ...part(has?.sum),
        slabObjects: has?.objects ?? 0,
        slabObjectBytes: has?.bytes ?? 0,
        usageBytes: usage === undefined ? null : usage * pageSize,
      });
    }
    own.delete(address);
  }
  // Cgroups that could not be read.
  for (const [address, { sum }] of own) unname('unreadable', sum, `a cgroup at ${hex(address)}`);
  return {
    cgroups: listed,
    uncharged: part(sums[CHARGE.uncharged]),
    slabs: part(sums[CHARGE.byObject]),
    unnamed: [...unnamed].map(([reason, { sum, why }]) => ({ reason, why, ...part(sum) })),
    empty,
  };
}

/** Adds slab objects to the cgroups that they are charged to. */
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
      warnings.add(incompleteness(error), `memcg charges of objects: ${(error as Error).message}`);
    }
  }
  if (why) warnings.add(incompleteness(why), `memcg charges of objects in ${lost} slabs: ${why.message}`);
}

/** Returns all cgroups, including those found by their pages: in a dump each of these must be in the tree. */
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
      addError(warnings, 'a memory cgroup', error);
    }
  };
  let whole = true;
  try {
    for (const address of groups.all()) read(address);
  } catch (error) {
    whole = false;
    addError(warnings, 'the tree of memory cgroups', error);
  }
  for (const address of met) {
    if (all.has(address)) continue;
    read(address);
    if (whole && !kernel.facts.live)
      warnings.add('corrupt', `the memory cgroup at ${hex(address)} has pages, but is not in the tree`);
  }
  return all;
}

/** Checks that a dump has no more charged pages than the kernel counts for each cgroup. */
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
      `the cgroup ${path} at ${hex(address)} counts ${usage} pages, but ${frames} are charged to it`,
    );
  }
}

function partOf(sum: Sums | undefined, pageSize: number): ChargedPart {
  const categories = CATEGORIES.map((category, index) => ({ category, bytes: (sum?.[index] ?? 0) * pageSize }))
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
