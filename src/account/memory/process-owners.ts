import type { Kernel } from '../../kernel/kernel.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import {
  type AddressSpace,
  addressSpaces,
  isFreed,
  spaceName,
} from '../../walk/processes/address-spaces.js';
import { ResidentCountReader } from '../../walk/processes/resident-counts.js';
import { reportedTasks } from '../../walk/tasks/task-table.js';
import type { Warnings } from '../../walk/warnings.js';
import { checkMapcounts, countsAgree } from '../processes/map-checks.js';
import { MappingCounts } from '../processes/mapped-pages.js';
import type { Owner } from './category.js';
import { codeOf } from './missed.js';

/** Categories whose frames processes map, and no file tells of. */
export interface ProcessOwners {
  readonly anonymous: readonly Owner[];
  readonly hugetlb: readonly Owner[];
}

const NOBODY = 0;
const SEVERAL = 1;
/** Of the first address space. */
const FIRST = 2;

/**
 * Which processes map the anonymous pages and huge pages of a machine, by their page tables. What several
 * map, which share no memory otherwise (after fork), is of none of them alone.
 *
 * @param scan of each frame
 */
export function processOwners(
  kernel: Kernel,
  frames: FrameMap,
  scan: FrameScan,
  warnings: Warnings,
): ProcessOwners {
  const none: ProcessOwners = { anonymous: [], hugetlb: [] };
  if (!kernel.userPages) return none;
  try {
    let whole = reportedTasks(kernel, warnings).lost === undefined;
    const spaces = addressSpaces(kernel, ({ pid }, error) => {
      whole = false;
      warnings.add(
        codeOf(error),
        `pid ${pid}: whose anonymous memory is: ${(error as Error).message}`,
      );
    });
    const owners = new Uint32Array(frames.size);
    const counts = new MappingCounts(kernel, frames, scan);
    const reader = new ResidentCountReader(kernel);
    /** Those whose page tables may have been another's by the time they were read. */
    const freed = new Set<number>();
    for (const [index, space] of spaces.entries()) {
      const own = FIRST + index;
      try {
        const found = counts.add(space, (at) => {
          if (owners[at] === NOBODY) owners[at] = own;
          else if (owners[at] !== own) owners[at] = SEVERAL;
        });
        countsAgree(kernel, space, found, reader.read(space), warnings);
        if (isFreed(kernel, space)) freed.add(index);
      } catch (error) {
        if (isFreed(kernel, space)) {
          freed.add(index);
          continue;
        }
        whole = false;
        const message = `${spaceName(space)}: whose anonymous memory is: ${(error as Error).message}`;
        warnings.add(codeOf(error), message);
      }
    }
    if (freed.size > 0) {
      const message = `address spaces that were freed while their page tables were read: ${freed.size} of ${spaces.length}`;
      warnings.add('freed-while-read', message);
    }
    checkMapcounts(kernel, counts, whole ? spaces : undefined, warnings);
    const { pageSize } = kernel.facts;
    const known = spaces.map((space, index) => (freed.has(index) ? undefined : space));
    return {
      anonymous: sums(known, owners, scan.kinds, KIND.anonymous, pageSize),
      hugetlb: sums(known, owners, scan.kinds, KIND.hugetlb, pageSize),
    };
  } catch (error) {
    warnings.add(codeOf(error), `whose anonymous memory is: ${(error as Error).message}`);
    return none;
  }
}

function sums(
  spaces: readonly (AddressSpace | undefined)[],
  owners: Uint32Array,
  kinds: Uint8Array,
  kind: number,
  pageSize: number,
): Owner[] {
  const frames = new Array<number>(spaces.length + FIRST).fill(0);
  for (let index = 0; index < owners.length; index++)
    if (kinds[index] === kind) frames[owners[index]!]!++;
  const several: Owner = {
    kind: 'process',
    name: '(several processes)',
    bytes: (frames[SEVERAL] ?? 0) * pageSize,
  };
  const own = spaces.flatMap((space, index): Owner[] => {
    if (!space) return [];
    const [first] = space.processes;
    const bytes = (frames[index + FIRST] ?? 0) * pageSize;
    const pid = first === undefined ? {} : { pid: first.pid };
    return [{ kind: 'process', name: first?.comm ?? '', ...pid, bytes }];
  });
  return [...own, several].filter(({ bytes }) => bytes > 0);
}
