import { grouped } from '../../base/grouped.js';
import {
  MAPPING_SIZES,
  type Mapping,
  type MappingKind,
  type MappingSizes,
} from '../../records/mappings.js';

/** Mappings of one file, or of memory of one kind. */
export interface MappingGroup extends MappingSizes {
  /** As /proc/PID/maps names them; '': nothing does. Hostile. */
  readonly name: string;
  readonly kind: MappingKind;
  readonly mappings: number;
  /** Addresses that they take, bytes. */
  readonly size: number;
  /** Pages that no other mapping has, huge pages of hugetlb among them, and what is in swap; null: not known. */
  readonly own: number | null;
}

const SIZE_NAMES = Object.keys(MAPPING_SIZES) as (keyof MappingSizes)[];

/** What some mappings come to; null where of one of them it cannot be told. */
export function sumOfMappings(mappings: readonly MappingSizes[]): MappingSizes {
  const sums = SIZE_NAMES.map((name) => {
    let sum: number | null = 0;
    for (const { [name]: own } of mappings) sum = sum === null || own === null ? null : sum + own;
    return [name, sum] as const;
  });
  return Object.fromEntries(sums) as unknown as MappingSizes;
}

/** Mappings by file and kind, those that hold most for this process alone first. */
export function groupsOfMappings(mappings: readonly Mapping[]): MappingGroup[] {
  const groups = grouped(mappings, ({ name, kind }) => `${kind} ${name}`);
  return [...groups.values()]
    .map((own) => ({ ...totalOfMappings(own), name: own[0]?.name ?? '', kind: own[0]!.kind }))
    .sort((a, b) => (b.own ?? -1) - (a.own ?? -1) || (b.pss ?? -1) - (a.pss ?? -1));
}

/** All of some mappings. */
export function totalOfMappings(mappings: readonly Mapping[]): Omit<MappingGroup, 'name' | 'kind'> {
  const sum = sumOfMappings(mappings);
  return {
    ...sum,
    mappings: mappings.length,
    size: Number(mappings.reduce((size, { start, end }) => size + end - start, 0n)),
    own: ownOf(sum),
  };
}

function ownOf({ privateClean, privateDirty, privateHugetlb, swap }: MappingSizes): number | null {
  if (privateClean === null || privateDirty === null || swap === null) return null;
  return privateClean + privateDirty + (privateHugetlb ?? 0) + swap;
}
