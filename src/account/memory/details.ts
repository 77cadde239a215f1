import type { UnavailableCode } from '../../base/errors/unavailable.js';
import type {
  CacheFigures,
  MemoryAnswer,
  NoDetailCodes,
  NoDetails,
  ZoneFigures,
} from './answer.js';
import { categoryOfCaller, takesStacks } from './vmalloc-callers.js';

/** What a file of /proc lists; or why it cannot be had. */
export type Listed<T> =
  | { readonly list: T }
  | { readonly code: UnavailableCode; readonly why: string };

/** What lists of /proc tell of a running machine's memory beside counters. */
export interface MachineLists {
  /** Pages of vmalloc's address space by the function that asked for them. */
  readonly vmalloc: Listed<ReadonlyMap<string, number>>;
  /** The largest first. */
  readonly caches: Listed<readonly CacheFigures[]>;
  readonly zones: Listed<readonly ZoneFigures[]>;
}

type Details = Pick<MemoryAnswer, 'caches' | 'callers' | 'zones'> & {
  readonly noDetails: NoDetails;
  readonly noDetailCodes: NoDetailCodes;
};

/** The parts of an answer that lists tell, and why those are not there that none tells. */
export function detailsOf({ vmalloc, caches, zones }: MachineLists, pageSize: number): Details {
  return {
    caches: 'list' in caches ? caches.list : [],
    callers: 'list' in vmalloc ? callersOf(vmalloc.list, pageSize) : [],
    zones: 'list' in zones ? zones.list : [],
    noDetails: {
      ...('why' in caches ? { caches: caches.why } : {}),
      ...('why' in vmalloc ? { callers: vmalloc.why } : {}),
      ...('why' in zones ? { zones: zones.why } : {}),
    },
    noDetailCodes: {
      ...('code' in caches ? { caches: caches.code } : {}),
      ...('code' in vmalloc ? { callers: vmalloc.code } : {}),
      ...('code' in zones ? { zones: zones.code } : {}),
    },
  };
}

/** Stacks of threads, which have a category of their own, left out. */
function callersOf(pages: ReadonlyMap<string, number>, pageSize: number): MemoryAnswer['callers'] {
  return [...pages]
    .filter(([name]) => !takesStacks(name))
    .map(([name, count]) => ({
      kind: 'caller' as const,
      name,
      bytes: count * pageSize,
      category: categoryOfCaller(name),
    }))
    .toSorted((a, b) => b.bytes - a.bytes);
}
