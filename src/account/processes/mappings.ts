import type { Kernel, KernelFacts } from '../../kernel/kernel.js';
import type { CaptureOrigin } from '../../records/capture-origin.js';
import type { Mapping } from '../../records/mappings.js';
import type { NamePlace } from '../../walk/files/paths.js';
import { type AddressSpace, spaceName } from '../../walk/processes/address-spaces.js';
import { AreaNames } from '../../walk/processes/area-names.js';
import { type ProcessArea, ProcessAreaReader, VM } from '../../walk/processes/process-areas.js';
import { ResidentCountReader } from '../../walk/processes/resident-counts.js';
import { ShmemSwapReader } from '../../walk/processes/shmem-swap.js';
import { swapAreas } from '../../walk/processes/swap-areas.js';
import type { Warning, Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import { AreaPages, FileMappings, pagesOfAreas } from './area-pages.js';
import type { MappingCounts } from './mapped-pages.js';
import type { ProcessFigures } from './process.js';
import { MOST_ENTRIES, type SwapEntry, swapKey } from './swap-key.js';

/** The answer to `procs --pid`: one process, and what it maps. */
export interface ProcessAnswer {
  /** Undefined: /proc told it, and no kernel's memory was read. */
  readonly kernel: KernelFacts | undefined;
  /** Of a host that was captured; undefined: it is this machine, or a dump. */
  readonly captured?: CaptureOrigin;
  readonly process: ProcessFigures;
  /** In the order of their addresses. */
  readonly mappings: readonly Mapping[];
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

/**
 * What an address space of a dump maps.
 *
 * @param counts how often each frame is mapped, of all spaces
 * @param whole every page table of every process could be read: else shares are not known
 * @param warnings takes what contradicts, and what cannot be read
 * @param onName told where each name in a path or of a mapping lies
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

/** All address spaces of a dump, and what they map. */
export interface Mapped {
  readonly spaces: readonly AddressSpace[];
  readonly counts: MappingCounts;
  readonly whole: boolean;
}

/** Of what others share with one that cannot be read, the shares are not known. */
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
    // What of a file is in swap smaps leaves out of SwapPss.
    proportional: own.proportional,
  };
}

function permissionsOf({ flags }: ProcessArea): string {
  const letter = (flag: bigint, text: string, none = '-') => ((flags & flag) === 0n ? none : text);
  return [
    letter(VM.read, 'r'),
    letter(VM.write, 'w'),
    letter(VM.execute, 'x'),
    letter(VM.mayShare, 's', 'p'),
  ].join('');
}

/** Pages of one mapping that are in swap: how many, and each divided among all who have it. */
interface Swapped {
  readonly pages: number;
  /** Undefined: who else has them is not known. */
  readonly proportional: number | undefined;
}

/**
 * What of each mapping is in swap, by its page tables: where the kind of entries cannot be told, all are taken
 * for such if there are as many as the process counts.
 *
 * @param counted what the process counts (MM_SWAPENTS)
 * @param spaces all address spaces, for who else has a page
 * @returns undefined: it cannot be told
 */
function swappedOf(
  kernel: Kernel,
  areas: readonly AreaPages[],
  counted: number,
  spaces: readonly AddressSpace[],
  counts: MappingCounts,
): Swapped[] | undefined {
  const most = swapAreas(kernel);
  const untold = areas.reduce((sum, area) => sum + area.untold, 0);
  if (untold > 0) {
    if (untold !== counted) return undefined;
    return areas.map((area) => ({
      pages: area.untold,
      proportional: area.untold === 0 ? 0 : undefined,
    }));
  }
  if (most === undefined) return counted === 0 ? areas.map(() => NONE) : undefined;
  const own = areas.map(({ swap }) => swap.filter(({ type }) => type < most));
  const sharers = sharersOf(own.flat(), spaces, counts);
  return own.map((entries) => ({
    pages: entries.length,
    proportional:
      sharers &&
      entries.reduce((sum, entry) => sum + 1 / Math.max(sharers.get(swapKey(entry)) ?? 1, 1), 0),
  }));
}

const NONE: Swapped = { pages: 0, proportional: 0 };

/** How many entries of all page tables lead to each of these. */
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
