import { grouped } from '../../base/util.js';
import type { Kernel, KernelFacts } from '../../kernel/kernel.js';
import type { CaptureOrigin } from '../../records/machine-sample.js';
import { MAPPING_SIZES, type Mapping, type MappingKind, type MappingSizes } from '../../records/mappings.js';
import type { NamePlace } from '../../walk/files/paths.js';
import { type AddressSpace, ResidentCountReader, spaceName } from '../../walk/processes/address-spaces.js';
import { AreaNames } from '../../walk/processes/area-names.js';
import {
  type ProcessArea,
  ProcessAreaReader,
  ShmemSwapReader,
  swapAreas,
  VM,
} from '../../walk/processes/process-areas.js';
import type { Warning, Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import { AreaPages, FileMappings, pagesOfAreas } from './area-pages.js';
import type { MappingCounts } from './mapped-pages.js';
import { MOST_ENTRIES, type ProcessFigures, type SwapEntry, swapKey } from './process.js';

/** The answer to `procs --pid`: one process, and its mappings. */
export interface ProcessAnswer {
  /** Undefined for an answer from /proc, without kernel memory. */
  readonly kernel: KernelFacts | undefined;
  /** A captured host; undefined: this machine, or a dump. */
  readonly captured?: CaptureOrigin;
  readonly process: ProcessFigures;
  /** In order of address. */
  readonly mappings: readonly Mapping[];
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

/**
 * Mappings of an address space of a dump.
 *
 * @param counts number of mappings of each frame, in all spaces
 * @param whole every page table of every process could be read; otherwise shares are unknown
 * @param warnings receives contradictions and unreadable data
 * @param onName receives the address of each name in a path or of a mapping
 */
export function mappingsOf(
  kernel: Kernel,
  space: AddressSpace,
  { spaces, counts, whole }: Mapped,
  warnings: Warnings,
  onName?: (place: NamePlace) => void,
): Mapping[] {
  const said = (error: unknown, what = '') =>
    warnings.add(codeOf(error), `${spaceName(space)}: ${what}${(error as Error).message}`);
  const doubt = (message: string) => warnings.add('corrupt', `${spaceName(space)} ${message}`);
  const { pageSize } = kernel.facts;
  const found = new ProcessAreaReader(kernel).read(space.mm);
  for (const error of found.doubts) said(error);
  const files = new FileMappings(kernel);
  const areas = found.areas.map((area) => {
    let mapping = 0n;
    try {
      mapping = files.of(area);
    } catch (error) {
      said(error);
    }
    return new AreaPages(area, pageSize, mapping);
  });
  const odd = pagesOfAreas(kernel, space, counts, areas);
  if (odd.outside > 0)
    doubt(
      `has ${odd.outside} pages outside all mappings, the first at 0x${(odd.firstOutside * pageSize).toString(16)}`,
    );
  if (odd.strays > 0) doubt(`has ${odd.strays} misplaced pages: it maps ${odd.firstStray}`);
  if (odd.whyUnread) said(odd.whyUnread);
  const counted = new ResidentCountReader(kernel).read(space).swapped;
  const swapped = swappedOf(kernel, areas, counted, spaces, counts);
  const entries = swapped?.reduce((sum, { pages }) => sum + pages, 0);
  if (entries === undefined)
    warnings.add(
      'unsupported-layout',
      `${spaceName(space)} counts ${counted} pages in swap, but their mappings are unknown`,
    );
  else if (entries !== counted && !kernel.facts.live && !space.running)
    doubt(`counts ${counted} pages in swap, but its page tables have ${entries}`);
  const shmem = new ShmemSwapReader(kernel);
  const names = new AreaNames(kernel, onName);
  return areas.map((pages, index) => {
    const { area } = pages;
    let [name, kind] = ['', 'anonymous' as Mapping['kind']];
    let ofFile: Swapped | undefined;
    try {
      ofFile = shmem.of(area, pageSize);
      ({ name, kind } = names.of(area, found, space.mm));
    } catch (error) {
      said(error, 'mapped object: ');
    }
    const both = sumOfSwap(swapped?.[index], ofFile);
    const bytes = (count: number) => Math.round(count * pageSize);
    const sizes = pages.sizes(bytes);
    return {
      start: area.start,
      end: area.end,
      permissions: permissionsOf(area),
      offset: area.file === 0n ? 0n : area.pageOffset * BigInt(pageSize),
      name,
      kind,
      ...(whole ? sizes : { ...sizes, ...SHARES_UNKNOWN }),
      swap: both === undefined ? null : bytes(both.pages),
      swapPss: both?.proportional === undefined ? null : bytes(both.proportional),
    };
  });
}

/** All address spaces of a dump, and their mappings. */
export interface Mapped {
  readonly spaces: readonly AddressSpace[];
  readonly counts: MappingCounts;
  readonly whole: boolean;
}

/** If another process is unreadable, shares are unknown. */
const SHARES_UNKNOWN = {
  pss: null,
  locked: null,
  privateClean: null,
  privateDirty: null,
  sharedClean: null,
  sharedDirty: null,
  privateHugetlb: null,
  sharedHugetlb: null,
} as const;

function sumOfSwap(own: Swapped | undefined, ofFile: Swapped | undefined): Swapped | undefined {
  if (!own || !ofFile) return undefined;
  return {
    pages: own.pages + ofFile.pages,
    // smaps does not count swapped file pages in SwapPss.
    proportional: own.proportional,
  };
}

function permissionsOf({ flags }: ProcessArea): string {
  const letter = (flag: bigint, text: string, none = '-') => ((flags & flag) === 0n ? none : text);
  return [letter(VM.read, 'r'), letter(VM.write, 'w'), letter(VM.execute, 'x'), letter(VM.mayShare, 's', 'p')].join('');
}

/** Pages of one mapping in swap: their number, and their proportional share (SwapPss). */
interface Swapped {
  readonly pages: number;
  /** Undefined if the other users are unknown. */
  readonly proportional: number | undefined;
}

/**
 * Returns the swapped pages of each mapping, by page tables. If the kind of swap entries is unknown, all
 * non-present entries count, provided that their number equals the process's own counter.
 *
 * @param counted the process's counter (MM_SWAPENTS)
 * @param spaces all address spaces, to find other users of an entry
 * @returns undefined if unknown
 */
function swappedOf(
  kernel: Kernel,
  areas: readonly AreaPages[],
  counted: number,
  spaces: readonly AddressSpace[],
  counts: MappingCounts,
): Swapped[] | undefined {
  const most = swapAreas(kernel);
  const unknownEntries = areas.reduce((sum, area) => sum + area.unknownEntries, 0);
  if (unknownEntries > 0) {
    if (unknownEntries !== counted) return undefined;
    return areas.map((area) => ({
      pages: area.unknownEntries,
      proportional: area.unknownEntries === 0 ? 0 : undefined,
    }));
  }
  if (most === undefined) return counted === 0 ? areas.map(() => NONE) : undefined;
  const own = areas.map(({ swap }) => swap.filter(({ type }) => type < most));
  const sharers = sharersOf(own.flat(), spaces, counts);
  return own.map((entries) => ({
    pages: entries.length,
    proportional: sharers && entries.reduce((sum, entry) => sum + 1 / Math.max(sharers.get(swapKey(entry)) ?? 1, 1), 0),
  }));
}

const NONE: Swapped = { pages: 0, proportional: 0 };

/** Returns the number of page table entries for each of these swap entries. */
function sharersOf(
  entries: readonly SwapEntry[],
  spaces: readonly AddressSpace[],
  counts: MappingCounts,
): ReadonlyMap<number, number> | undefined {
  if (entries.length > MOST_ENTRIES) return undefined;
  const sharers = new Map(entries.map((entry) => [swapKey(entry), 0]));
  if (sharers.size === 0) return sharers;
  for (const space of spaces) {
    counts.walk(space, {
      page: () => {},
      absent: (_page, pages, type, offset) => {
        const key = swapKey({ type, offset });
        const known = sharers.get(key);
        if (known !== undefined && pages === 1) sharers.set(key, known + 1);
      },
    });
  }
  return sharers;
}

/** Mappings of one file, or of one kind of memory. */
export interface MappingGroup extends MappingSizes {
  /** Name as in /proc/PID/maps, untrusted; '': none. */
  readonly name: string;
  readonly kind: MappingKind;
  readonly mappings: number;
  /** Size of their address ranges in bytes. */
  readonly size: number;
  /** Pages without another mapping, including huge pages of hugetlb, and pages in swap; null: unknown. */
  readonly own: number | null;
}

const SIZE_NAMES = Object.keys(MAPPING_SIZES) as (keyof MappingSizes)[];

/** Returns the sums of mappings; a sum is null if one of its values is unknown. */
export function sumOfMappings(mappings: readonly MappingSizes[]): MappingSizes {
  const sums = SIZE_NAMES.map((name) => {
    let sum: number | null = 0;
    for (const { [name]: own } of mappings) sum = sum === null || own === null ? null : sum + own;
    return [name, sum] as const;
  });
  return Object.fromEntries(sums) as unknown as MappingSizes;
}

/** Mappings by file and kind; the largest private memory first. */
export function groupsOfMappings(mappings: readonly Mapping[]): MappingGroup[] {
  const groups = grouped(mappings, ({ name, kind }) => `${kind} ${name}`);
  return [...groups.values()]
    .map((own) => ({ ...totalOfMappings(own), name: own[0]?.name ?? '', kind: own[0]!.kind }))
    .sort((a, b) => (b.own ?? -1) - (a.own ?? -1) || (b.pss ?? -1) - (a.pss ?? -1));
}

/** Returns the totals of several mappings. */
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
