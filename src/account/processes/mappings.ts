import { grouped } from '../../base/util.js';
import type { Mapping, MappingGroup, MappingSizes, MappingTotal, ProcessAnswer } from '../../contracts/process.js';
import type { ProcessFigures } from '../../contracts/procs.js';
import type { Kernel } from '../../kernel/kernel.js';
import { MAPPING_SIZES, type MappingSize } from '../../records/mappings.js';
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
import type { Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import { AreaPages, FileMappings, pagesOfAreas } from './area-pages.js';
import type { MappingCounts } from './mapped-pages.js';
import { type FoundProcesses, MAX_ENTRIES, type SwapEntry, swapKey } from './process.js';

/** Returns the answer to `procs --pid`. @param mappings in order of address */
export function processAnswer(
  { kernel, source, captured }: Pick<FoundProcesses, 'kernel' | 'source' | 'captured'>,
  process: ProcessFigures,
  mappings: readonly Mapping[],
  { complete, warnings }: Pick<ProcessAnswer, 'complete' | 'warnings'>,
): ProcessAnswer {
  return {
    schema: 'kdump-mem.process/1',
    kernel,
    source,
    captured,
    ...process,
    mappings,
    groups: groupsOfMappings(mappings),
    mapped: totalOfMappings(mappings),
    complete,
    warnings,
  };
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
  const report = (error: unknown, what = '') =>
    warnings.add(codeOf(error), `${spaceName(space)}: ${what}${(error as Error).message}`);
  const doubt = (message: string) => warnings.add('corrupt', `${spaceName(space)} ${message}`);
  const { pageSize } = kernel.facts;
  const mapped = new ProcessAreaReader(kernel).read(space.mm);
  for (const error of mapped.doubts) report(error);
  const files = new FileMappings(kernel);
  const areas = mapped.areas.map((area) => {
    let mapping = 0n;
    try {
      mapping = files.of(area);
    } catch (error) {
      report(error);
    }
    return new AreaPages(area, pageSize, mapping);
  });
  const odd = pagesOfAreas(kernel, space, counts, areas);
  if (odd.outside > 0)
    doubt(
      `has ${odd.outside} pages outside all mappings, the first at 0x${(odd.firstOutside * pageSize).toString(16)}`,
    );
  if (odd.strays > 0) doubt(`has ${odd.strays} misplaced pages: it maps ${odd.firstStray}`);
  if (odd.whyUnread) report(odd.whyUnread);
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
      ({ name, kind } = names.of(area, mapped, space.mm));
    } catch (error) {
      report(error, 'mapped object: ');
    }
    const both = sumOfSwap(swapped?.[index], ofFile);
    const bytes = (count: number) => Math.round(count * pageSize);
    const sizes = pages.sizes(bytes, {
      swapBytes: both === undefined ? null : bytes(both.pages),
      swapPssBytes: both?.proportional === undefined ? null : bytes(both.proportional),
    });
    return {
      start: area.start,
      end: area.end,
      permissions: permissionsOf(area),
      offset: area.file === 0n ? 0n : area.pageOffset * BigInt(pageSize),
      kind,
      path: name === '' ? null : name,
      sizeBytes: Number(area.end - area.start),
      ...(whole ? sizes : { ...sizes, ...SHARES_UNKNOWN }),
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
  pssBytes: null,
  lockedBytes: null,
  privateCleanBytes: null,
  privateDirtyBytes: null,
  sharedCleanBytes: null,
  sharedDirtyBytes: null,
  privateHugetlbBytes: null,
  sharedHugetlbBytes: null,
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
  if (entries.length > MAX_ENTRIES) return undefined;
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

const SIZE_NAMES = Object.keys(MAPPING_SIZES) as MappingSize[];

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
  const groups = grouped(mappings, ({ path, kind }) => `${kind} ${path ?? ''}`);
  return [...groups.values()]
    .map((own) => ({ kind: own[0]!.kind, path: own[0]!.path, ...totalOfMappings(own) }))
    .sort((a, b) => (ownOf(b) ?? -1) - (ownOf(a) ?? -1) || (b.pssBytes ?? -1) - (a.pssBytes ?? -1));
}

/** Returns the totals of several mappings. */
export function totalOfMappings(mappings: readonly Mapping[]): MappingTotal {
  return {
    mappings: mappings.length,
    sizeBytes: mappings.reduce((size, mapping) => size + mapping.sizeBytes, 0),
    ...sumOfMappings(mappings),
  };
}

/** Pages without another mapping, including huge pages of hugetlb, and pages in swap; null: unknown. Bytes. */
export function ownOf({
  privateCleanBytes,
  privateDirtyBytes,
  privateHugetlbBytes,
  swapBytes,
}: MappingSizes): number | null {
  if (privateCleanBytes === null || privateDirtyBytes === null || swapBytes === null) return null;
  return privateCleanBytes + privateDirtyBytes + (privateHugetlbBytes ?? 0) + swapBytes;
}
